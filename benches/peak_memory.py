#!/usr/bin/env python3
"""Peak memory of `ltv simulate`, `features`, `train`, `evaluate` and `score` as users grow.

    benches/peak_memory.py --ltv target/release/ltv --folder /tmp/peak 1000000 5000000

For each number of users it simulates them, makes features, trains for one epoch, evaluates, scores, and prints the peak
resident memory and the time of each program, then the ratio of the last number to the first. Folders
are removed as soon as they are no longer needed. Needs nothing but Python's standard library, and
Linux or macOS.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

AS_OF = "2024-04-01"
STEPS = ["simulate", "features", "train", "evaluate", "score"]


def commands(users, at):
    sim, data = at / "sim", at / "data"
    yield "simulate", ["--users", str(users), "--out", str(sim)]
    yield "features", ["--preset", "simulator", "--events", str(sim / "events"), "--users",
                       str(sim / "users"), "--as-of", AS_OF, "--out", str(data)]
    yield "train", ["--data", str(data), "--epochs", "1", "--out", str(at / "model.ltv")]
    yield "evaluate", ["--model", str(at / "model.ltv"), "--data", str(data), "--part", "all",
                       "--out", str(at / "evaluation.json")]
    yield "score", ["--model", str(at / "model.ltv"), "--data", str(data), "--out", str(at / "snap")]


def measure(program, step, flags):
    """Runs a step; returns its peak resident memory in MiB and its seconds."""
    begin = time.monotonic()
    pid = os.posix_spawn(program, [program, step, *flags, "--quiet"], os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"ltv {step} {' '.join(flags)} failed ({os.waitstatus_to_exitcode(status)})")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return usage.ru_maxrss / unit, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ltv", required=True, help="the program")
    parser.add_argument("--folder", required=True, type=Path, help="made, and removed at the end")
    parser.add_argument("users", nargs="+", type=int)
    args = parser.parse_args()
    program = shutil.which(args.ltv) or sys.exit(f"{args.ltv}: no such program")
    peaks = []
    for users in args.users:
        at = args.folder / str(users)
        at.mkdir(parents=True)
        found = {}
        for step, flags in commands(users, at):
            found[step] = measure(program, step, flags)
            if step == "features":
                shutil.rmtree(at / "sim")
        peaks.append(found)
        shutil.rmtree(at)
        cells = [f"{step} {peak:,.0f} MiB in {seconds:,.0f} s" for step, (peak, seconds) in found.items()]
        print(f"{users:,} users: " + ", ".join(cells), flush=True)
    args.folder.rmdir()
    ratios = [f"{step} {peaks[-1][step][0] / peaks[0][step][0]:.2f}" for step in STEPS]
    print("last to first: " + ", ".join(ratios))


if __name__ == "__main__":
    main()
