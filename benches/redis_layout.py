#!/usr/bin/env python3
"""How published predictions could lie in Redis: bytes a user, and what loading and looking up cost the server.

    redis-server --port 7399 --save '' --appendonly no &
    python benches/redis_layout.py --port 7399

Loads a million users (ids of eight digits, values of 24 to 84 bytes, 44 on average) as plain keys and as hashes from id to
value, with different numbers of users in a hash and limits of its compact form, filled user by user or hash by hash.
Prints, of each: bytes a user (`used_memory`), and processor time of the server's thread for a user who is loaded, a
thousand commands at a time, and looked up, a hundred at a time. Times of 5000 single look-ups follow, as Python sees them.

Empties the server. Needs no package.
"""

import argparse
import random
import socket
import time
import zlib

VERSION = "2024-04-01-5d0b3c4d5e6f7a8b"
USERS = 1_000_000


class Server:
    """A connection that sends many commands at once."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.socket.makefile("rb", 1 << 20)

    def run(self, *commands):
        self.socket.sendall(b"".join(commands))
        return [self.answer() for _ in commands]

    def answer(self):
        line = self.answers.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.answers.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        return rest

    def usage(self):
        """Bytes, and seconds of its thread."""
        text = self.run(command("INFO"))[0].decode()
        info = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
        times = [float(info[f"used_cpu_{part}_main_thread"]) for part in ("user", "sys")]
        return int(info["used_memory"]), sum(times)


def command(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word.encode() if isinstance(word, str) else word
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def measure(server, name, load, look_up, ids):
    server.run(command("FLUSHALL"))
    time.sleep(0.3)
    bytes_before, before = server.usage()
    pending = []
    for one in load:
        pending.append(one)
        if len(pending) == 1000:
            server.run(*pending)
            pending.clear()
    server.run(*pending, command("PING"))
    bytes_after, loaded = server.usage()
    pick, reads = random.Random(2), 100_000
    for _ in range(reads // 100):
        found = server.run(*(look_up(pick.choice(ids)) for _ in range(100)))
        assert None not in found
    _, read = server.usage()
    times = []
    for _ in range(5000):
        one = look_up(pick.choice(ids))
        begin = time.perf_counter()
        server.run(one)
        times.append(time.perf_counter() - begin)
    times.sort()
    print(f"{name:45} {(bytes_after - bytes_before) / USERS:6.1f} bytes a user, "
          f"load {(loaded - before) / USERS * 1e6:.2f} us, look-up {(read - loaded) / reads * 1e6:.2f} us; "
          f"single p50 {times[2500] * 1e6:.0f} us", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    server = Server(parser.parse_args().port)
    source = random.Random(1)
    ids = list(dict.fromkeys(str(source.randrange(10**8)) for _ in range(USERS * 11 // 10)))[:USERS]
    blob = source.randbytes(1 << 20)

    def value(user):
        mark = zlib.crc32(b"v" + user.encode())
        numbers = 5 if mark % 10 < 6 else 15 + mark % 6
        begin = mark % 1_000_000
        return blob[begin:begin + 4 + 4 * numbers]

    measure(server, "plain keys", (command("SET", f"ltv:{VERSION}:{i}", value(i)) for i in ids),
            lambda i: command("GET", f"ltv:{VERSION}:{i}"), ids)
    for size, limit, whole in [(32, 128, True), (64, 128, True), (100, 128, True), (128, 128, True), (256, 128, True),
                               (64, 128, False), (64, 64, True), (64, 64, False)]:
        server.run(command("CONFIG", "SET", "hash-max-listpack-value", str(limit)))
        buckets = USERS // size

        def key(user):
            return f"ltv:{VERSION}:{zlib.crc32(user.encode()) % buckets}"

        if whole:
            members = {}
            for user in ids:
                members.setdefault(key(user), []).append(user)
            load = (command("HSET", name, *(word for user in users for word in (user, value(user))))
                    for name, users in members.items())
        else:
            load = (command("HSET", key(user), user, value(user)) for user in ids)
        measure(server, f"hashes of {size}, limit {limit}, {'hash by hash' if whole else 'user by user'}", load,
                lambda i: command("HGET", key(i), i), ids)


if __name__ == "__main__":
    main()
