#!/usr/bin/env python3
"""Thirty nights of `ltv daily` on simulated users who drift, with one poisoned day; and what going on from
yesterday's model saves and costs, beside a model trained from random weights every night.

    benches/daily.py --ltv target/release/ltv --folder /tmp/daily --users 60000

Value is minutes watched. On the poisoned day the log arrives with every value three times as large and without
anybody of one channel; the next day it is mended. Two loops run in turn, night by night, on the same log: `warm`
goes on from the model of the day before, `cold` begins anew each night. In the end both models of every night are
judged on users who registered since that night, with labels that only the end of the simulation knows.

Killed at any point, it goes on where it was. Needs pyarrow, to poison the log (`pip install pyarrow`). Leaves in FOLDER:

    sim, sound          the log as it is delivered, and as it is
    warm, cold          work folders of the two loops
    later               the dataset that judges in the end
    nights.json         every summary; judged.json: every metric of every model
"""

import argparse
import datetime
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

METRICS = ["NRMSE", "NMAE", "NormGini", "Spearman", "CalibrationRatio"]

CONFIG = """
work = "{work}"
events = ["{folder}/sim/events"]
users = ["{folder}/sim/users"]
store = "{folder}/{work_name}-store"

[features.events]
value = "duration_min"

[features.users]
registration = "registration"
profile = ["channel", "device", "city_tier"]
keep = ["cost"]

[features.dataset]
label = "value"

[[features.sequences]]
name = "cnt"
measure = "count"

[[features.sequences]]
name = "minutes"
measure = {{ sum = "duration_min" }}

[refresh]
model_days = {model_days}

[judge]
by = ["channel"]

[keep]
models = 1000
"""


def run(program, *words, codes=(0,)):
    """Runs the program; what it printed, and its exit code."""
    words = [str(word) for word in words]
    done = subprocess.run([program, *words, "--quiet"], capture_output=True, text=True)
    if done.returncode not in codes:
        sys.exit(f"ltv {' '.join(words)}\n{done.stderr}")
    return done.stdout, done.returncode


def poison(folder):
    """Rewrites the log in `folder/sim` as an accident would."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    gone = []
    for path in sorted((folder / "sim/users").glob("*.parquet")):
        table = pq.read_table(path)
        of_channel = pc.equal(table["channel"], "app-store")
        gone.append(table.filter(of_channel)["user_id"].combine_chunks())
        pq.write_table(table.filter(pc.invert(of_channel)), path)
    import pyarrow as pa

    gone = pa.concat_arrays(gone)
    for path in sorted((folder / "sim/events").glob("*.parquet")):
        table = pq.read_table(path)
        table = table.filter(pc.invert(pc.is_in(table["user_id"], value_set=gone)))
        place = table.schema.get_field_index("duration_min")
        tripled = pc.multiply(table["duration_min"], 3.0)
        pq.write_table(table.set_column(place, "duration_min", tripled), path)


def mend(folder):
    """The log as it is."""
    shutil.rmtree(folder / "sim", ignore_errors=True)
    shutil.copytree(folder / "sound", folder / "sim", copy_function=shutil.copy2)


def nights(args, folder):
    """Runs both loops, night by night in turn."""
    found = folder / "nights.json"
    known = json.loads(found.read_text()) if found.exists() else {"warm": [], "cold": []}
    for night in range(args.nights):
        date = (args.first + datetime.timedelta(days=night)).isoformat()
        if all(len(known[loop]) > night for loop in known):
            continue
        poisoned = night == args.poisoned
        mend(folder) if night in (0, args.poisoned + 1) or poisoned else None
        if poisoned:
            poison(folder)
        for loop in known:
            if len(known[loop]) > night:
                continue
            config = folder / f"{loop}.toml"
            line = ["daily", "--config", config, "--date", date, "--json"]
            text, code = run(args.ltv, *line, codes=(0, 3))
            summary = json.loads(text)
            summary["code"] = code
            known[loop].append(summary)
            took = {stage["stage"]: stage["seconds"] for stage in summary["stages"]}
            print(f"{date} {loop}: {summary['outcome']}, train {took.get('train', 0):.1f} s,"
                  f" all {sum(took.values()):.1f} s; {'; '.join(summary['reasons'][:3])}", flush=True)
            found.write_text(json.dumps(known))
    return known


def judged(args, folder, known):
    """Every model on users registered since its night, with labels known in the end."""
    later = folder / "later"
    if not (later / "manifest.json").exists():
        config = (folder / "warm.toml").read_text().split("[refresh]")[0]
        config = config[config.index("[features.events]"):].replace("features.", "")
        config = config.replace("[dataset]", f'[dataset]\nas_of = "{args.end}"')
        (folder / "later.toml").write_text(config)
        mend(folder)
        run(args.ltv, "features", "--events", folder / "sim/events", "--users", folder / "sim/users",
            "--config", folder / "later.toml", "--registered-from", args.first, "--out", later)
    path = folder / "judged.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for loop, summaries in known.items():
        for summary in summaries:
            model = summary["candidate"] and summary["candidate"]["model"]
            if not model or f"{loop}/{summary['date']}" in results:
                continue
            text, _ = run(args.ltv, "evaluate", "--model", folder / loop / "models" / f"{model}.ltv",
                          "--data", later, "--part", "new", "--bootstrap", 0, "--json")
            rows = {}
            for result in json.loads(text)["results"]:
                for scores in result["overall"]["scores"]:
                    values = {m["metric"]: m["value"] for m in scores["metrics"]}
                    rows[f"{result['horizon']}/{scores['set']}"] = {m: values[m] for m in METRICS}
            results[f"{loop}/{summary['date']}"] = rows
            path.write_text(json.dumps(results))
    return results


def report(known, results):
    """What came of it, as tables."""
    print("\n| loop | published | kept | stopped | features s | train s | all s |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for loop, summaries in known.items():
        count = {o: sum(s["outcome"] == o for s in summaries) for o in ("published", "kept", "stopped")}
        # The first night trains from random weights in both.
        of = lambda stage: [t["seconds"] for s in summaries[1:] for t in s["stages"] if t["stage"] == stage]
        whole = [sum(t["seconds"] for t in s["stages"]) for s in summaries[1:] if s["candidate"]]
        medians = [statistics.median(of("data")), statistics.median(of("train")), statistics.median(whole)]
        numbers = " | ".join(f"{m:.2f}" for m in medians)
        print(f"| {loop} | {count['published']} | {count['kept']} | {count['stopped']} | {numbers} |")
    print("\n| features | nights | median s | rows made |")
    print("|---|--:|--:|--:|")
    both = [s for summaries in known.values() for s in summaries[1:]]
    for name, start in [("only what has changed", "only"), ("from the whole log", "from")]:
        own = [s for s in both if s["features"].startswith(start)]
        took = [t["seconds"] for s in own for t in s["stages"] if t["stage"] == "data"]
        made = statistics.median(s["made"] for s in own)
        print(f"| {name} | {len(own)} | {statistics.median(took):.2f} | {made:,.0f} |")
    pairs = zip(*([s for s in known[loop][1:] if s["candidate"]] for loop in ("warm", "cold")))
    whole = lambda s, name: sum(t["seconds"] for t in s["stages"] if name in (None, t["stage"]))
    ratios = {name: [whole(c, name) / whole(w, name) for w, c in pairs] for name, pairs in
              [("train", list(pairs))]}
    for name, found in ratios.items():
        print(f"\n{name}: cold takes {statistics.median(found):.1f} times as long, night by night in turn"
              f" ({min(found):.1f} to {max(found):.1f})")
    dates = [s["date"] for s in known["warm"][1:] if s["candidate"]]
    dates = [d for d in dates if f"warm/{d}" in results and f"cold/{d}" in results]
    horizons = sorted({int(key.split("/")[0]) for key in results[f"warm/{dates[0]}"]})
    print(f"\nmeans over {len(dates)} nights, on users registered since\n")
    print("| horizon | metric | warm | cold | sorting | warm - cold | its sd over nights |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    for horizon in horizons:
        for metric in METRICS:
            of = lambda loop, name: [results[f"{loop}/{d}"][f"{horizon}/{name}"][metric] for d in dates]
            warm, cold, plain = of("warm", "odmn"), of("cold", "odmn"), of("warm", "trivial sort")
            gaps = [w - c for w, c in zip(warm, cold)]
            mean, sd = statistics.mean, statistics.stdev
            print(f"| {horizon} | {metric} | {mean(warm):.4f} | {mean(cold):.4f} | {mean(plain):.4f}"
                  f" | {mean(gaps):+.4f} | {sd(gaps):.4f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ltv", default="target/release/ltv")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--users", type=int, default=60000)
    parser.add_argument("--drift", type=int, default=4)
    parser.add_argument("--first", type=datetime.date.fromisoformat, default="2023-05-01")
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--poisoned", type=int, default=14, help="which night, the first being 0")
    args = parser.parse_args()
    args.first = datetime.date.fromisoformat(args.first) if isinstance(args.first, str) else args.first
    args.end = "2024-07-29"
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "sound" / "manifest.json").exists():
        run(args.ltv, "simulate", "--users", args.users, "--drift", args.drift, "--out", folder / "sound")
    for loop, model_days in [("warm", 100), ("cold", 1)]:
        config = CONFIG.format(work=folder / loop, folder=folder, work_name=loop, model_days=model_days)
        (folder / f"{loop}.toml").write_text(config)
    known = nights(args, folder)
    results = judged(args, folder, known)
    report(known, results)


if __name__ == "__main__":
    main()
