#!/usr/bin/env python3
"""The whole way for more users than disk or one sitting can hold: simulated, reduced to features and
deleted shard by shard, then one epoch of training and the evaluation.

    benches/scale.py --ltv target/release/ltv --folder /tmp/scale --users 180000000 --shards 60

Killed at any point, or stopped by --until-minutes, it goes on where it was when it is started again
with the same options, and ends with the bytes that an undisturbed run would have had. Exit code 0:
all is done; 3: stopped by --until-minutes, start it again; 1 or 2: something is wrong, and it says
what.

    FOLDER/ledger.jsonl        what was run: seconds, memory, bytes, one line an attempt
    FOLDER/data/shard-0001     the datasets, kept
    FOLDER/sim/shard-0001      a simulation, deleted once its dataset is whole
    FOLDER/model.ltv, evaluation.json

Wall times are summed over all attempts at a stage, those that were killed included up to their last
heartbeat (every few seconds). Prints the table of docs/results/scale.md; --table prints it for what
is done so far. Needs nothing but Python's standard library, and Linux.
"""

import argparse
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HEARTBEAT = 5.0
STAGES = ["simulate", "features", "train", "evaluate"]
GO_ON = 3
PR_SET_PDEATHSIG = 1
MIB = 1 << 20


class Ledger:
    """What was run, as JSON lines: the settings, then one line an attempt. Rewritten whole."""

    def __init__(self, path, settings):
        self.path = path
        self.attempts = []
        lines = path.read_text().splitlines() if path.exists() else []
        if lines:
            begun, *self.attempts = map(json.loads, lines)
            different = [k for k in settings if settings[k] != begun.get(k)]
            if different:
                was = ", ".join(f"--{k.replace('_', '-')} {begun.get(k)}" for k in different)
                sys.exit(f"{path.parent}: begun with {was}; give that, or another folder")
        self.settings = settings
        self.write()

    def write(self):
        draft = self.path.with_suffix(".new")
        with open(draft, "w") as file:
            for line in [self.settings, *self.attempts]:
                file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self.path)

    def begin(self, stage, shard):
        attempt = {"stage": stage, "shard": shard, "begun": round(time.time()), "seconds": 0.0,
                   "cpu": 0.0, "peak_mib": 0.0, "disk": 0, "bytes": None, "done": False}
        self.attempts.append(attempt)
        self.write()
        return attempt

    def accept(self, stage, shard, bytes_):
        """Output that is there belongs to the last attempt, even if that was killed right after."""
        mine = [a for a in self.attempts if (a["stage"], a["shard"]) == (stage, shard)]
        if mine and not any(a["done"] for a in mine):
            mine[-1].update(done=True, bytes=bytes_)
            self.write()


class Run:
    """All stages, and the clock."""

    def __init__(self, args, program, ledger):
        self.args, self.program, self.ledger = args, program, ledger
        self.folder = args.folder
        self.end = time.monotonic() + 60 * args.until_minutes if args.until_minutes else None
        self.child = None

    def is_late(self):
        return self.end is not None and time.monotonic() >= self.end

    def stop_if_late(self, what):
        if self.is_late():
            print(f"stopped before {what}: start it again to go on", flush=True)
            sys.exit(GO_ON)

    def all(self):
        for shard in range(1, self.args.shards + 1):
            self.shard(shard)
        shutil.rmtree(self.folder / "sim", ignore_errors=True)
        self.train()
        self.evaluate()

    def shard(self, shard):
        sim = self.folder / "sim" / f"shard-{shard:04}"
        data = self.folder / "data" / f"shard-{shard:04}"
        if not (data / "manifest.json").exists():
            self.stop_if_late(f"shard {shard}")
            if (sim / "manifest.json").exists():
                self.ledger.accept("simulate", shard, size(sim))
            else:
                self.step("simulate", shard, sim, [
                    "--users", self.args.users, "--shard", f"{shard}/{self.args.shards}",
                    "--out", sim])
            # As of the end of the calendar: every label is mature.
            as_of = json.loads((sim / "manifest.json").read_text())["as_of"]
            self.step("features", shard, data, [
                "--preset", "simulator", "--events", sim / "events", "--users", sim / "users",
                "--as-of", as_of, "--out", data])
        self.ledger.accept("features", shard, size(data))
        if sim.exists():
            shutil.rmtree(sim)

    def train(self):
        out = self.folder / "model.ltv"
        if not out.exists():
            self.stop_if_late("training")
            self.step("train", None, out, [
                "--data", self.folder / "data", "--epochs", 1, "--test", self.args.test,
                "--validation", self.args.validation, "--checkpoint", self.folder / "model.part",
                "--resume", "--checkpoint-steps", self.args.checkpoint_steps, "--out", out],
                can_resume=True)
        self.ledger.accept("train", None, size(out))
        (self.folder / "model.part").unlink(missing_ok=True)

    def evaluate(self):
        out = self.folder / "evaluation.json"
        if not out.exists():
            self.stop_if_late("evaluation")
            self.step("evaluate", None, out, [
                "--model", self.folder / "model.ltv", "--data", self.folder / "data",
                "--bootstrap", self.args.bootstrap, "--out", out])
        self.ledger.accept("evaluate", None, size(out))

    def step(self, stage, shard, out, flags, can_resume=False):
        """Runs a stage; one that can go on later is stopped when time is over."""
        out.parent.mkdir(exist_ok=True)
        line = [self.program, stage, *map(str, flags), "--seed", str(self.args.seed),
                "--threads", str(self.args.threads), "--quiet"]
        attempt = self.ledger.begin(stage, shard)
        log = self.folder / "errors.txt"
        begin = time.monotonic()
        with open(log, "wb") as errors:
            self.child = subprocess.Popen(line, stdin=subprocess.DEVNULL, stderr=errors,
                                          stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
        status = self.watch(attempt, begin, can_resume)
        self.child = None
        if status == 0:
            attempt.update(done=True, bytes=size(out))
        self.ledger.write()
        what = stage if shard is None else f"{stage} {shard}/{self.args.shards}"
        print(f"{what}: {attempt['seconds']:,.1f} s, {attempt['peak_mib']:,.0f} MiB", flush=True)
        if status != 0 and can_resume and self.is_late():
            print(f"stopped during {what}: start it again to go on", flush=True)
            sys.exit(GO_ON)
        if status != 0:
            sys.exit(f"ltv {' '.join(line[1:])}\nfailed ({status}): {log.read_text()}")

    def watch(self, attempt, begin, can_resume):
        """Waits for the child, and keeps the ledger's line true meanwhile; its exit code."""
        beat, told = begin, False
        while True:
            pid, status, usage = os.wait4(self.child.pid, os.WNOHANG)
            now = time.monotonic()
            if pid or now - beat >= HEARTBEAT:
                peak = usage.ru_maxrss / 1024 if pid else resident_peak(self.child.pid)
                cpu = usage.ru_utime + usage.ru_stime if pid else cpu_seconds(self.child.pid)
                attempt["seconds"] = round(now - begin, 2)
                attempt["peak_mib"] = max(attempt["peak_mib"], round(peak, 1))
                attempt["cpu"] = max(attempt["cpu"], round(cpu, 2))
                attempt["disk"] = max(attempt["disk"], size(self.folder))
                beat = now
                if not pid:
                    self.ledger.write()
            if pid:
                self.child.returncode = os.waitstatus_to_exitcode(status)
                return self.child.returncode
            if can_resume and self.is_late() and not told:
                self.child.terminate()
                told = True
            time.sleep(0.05)

    def on_signal(self, number, _frame):
        if self.child:
            self.child.terminate()
        sys.exit(128 + number)


def die_with_parent():
    """A child that outlived this program would work beside the one of the next start."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def resident_peak(pid):
    """Peak resident memory so far, in MiB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM")), 0.0)


def cpu_seconds(pid):
    """Processor time so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size(path):
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                pass  # a temporary file of the child
    return total


def table(ledger):
    """What the stages took, in Markdown."""
    users = ledger.settings["users"]
    rows = ["| stage | runs | wall time | for a million users | of the processor | peak memory | written |",
            "|---|---|---|---|---|---|---|"]
    total = 0.0
    for stage in STAGES:
        mine = [a for a in ledger.attempts if a["stage"] == stage]
        done = [a for a in mine if a["done"]]
        if not done:
            continue
        share = 1.0 if done[0]["shard"] is None else len(done) / ledger.settings["shards"]
        seconds = sum(a["seconds"] for a in mine)
        total += seconds
        million = 1e6 / (users * share)
        cpu = sum(a["cpu"] for a in mine)
        peak = max(a["peak_mib"] for a in mine)
        written = sum(a["bytes"] for a in done)
        rows.append(f"| `{stage}` | {len(mine)} | {clock(seconds)} | {seconds * million:.1f} s | "
                    f"{cpu * million:.1f} s | {peak:,.0f} MiB | {amount(written)} |")
    disk = max((a["disk"] for a in ledger.attempts), default=0)
    return "\n".join(rows) + (f"\n\n{users:,} users in {ledger.settings['shards']} shards: "
                              f"{clock(total)} in all, at most {amount(disk)} of disk at a time.")


def clock(seconds):
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def amount(bytes_):
    for unit, name in [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]:
        if bytes_ >= unit:
            return f"{bytes_ / unit:.1f} {name}"
    return f"{bytes_} B"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ltv", required=True, help="the program")
    parser.add_argument("--folder", required=True, type=Path, help="made if it is not there")
    parser.add_argument("--users", required=True, type=int)
    parser.add_argument("--shards", required=True, type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--test", type=float, default=0.1, help="share of users kept for the evaluation")
    parser.add_argument("--validation", type=float, default=0.01, help="share of users that validate")
    parser.add_argument("--checkpoint-steps", type=int, default=2000)
    parser.add_argument("--bootstrap", type=int, default=0, help="replicates of the evaluation")
    parser.add_argument("--until-minutes", type=float, metavar="M",
                        help="begin no shard after so many minutes, and break off training")
    parser.add_argument("--table", action="store_true", help="only print the table")
    return parser.parse_args()


def main():
    args = arguments()
    program = shutil.which(args.ltv) or sys.exit(f"{args.ltv}: no such program")
    args.folder.mkdir(parents=True, exist_ok=True)
    # What decides the bytes; threads do not.
    keys = ["users", "shards", "seed", "test", "validation", "checkpoint_steps", "bootstrap"]
    with open(args.folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"{args.folder}: another run is at work in it")
        ledger = Ledger(args.folder / "ledger.jsonl", {k: getattr(args, k) for k in keys})
        if not args.table:
            run = Run(args, os.path.abspath(program), ledger)
            for number in [signal.SIGINT, signal.SIGTERM]:
                signal.signal(number, run.on_signal)
            run.all()
        print(table(ledger))


if __name__ == "__main__":
    main()
