#!/usr/bin/env python3
"""What a look-up costs: our server in front of a folder and of Redis, next to Redis itself and a server that does nothing.

    cargo build --release && cargo build --release -p ltv-serve --example bare
    python benches/online.py --users 1000000 --rounds 3

Publishes made-up users to a folder and to a Redis of its own (`ltv bench publish --store`), starts `ltv serve` for each, with a token,
and the example `bare` (axum with one handler that answers the same text to everybody). Then, round by round and in turn:

- the peak: `wrk` with some connections, each asking for one random user after the other;
- Redis itself: `redis-benchmark`, GET of random keys with values as long as ours, as many connections;
- half of the peak: `wrk` with 64 clients, each of whom waits for a random time after an answer, so that requests come as
  those of many do who know nothing of each other.

With --publishing N only a publication of N users is measured, values alone, while a server answers from the same store:
rate, bytes a user, peak memory of the publisher, the time of a switch, and whether a reader of batches saw an error or a
version twice.

The load, the servers and Redis share this machine's cores. Every answer is checked for its status; prints a table of medians over
rounds. Wants `wrk`, `redis-server` and `redis-benchmark` on the PATH.
"""

import argparse
import contextlib
import http.client
import json
import pathlib
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

STEP = 0x9E3779B97F4A7C15  # ids of `ltv bench publish`: i * STEP, as 64 bits with a sign
SHOWN = 100_000  # users that are asked for
CLIENTS = 64  # at half of the peak


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--ltv", default="target/release/ltv")
    parser.add_argument("--bare", default="target/release/examples/bare")
    parser.add_argument("--publishing", type=int, metavar="N")
    parser.add_argument("--scratch", help="folder for the store")
    return parser.parse_args()


def run(*command, **how):
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, **how).stdout


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(port, *command):
    """A server, once it takes connections."""
    words = [str(word) for word in command]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1000):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if server.poll() is not None:
                raise SystemExit(f"{' '.join(words)}: ended with {server.returncode}")
            time.sleep(0.01)
        yield server
    finally:
        server.terminate()
        server.wait()


def ids(users):
    """Some of the users, evenly."""
    every = max(1, users // SHOWN)
    for i in range(0, users, every):
        number = (i * STEP) % (1 << 64)
        yield number - (1 << 64) if number >= 1 << 63 else number


class Load:
    """Asks a server of ours, or the bare one."""

    def __init__(self, folder, options, token):
        self.options, self.token, self.folder = options, token, folder
        self.users = list(ids(options.users))
        (folder / "ids").write_text("\n".join(map(str, self.users)))

    def script(self, pause):
        """Random users; clients wait for `pause` milliseconds on average, from none to twice that."""
        waits = f"delay = function() return math.random(0, {round(2 * pause)}) end" if pause else ""
        return f"""
            local ids, count = {{}}, 0
            for line in io.lines("{self.folder}/ids") do count = count + 1; ids[count] = line end
            math.randomseed(os.time())
            local headers = {{ ["authorization"] = "Bearer {self.token}" }}
            request = function()
                return wrk.format("GET", "/v1/ltv/" .. ids[math.random(count)], headers)
            end
            {waits}
            done = function(summary, latency)
                io.write(string.format("RESULT %f %d %f %f %f\\n",
                    summary.requests * 1e6 / summary.duration,
                    summary.errors.status + summary.errors.read + summary.errors.timeout,
                    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
            end
            """

    def peak(self, port):
        """Requests a second, and the times that they took in milliseconds."""
        return self.ask(port, self.options.connections, 0)

    def paced(self, port, rate):
        """The same of clients who ask so many times a second together, about."""
        return self.ask(port, CLIENTS, 1e3 * CLIENTS / rate)

    def ask(self, port, connections, pause):
        script, url = self.folder / "ask.lua", f"http://127.0.0.1:{port}"
        script.write_text(self.script(pause))
        out = run("wrk", "-t1", f"-c{connections}", f"-d{self.options.seconds}s", "-s", script, url)
        rate, errors, *times = map(float, re.search(r"RESULT (.*)", out)[1].split())
        if errors:
            raise SystemExit(f"{errors:.0f} requests failed: {out}")
        return rate, *(micros / 1e3 for micros in times)


def redis_itself(port, options):
    """GET of random keys, as `redis-benchmark` does it."""
    common = ["redis-benchmark", "-p", port, "-c", options.connections, "-r", options.users, "-d", 44, "--csv"]
    probe = float(run(*common, "-t", "get", "-n", 100_000).splitlines()[-1].split(",")[1].strip('"'))
    out = run(*common, "-t", "get", "-n", int(probe * options.seconds)).splitlines()[-1]
    _, rate, _, _, p50, _, p99, _ = (word.strip('"') for word in out.split(","))
    return float(rate), float(p50), float(p99), None


def row(name, what, rounds):
    def median(i):
        found = [r[i] for r in rounds if r[i] is not None]
        return statistics.median(found) if found else None

    rate, *times = (median(i) for i in range(4))
    spread = f"{min(r[0] for r in rounds):,.0f} to {max(r[0] for r in rounds):,.0f}"
    times = " | ".join("" if t is None else f"{t:.2f}" for t in times)
    print(f"| {name} | {what} | {rate:,.0f} ({spread}) | {times} |")


def measure(servers, redis, load, options):
    peaks = {name: [] for name in [*servers, "redis-benchmark GET"]}
    halves = {name: [] for name in servers}
    for _ in range(options.rounds):
        for name, port in servers.items():
            peaks[name].append(load.peak(port))
        peaks["redis-benchmark GET"].append(redis_itself(redis, options))
    for _ in range(options.rounds):
        for name, port in servers.items():
            rate = statistics.median(r[0] for r in peaks[name]) / 2
            halves[name].append(load.paced(port, rate))
    print(f"{options.users:,} users, {options.connections} connections, {options.rounds} rounds of {options.seconds} s\n")
    print("| server | load | requests/s, median (range) | p50, ms | p99, ms | p99.9, ms |\n|---|---|--:|--:|--:|--:|")
    for name, rounds in peaks.items():
        row(name, "peak", rounds)
    for name, rounds in halves.items():
        row(name, "half", rounds)


def publish(options, store):
    out = run(options.ltv, "bench", "publish", "--store", store, "--users", options.users, "--seconds", 1, "--quiet", "--json")
    found = json.loads(out)
    print(f"{store}: {found['users_per_second']:,.0f} users/s published, {found['bytes_per_user'] or 0:.1f} bytes a user")


class Reader(threading.Thread):
    """Asks for batches without a pause; every answer must be whole, and of one version that comes after those before."""

    def __init__(self, port, users):
        super().__init__(daemon=True)
        self.port, self.body = port, json.dumps({"user_ids": users})
        self.users, self.answers, self.slowest, self.versions, self.faults = len(users), 0, 0.0, [], []
        self.stopped = threading.Event()

    def run(self):
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.stopped.is_set():
            began = time.perf_counter()
            link.request("POST", "/v1/ltv:batch", self.body)
            answer = link.getresponse()
            document = json.loads(answer.read())
            self.slowest = max(self.slowest, time.perf_counter() - began)
            if answer.status == 503 and not self.versions:
                continue  # nothing is published yet
            self.answers += 1
            if answer.status != 200 or len(document["results"]) != self.users:
                self.faults.append(document)
            elif not self.versions or self.versions[-1] != document["version"]:
                self.versions.append(document["version"])
            # What is live can differ between users only if two versions were mixed.
            found = {user["found"] for user in document.get("results", [])}
            if len(self.versions) > 1 and self.versions[-1] == self.versions[1] and found != {True}:
                self.faults.append(document)


def watched(*command):
    """What a program prints, and the most memory it had: its own, and pages of files that the system may drop."""
    words = [str(word) for word in command]
    peaks = {"RssAnon": 0, "RssFile": 0}
    with tempfile.TemporaryFile("w+") as out:
        program = subprocess.Popen(words, stdout=out)
        while program.poll() is None:
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{program.pid}/status").read_text()
                for name in peaks:
                    size = re.search(rf"{name}:\s+(\d+) kB", status)
                    peaks[name] = max(peaks[name], int(size[1]) if size else 0)
            time.sleep(0.02)
        if program.returncode:
            raise SystemExit(f"{' '.join(words)}: ended with {program.returncode}")
        out.seek(0)
        return out.read(), peaks


def publishing(options, folder):
    """Publishes while a server answers from the same store."""
    store, port = folder / "store", free_port()
    serve = [options.ltv, "serve", "--store", store, "--listen", f"127.0.0.1:{port}", "--refresh", "0.1"]
    words = ["bench", "publish", "--store", store, "--users", options.publishing, "--values-only"]
    with running(port, *serve):
        reader = Reader(port, list(ids(options.publishing))[:100])
        reader.start()
        found, peaks = watched(options.ltv, *words, "--seconds", 5, "--quiet", "--json")
        time.sleep(5)
        reader.stopped.set()
        reader.join()
    print(json.dumps(json.loads(found), indent=1))
    print("publisher, at most: " + ", ".join(f"{name} {size / 1024:,.0f} MiB" for name, size in peaks.items()))
    print(f"reader: {reader.answers:,} batches, slowest {1e3 * reader.slowest:.1f} ms, versions {reader.versions}")
    print(f"faults: {len(reader.faults)} {reader.faults[:1]}")


def main():
    options = arguments()
    if options.publishing:
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            publishing(options, pathlib.Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        made = subprocess.run([options.ltv, "serve", "--new-token", "load"], check=True, capture_output=True, text=True)
        (folder / "tokens").write_text(made.stdout)
        load = Load(folder, options, made.stderr.splitlines()[0])
        redis, embedded, behind, bare = (free_port() for _ in range(4))
        where = ["--save", "", "--appendonly", "no", "--dir", folder, "--bind", "127.0.0.1"]
        stack.enter_context(running(redis, "redis-server", "--port", redis, *where))
        address = f"redis://127.0.0.1:{redis}"
        publish(options, folder / "store")
        publish(options, address)
        run("redis-benchmark", "-p", redis, "-r", options.users, "-d", 44, "-t", "set", "-n", options.users, "-P", 64, "-q")
        for port, store in ((embedded, folder / "store"), (behind, address)):
            serve = [options.ltv, "serve", "--store", store, "--tokens", folder / "tokens"]
            stack.enter_context(running(port, *serve, "--listen", f"127.0.0.1:{port}"))
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/ltv/{load.users[-1]}")
            asked.add_header("authorization", f"Bearer {load.token}")
            print(f"{store}: answers {len(urllib.request.urlopen(asked).read())} bytes")
        stack.enter_context(running(bare, options.bare, f"127.0.0.1:{bare}"))
        servers = {"ltv serve, folder": embedded, "ltv serve, Redis": behind, "axum, nothing looked up": bare}
        measure(servers, redis, load, options)


if __name__ == "__main__":
    main()
