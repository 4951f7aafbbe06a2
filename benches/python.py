#!/usr/bin/env python3
"""The Python package against the program, on the same log of commits: wall time and predictions.

    benches/python.py --log oss_commits.parquet --program target/release/ltv --rounds 5 --json python.json

Both train on the users known on 2021-07-01 and predict those who registered later (examples/oss_commits), in processes
of their own that run in turn, A B A B ...: the program as `ltv train` and `ltv score`, Python as one process that imports
the package, fits `ltv.ODMN` and predicts, and says how long the last two took. Prints the median of each and of the rounds' ratios, whether the models have the same id and
the predictions the same bits, and, of the package: time to import it, size of the installed extension module and versions.

Needs the package in the interpreter that runs it, built with optimisation as the program is.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "oss_commits"
HORIZONS = [30, 90, 180, 365]

PYTHON = """
import sys, time
import numpy as np
import ltv

train, test, config, seed, out = sys.argv[1:]
model = ltv.ODMN(config=config, random_state=int(seed), verbose=False)
start = time.perf_counter()
predictions = model.fit(train).predict(test)
took = time.perf_counter() - start
np.save(out, predictions)
print(model.model_id_, took)
"""

IMPORT = """
import time
start = time.perf_counter()
import ltv
module = time.perf_counter() - start
ltv.ODMN
print(module, time.perf_counter() - start)
"""


def timed(*commands):
    start = time.perf_counter()
    for command in commands:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start, done.stdout


def make_datasets(program, log, folder):
    config = ["--config", EXAMPLE / "features.toml", "--quiet", "--events", log]
    later = ["--as-of", "2024-10-20", "--registered-from", "2021-07-01", "--registered-before", "2023-10-14"]
    timed([program, "features", *config, "--out", folder / "train"])
    timed([program, "features", *config, *later, "--out", folder / "test"])


def one_round(program, folder, seed):
    train, test, config = folder / "train", folder / "test", EXAMPLE / "train.toml"
    model, snapshot = folder / "model.ltv", folder / "snapshot"
    own, _ = timed(
        [program, "train", "--quiet", "--data", train, "--config", config, "--seed", seed, "--out", model],
        [program, "score", "--quiet", "--model", model, "--data", test, "--out", snapshot],
    )
    python, told = timed([sys.executable, "-c", PYTHON, train, test, config, seed, folder / "python.npy"])
    model_id, work = told.split()
    return own, python, float(work), model_id


def compare(program, folder):
    """The program's snapshot and Python's predictions, user by user."""

    def parts(name):
        return pa.concat_tables([pq.read_table(file) for file in sorted((folder / name).glob("*.parquet"))])

    columns = [f"ltv_{days}" for days in HORIZONS]
    users = parts("test").column("user_id").to_numpy()
    snapshot = parts("snapshot")
    scores = np.column_stack([snapshot.column(name).to_numpy() for name in columns])
    scores = scores[np.argsort(snapshot.column("user_id").to_numpy())]
    predictions = np.load(folder / "python.npy")[np.argsort(users)]
    told = subprocess.run([program, "inspect", folder / "model.ltv", "--json"], capture_output=True, text=True)
    return json.loads(told.stdout), len(users), bool((scores == predictions).all())


def package():
    import ltv
    from ltv import _ltv

    times = [tuple(map(float, timed([sys.executable, "-c", IMPORT])[1].split())) for _ in range(9)]
    module, estimator = (statistics.median(column) for column in zip(*times))
    return {
        "version": ltv.__version__,
        "python": platform.python_version(),
        "extension_module_mib": round(os.path.getsize(_ltv.__file__) / 2**20, 1),
        "import_ms": round(1000 * module, 1),
        "import_with_an_estimator_ms": round(1000 * estimator, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", required=True, help="oss_commits.parquet")
    parser.add_argument("--program", required=True, help="the program ltv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="file for all of it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_datasets(args.program, args.log, folder)
        rounds = [one_round(args.program, folder, args.seed) for _ in range(args.rounds)]
        bundle, users, same = compare(args.program, folder)
    own, python, work, ids = zip(*rounds)
    ratios, of_work = (sorted(b / a for a, b in zip(own, times)) for times in (python, work))
    same_model = set(ids) == {bundle["model_id"]}
    print(f"fit and predict      median of {args.rounds} rounds")
    print(f"  {'ltv train, ltv score':26} {statistics.median(own):6.2f} s")
    for name, times, found in (("Python, from start to end", python, ratios), ("Python, fit and predict", work, of_work)):
        ratio = f"{statistics.median(found):.3f} ({found[0]:.3f} to {found[-1]:.3f})"
        print(f"  {name:26} {statistics.median(times):6.2f} s   {ratio} of the program's")
    print(f"same model: {same_model}; same predictions of {users} users, to the bit: {same}")
    facts = package()
    for key, value in facts.items():
        print(f"{key:30} {value}")
    if args.json:
        found = {"program": own, "python": python, "work": work, "users": users, "same": same, "package": facts}
        Path(args.json).write_text(json.dumps(found, indent=1) + "\n")
    if not (same and same_model):
        sys.exit(1)


if __name__ == "__main__":
    main()
