#!/usr/bin/env python3
"""Features and scores on Spark against the same on one machine without it: the same rows, the same predictions, an
executor killed in the middle, and users a second for each core.

    benches/spark.py --folder /tmp/spark --users 2000000

Needs Linux, Java 17, and an interpreter with the package `ltv` (a release build: pip install 'ltv[spark]') which
executors run too. Users come from `ltv.simulate`; the network is trained for a moment on some others, or given by
--model. Without Spark as many threads are used as executors have cores. On Spark, times include everything: the pass
for what is refused, the count of rows that parts are compared with, and the commit; not the start of the cluster. Rows
and scores are compared cell by cell, in memory.

Killed at any point, it goes on where it was when started again with the same options: what is there is
not made again. Leaves in FOLDER:

    sim, data           simulated users, and their dataset
    model.ltv           the network
    local               the snapshot without Spark
    rows-MASTER, scores-MASTER, killed-MASTER    what Spark made
    result.json         all numbers

Prints a table. Exit code 1 when anything differs.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq

import ltv
from ltv import _ltv

#: Users register until the day before.
AS_OF = "2023-06-25"
HORIZONS = [30, 90, 180, 365]
#: Users that the network is trained on.
LEARNERS = 50_000


def timed(work):
    began = time.monotonic()
    made = work()
    return made, time.monotonic() - began


def note(text):
    print(f"  {text}", file=sys.stderr, flush=True)


class Remembered:
    """Numbers by name, on disk as soon as they are known."""

    def __init__(self, path, settings):
        self.path = path
        self.known = json.loads(path.read_text()) if path.exists() else {"settings": settings}
        if self.known["settings"] != settings:
            sys.exit(f"{path}: begun with {self.known['settings']}; give that, or another folder")

    def __call__(self, name, work):
        if name not in self.known:
            note(name)
            self.known[name] = work()
            self.path.write_text(json.dumps(self.known, indent=2) + "\n")
        return self.known[name]


# --- without Spark ---


def features(args, cores):
    sim = args.folder / "sim"
    if not (sim / "manifest.json").exists():
        ltv.simulate(sim, users=args.users, seed=args.seed, verbose=False)
    made, seconds = timed(lambda: ltv.features(
        ltv.Simulation(sim), out=args.folder / "data", as_of=AS_OF, horizons=HORIZONS, n_jobs=cores, verbose=False))
    return {"rows": len(made), "events": made.manifest["events"], "seconds": seconds, "cores": cores}


def network(args):
    path = args.folder / "model.ltv"
    if args.model:
        shutil.copy(args.model, path)
    else:
        sim = ltv.simulate(users=min(args.users, LEARNERS), seed=args.seed + 1, verbose=False)
        data = ltv.features(sim, as_of=AS_OF, horizons=HORIZONS, verbose=False)
        ltv.ODMN(epochs=1, verbose=False).fit(data).save(path)
    return {"bytes": path.stat().st_size}


def score(args, cores):
    model, out = _ltv.Model.load(args.folder / "model.ltv"), args.folder / "local"
    made, seconds = timed(lambda: model.score([str(args.folder / "data")], str(out), "expectation", True, cores))
    return {"rows": json.loads(made)["rows"], "seconds": seconds, "cores": cores}


# --- on Spark, in a process of its own ---


def named(master):
    return re.sub(r"[^a-z0-9]+", "-", master.lower()).strip("-")


def cores_of(master):
    numbers = [int(n) for n in re.findall(r"\d+", master)]
    return numbers[0] * numbers[1] if master.startswith("local-cluster") else numbers[0]


def session(args, master):
    import pyspark
    from pyspark.sql import SparkSession

    # Workers write below Spark's own folder.
    home = args.folder / "spark-home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    for entry in Path(pyspark.__file__).parent.iterdir():
        (home / entry.name).symlink_to(entry)
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(home),
                   "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(args.folder / "spark-local")}
    cluster = master.startswith("local-cluster")
    memory = int(re.findall(r"\d+", master)[2]) if cluster else args.memory
    builder = SparkSession.builder.master(master).appName("benches/spark.py")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": f"{1024 if cluster else memory}m",
        "spark.executor.memory": f"{memory}m",
        "spark.sql.shuffle.partitions": str(args.partitions),
        "spark.log.level": "ERROR",
    }.items():
        builder = builder.config(name, value)
    found = builder.getOrCreate()
    # Executors and their Python are up, and have imported the package.
    found.range(1000, numPartitions=4).mapInArrow(imported, "id BIGINT").count()
    return found


def imported(batches):
    import ltv.spark  # noqa: F401

    yield from batches


def rows_of(args, master):
    spark, out = session(args, master), args.folder / f"rows-{named(master)}"
    events, users = (spark.read.parquet(str(args.folder / "sim" / name)) for name in ("events", "users"))
    options = json.loads(_ltv.simulator_options())
    rows, checked = timed(lambda: ltv.spark.features(events, users, as_of=AS_OF, horizons=HORIZONS, options=options))
    _, seconds = timed(lambda: rows.write.mode("overwrite").parquet(str(out)))
    return {"seconds": checked + seconds, "checks": checked, "cores": cores_of(master)}


def scores_of(args, master, partitions=None, kill=False):
    spark = session(args, master)
    out = args.folder / f"{'killed' if kill else 'scores'}-{named(master)}"
    shutil.rmtree(out, ignore_errors=True)
    rows = spark.read.parquet(str(args.folder / f"rows-{named(master)}"))
    killer = Killer(args.folder, spark) if kill else None
    found = {"cores": cores_of(master)}
    try:
        made, found["seconds"] = timed(lambda: ltv.spark.score(
            rows, args.folder / "model.ltv", out, as_of=AS_OF, partitions=partitions))
        found |= {"rows": made["rows"], "files": len(made["files"])}
    except ltv.ScoreError as error:
        if not kill:
            raise
        found |= {"refused": str(error)}
    if killer:
        found["killed"] = killer.finish()
    found["left"] = [path.name for path in args.folder.glob(".ltv-*")]
    return found


class Killer(threading.Thread):
    """Kills an executor of this session once a part of the snapshot is there."""

    def __init__(self, folder, spark):
        super().__init__(daemon=True)
        self.folder, self.over, self.killed = folder, threading.Event(), None
        self.parent = spark.sparkContext._gateway.proc.pid
        self.start()

    def executors(self):
        for process in Path("/proc").iterdir():
            try:
                if (process.name.isdigit() and b"CoarseGrainedExecutorBackend" in (process / "cmdline").read_bytes()
                        and self.parent in ancestors(int(process.name))):
                    yield int(process.name)
            except OSError:
                continue

    def run(self):
        while not self.over.wait(0.01):
            if list(self.folder.glob(".ltv-spark-killed-*/part-*")):
                self.killed = next(self.executors(), None)
                if self.killed is not None:
                    os.kill(self.killed, signal.SIGKILL)
                return

    def finish(self):
        self.over.set()
        self.join()
        return self.killed is not None


def ancestors(process):
    found = []
    while process > 1:
        stat = Path(f"/proc/{process}/stat").read_text()
        process = int(stat.rsplit(")", 1)[1].split()[1])
        found.append(process)
    return found


def in_a_process(args, master, what):
    """Each cluster in a process, and a JVM, of its own."""
    line = [sys.executable, __file__, "--folder", args.folder, "--partitions", args.partitions,
            "--memory", args.memory, "--child", what, master]
    done = subprocess.run([str(word) for word in line], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{what} on {master} failed")
    return json.loads(done.stdout.splitlines()[-1])


CHILD = {
    "rows": rows_of,
    "scores": scores_of,
    # Many parts, so that it is in the middle of them.
    "killed": lambda args, master: scores_of(args, master, partitions=4 * cores_of(master), kill=True),
}


# --- compared ---


def table_of(files):
    import pyarrow as pa

    parts = [pq.read_table(path) for path in files]
    return pa.concat_tables(part.replace_schema_metadata() for part in parts).sort_by("user_id")


def manifest_files(folder):
    return [folder / file["path"] for file in json.loads((folder / "manifest.json").read_text())["files"]]


def differences(found, wanted):
    """The columns that are not the same, cell by cell, with users in order."""
    found, wanted = table_of(found), table_of(wanted)
    if found.column_names != wanted.column_names or len(found) != len(wanted):
        return ["names of columns, or number of rows"]
    return [name for name in wanted.column_names if not found.column(name).equals(wanted.column(name))]


# --- the whole ---


def line(what, where, of, rows, local=None):
    each = rows / of["seconds"] / of["cores"]
    share = f"{each / local:.2f}" if local else "1"
    print(f"| {what} | {where} | {of['cores']} | {of['seconds']:.1f} | {each:,.0f} | {share} |")
    return each


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, type=Path, help="made where it is missing, kept")
    parser.add_argument("--users", type=int, default=2_000_000, help="simulated users")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation")
    parser.add_argument("--model", type=Path, help="a network to score with, trained on simulated users")
    parser.add_argument("--masters", nargs="+", default=["local-cluster[2,1,4096]", "local[2]", "local[1]"],
                        help="where Spark runs")
    parser.add_argument("--partitions", type=int, default=16, help="of Spark's shuffles")
    parser.add_argument("--memory", type=int, default=4096, help="MiB of local[N]")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.folder = args.folder.absolute()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.child:
        what, master = args.child
        print(json.dumps(CHILD[what](args, master)))
        return
    keep = Remembered(args.folder / "result.json", {"users": args.users, "seed": args.seed, "version": ltv.__version__})
    wrong = []
    for cores in sorted({cores_of(master) for master in args.masters}):
        local = keep(f"features, {cores} threads", lambda: features(args, cores))
        keep("network", lambda: network(args))
        keep(f"scores, {cores} threads", lambda: score(args, cores))
    for master in args.masters:
        whats = [what for what in CHILD if what != "killed" or master.startswith("local-cluster")]
        for what in whats:
            keep(f"{what}, {master}", lambda: in_a_process(args, master, what))
        name = named(master)
        rows = sorted((args.folder / f"rows-{name}").glob("part-*.parquet"))
        compared = {"rows": (rows, manifest_files(args.folder / "data"))}
        for what in whats[1:]:
            refused = keep.known[f"{what}, {master}"].get("refused")
            if refused is None:
                compared[what] = (manifest_files(args.folder / f"{what}-{name}"), manifest_files(args.folder / "local"))
        for what, (found, wanted) in compared.items():
            differ = keep(f"differences of {what}, {master}", lambda: differences(found, wanted))
            if differ:
                wrong.append(f"{what} on {master}: {', '.join(differ)}")
    known = keep.known
    print(f"\n{local['rows']:,} users, {local['events']:,} events\n")
    print("| what | where | cores | seconds | users/s for each core | of local |")
    print("|---|---|--:|--:|--:|--:|")
    for what, without in (("rows", "features"), ("scores", "scores")):
        each = {}
        for cores in sorted({cores_of(master) for master in args.masters}):
            of = known[f"{without}, {cores} threads"]
            each[cores] = line(without, f"without Spark, {cores} threads", of, of["rows"])
        for master in args.masters:
            line(without, master, known[f"{what}, {master}"], local["rows"], each[cores_of(master)])
    for master in args.masters:
        of = known.get(f"killed, {master}")
        if of and "refused" in of:
            print(f"\n{master}, an executor killed: refused: {of['refused']}")
        elif of:
            how = "killed" if of["killed"] else "NOT killed (it was over before)"
            print(f"\n{master}, an executor {how}: {of['rows']:,} users in {of['files']} files, {of['seconds']:.1f} s")
            if not of["killed"]:
                wrong.append(f"no executor of {master} was killed")
        left = [name for what in CHILD for name in known.get(f"{what}, {master}", {}).get("left", [])]
        wrong += [f"{name} was left by {master}" for name in left]
    print("\nrows and scores are the same, cell by cell" if not wrong else "\nDIFFERENT: " + "; ".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
