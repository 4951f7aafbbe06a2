#!/usr/bin/env python3
"""Runs programs that print a speed in turn, A B C A B C ..., and compares them round by round.

A machine that others use too is faster now and slower then; programs measured one after the other
in one round have seen about the same machine, so the ratio within a round can be trusted where the
figures themselves cannot. Prints each program's median of rows per second and the median, smallest
and largest of the rounds' ratios of the first program to it.

    benches/in_turn.py --rounds 5 \\
        "ours=target/release/ltv bench train --threads 2 --quiet --json" \\
        "peer=path/to/venv/bin/python path/to/bench.py train idiomatic 512 2"

A program's speed is the number in `"rows_per_second": N` or the one before the first `rows/s` that
it prints. Needs nothing but Python's standard library.
"""

import argparse
import re
import shlex
import statistics
import subprocess
import sys

SPEED = re.compile(r'"rows_per_second":\s*([0-9.e+]+)|([0-9][0-9.,]*)\s*rows/s')


def measure(name, command, folder):
    done = subprocess.run(shlex.split(command), cwd=folder, capture_output=True, text=True)
    found = SPEED.search(done.stdout)
    if done.returncode != 0 or not found:
        sys.exit(f"{name}: no speed in what it printed (exit code {done.returncode})\n"
                 f"{done.stdout}{done.stderr}")
    return float((found[1] or found[2]).replace(",", ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("programs", nargs="+", metavar="NAME=COMMAND",
                        help="NAME@FOLDER=COMMAND runs it in FOLDER")
    args = parser.parse_args()
    speeds = {}
    for _ in range(args.rounds):
        for program in args.programs:
            head, _, command = program.partition("=")
            name, _, folder = head.partition("@")
            speeds.setdefault(name, []).append(measure(name, command, folder or None))
    first = next(iter(speeds.values()))
    print(f"{'':24} {'rows/s':>10}   first program / this one, {args.rounds} rounds")
    for name, values in speeds.items():
        ratios = sorted(a / b for a, b in zip(first, values))
        print(f"{name:24} {statistics.median(values):10.0f}   "
              f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
