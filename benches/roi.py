#!/usr/bin/env python3
"""The paper's Table 4: ODMN against ZILN and against Two-Stage in an A/B test, as `ltv roi` replays it, on
simulated users and on commits to open-source projects.

    benches/roi.py --ltv target/release/ltv --folder /tmp/roi --users 1000000
    benches/roi.py --ltv target/release/ltv --folder /tmp/roi --log oss_commits.parquet --only commits

Simulated: users of `ltv simulate`; models are trained on what was known on one day and judged on whoever
registered from then on. Costs are the simulator's; those who cost nothing are left out. Commits: value is
active days, and there are no costs, so that they are stated: log-normal with median 1 and sigma 0.5 by a
hash of the user; uplifts hold for that cost model only.

Two-Stage needs a program built with --features xgboost; without it, it is skipped with a word. Killed at
any point, it goes on where it was when started again with the same options: what is there is not made
again. Each comparison is made for three seeds of training. Prints one table for each set, and leaves in FOLDER/SET:

    train, later        the datasets
    compared            the models, by 'ltv compare'
    ODMN-over-ZILN-1.json, .html    one experiment, for each pair and seed

Needs nothing but Python's standard library.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

HORIZONS = [7, 14, 30, 90]
SEEDS = [1, 2, 3]
PAIRS = [("ZILN", "ODMN"), ("Two-Stage", "ODMN")]

# Settings that examples/*/compare.toml found for ZILN, on its own validation users.
CONFIG = """
seeds = {seeds}
bootstrap = 200

[split]
validation = 0.10
mature = "shortest"

[[models]]
name = "ODMN"
network = {{}}

[[models]]
name = "ZILN"
network = {{ encoding = {{ max_bins = 2 }}, model = {{ head = "ziln", bottom = [128, 64], dropout = {dropout} }}, \
fit = {{ rate = 0.001, embedding_rate = 0.001, batch = 1024, epochs = {epochs}, patience = {patience} }} }}
"""

TWO_STAGE = """
[[models]]
name = "Two-Stage"
peer = { kind = "two_stage", form = "product" }
"""


class Failed(Exception):
    """The program said no."""


class Program:
    """The binary, which is run quietly and must do what it is asked."""

    def __init__(self, path):
        self.path = shutil.which(path) or sys.exit(f"{path}: no such program")

    def __call__(self, *words):
        words = [str(word) for word in words]
        print(f"  ltv {' '.join(words)}", file=sys.stderr, flush=True)
        done = subprocess.run([self.path, *words, "--quiet"], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        return done.stdout

    def features(self, out, *words):
        if not (out / "manifest.json").exists():
            self("features", *words, "--horizons", ",".join(map(str, HORIZONS)), "--out", out)


def simulated(ltv, at, args):
    """Users who registered over 540 days; trained on what was known after 450, judged on the rest."""
    sim = at / "sim"
    if not (sim / "manifest.json").exists():
        ltv("simulate", "--users", args.users, "--seed", args.seed, "--out", sim)
    base = ["--preset", "simulator", "--events", sim / "events", "--users", sim / "users"]
    ltv.features(at / "train", *base, "--as-of", "2023-03-27")
    ltv.features(at / "later", *base, "--as-of", "2024-07-29", "--registered-from", "2023-03-27")
    return ["--cost", "cost", "--leave-out-free", "--by", "channel"]


def commits(ltv, at, args):
    """Trained on what was known on 2021-07-01, judged on those who came in the two years after."""
    config = Path(__file__).parent.parent / "examples/oss_commits/features.toml"
    base = ["--events", args.log, "--config", config]
    ltv.features(at / "train", *base)
    ltv.features(at / "later", *base, "--as-of", "2024-10-20", "--registered-from", "2021-07-01",
                 "--registered-before", "2023-10-14")
    # Some thousand users are left: arms of a tenth would be noise.
    return ["--cost-model", "lognormal:1,0.5", "--arm-share", "0.5"]


SETS = {
    "simulated": (simulated, {"dropout": 0.0, "epochs": 10, "patience": 3}),
    "commits": (commits, {"dropout": 0.2, "epochs": 120, "patience": 10}),
}


def train(ltv, at, fit):
    """Trains what is missing. Without XGBoost all but Two-Stage."""
    text = CONFIG.format(seeds=SEEDS, **fit)
    line = ["--data", at / "train", "--test", at / "later", "--out", at / "compared"]
    config = at / "compare.toml"
    for more in [TWO_STAGE, ""]:
        config.write_text(text + more)
        try:
            ltv("compare", "--config", config, *line)
            return
        except Failed as failed:
            if not more or "xgboost" not in str(failed).lower():
                raise
            print("Two-Stage is skipped: the program was built without --features xgboost")


def models(at):
    """Files of models that predict 30 days, by name and seed."""
    found = {}
    for record in (at / "compared/runs").glob("*/run.json"):
        run = json.loads(record.read_text())
        for model in run["models"]:
            if 30 in model["horizons"]:
                found[run["name"], run["seed"]] = record.parent / model["file"]
    return found


def figure(value):
    if value["value"] is None:
        return "–"
    text = f"{100 * value['value']:+.1f} %"
    if value["interval"]:
        low, high = (100 * value["interval"][end] for end in ("low", "high"))
        text += f" [{low:+.1f}, {high:+.1f}]"
    return text


def experiments(ltv, at, name, options):
    known = models(at)
    print(f"\n### {name}\n")
    print("| comparison | seed | where | ROI-7 | ROI-14 | ROI-30 | users an arm for 5 % (ROI-30) |")
    print("|---|--:|---|--:|--:|--:|--:|")
    for control, treatment in PAIRS:
        for seed in SEEDS:
            # A peer that draws nothing is trained once.
            first = known.get((control, seed), known.get((control, SEEDS[0])))
            if first is None:
                continue
            out = at / f"{treatment}-over-{control}-{seed}"
            ltv("roi", "--data", at / "later", "--control", first, "--treatment",
                known[treatment, seed], "--outcomes", "7,14,30", *options,
                "--out", f"{out}.json", "--report", f"{out}.html")
            found = json.loads(Path(f"{out}.json").read_text())
            users = found["power"]["outcomes"][-1]["users"]
            who = f"{treatment} over {control}"
            arms = " | ".join(map(figure, found["split"]["uplift"]))
            print(f"| {who} | {seed} | two arms | {arms} | {users or '–'} |")
            everybody = " | ".join(map(figure, found["replay"]["policies"][1]["uplift"]))
            print(f"| {who} | {seed} | everybody | {everybody} | |")
            same = " | ".join(map(figure, found["split"]["same_model"]))
            print(f"| {control} over itself | {seed} | two arms | {same} | |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ltv", required=True, help="the program")
    parser.add_argument("--folder", required=True, type=Path, help="made where it is missing, kept")
    parser.add_argument("--users", type=int, default=1_000_000, help="simulated users")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation")
    parser.add_argument("--log", type=Path, help="oss_commits.parquet; without it only simulated users")
    parser.add_argument("--only", choices=list(SETS))
    parser.add_argument("--bootstrap", type=int, default=1000)
    args = parser.parse_args()
    ltv = Program(args.ltv)
    wanted = [args.only] if args.only else [s for s in SETS if s != "commits" or args.log]
    if "commits" in wanted and not args.log:
        sys.exit("--only commits takes --log oss_commits.parquet")
    for name in wanted:
        at = args.folder / name
        at.mkdir(parents=True, exist_ok=True)
        make, fit = SETS[name]
        try:
            options = make(ltv, at, args)
            train(ltv, at, fit)
            experiments(ltv, at, name, [*options, "--bootstrap", args.bootstrap])
        except Failed as failed:
            sys.exit(f"{name}: {failed}")


if __name__ == "__main__":
    main()
