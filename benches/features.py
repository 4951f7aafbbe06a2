#!/usr/bin/env python3
"""Features of simulated users by `ltv features`, by DuckDB and by Polars, in turn.

    python benches/features.py --ltv target/release/ltv --folder /tmp/features

Simulates users (two million with ten events each), unless the folder has them, and then lets three programs make the
same dataset of the same Parquet files, A B C, B C A, ...: ours; DuckDB, which runs the statement of `--print-sql`; and
Polars, whose streaming engine runs the same features written for it by hand. Each is a process of its own,
all with as many threads, and writes Parquet (ZSTD, row groups of 65,536 rows) sorted by user; ours in its parts.
Rows, and the sum of every column, must agree. Prints medians of wall time, processor time and peak memory, and the
median, smallest and largest of the rounds' ratios to ours.

Needs duckdb and polars in the Python that runs it, and Linux or macOS. The folder is left for the next time.
"""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

WINDOW, HORIZONS = 7, [30, 90, 180, 365]
SEQUENCES = {"cnt": "n", "minutes": "duration_min", "videos": "videos", "revenue": "value"}
HOLIDAYS = [f"{month:02}-{day:02}" for month, days in {
    1: range(1, 4), 2: range(10, 17), 5: range(1, 6), 10: range(1, 8), 11: [11], 12: range(24, 27)}.items()
    for day in days]

# The tables of the statement, as docs/guide/warehouses.md makes them.
TABLES = """
SET TimeZone = 'UTC';
CREATE MACRO day_of(moment) AS CAST(CAST(moment AS DATE) - DATE '1970-01-01' AS INTEGER);
CREATE VIEW events AS SELECT user_id, day_of(timestamp) AS day, epoch_us(timestamp) % 86400000000 * 1000 AS time_ns,
    value AS num_value, duration_min AS num_duration_min, CAST(videos AS DOUBLE) AS num_videos
FROM '{sim}/events/*.parquet';
CREATE VIEW users AS SELECT user_id, day_of(registration) AS reg_day, channel AS profile_channel,
    device AS profile_device, city_tier AS profile_city_tier, cost AS keep_cost
FROM '{sim}/users/*.parquet';
CREATE TABLE calendar AS
WITH dates AS (
    SELECT CAST(day AS INTEGER) AS day, DATE '1970-01-01' + CAST(day AS INTEGER) AS date FROM range(25000) days(day)
), marked AS (
    SELECT *, CAST(isodow(date) > 5 AS INTEGER) AS free,
        CAST(strftime(date, '%m-%d') IN {holidays} AS INTEGER) AS feast
    FROM dates
)
SELECT day, CAST(isodow(date) - 1 AS VARCHAR) AS weekday, CAST(month(date) AS VARCHAR) AS month,
    CAST(free AS VARCHAR) AS weekend, CAST(feast AS VARCHAR) AS holiday,
    AVG(free) OVER week AS weekend_share, AVG(feast) OVER week AS holiday_share
FROM marked WINDOW week AS (ORDER BY day ROWS BETWEEN CURRENT ROW AND {more} FOLLOWING);
"""


def run_duckdb(args):
    import duckdb

    db = duckdb.connect(config={"threads": args.threads, "temp_directory": str(args.folder / "spill")})
    db.execute(TABLES.format(sim=args.folder / "sim", holidays=tuple(HOLIDAYS), more=WINDOW - 1))
    query = (args.folder / "query.sql").read_text()
    db.execute(f"COPY (SELECT * REPLACE (DATE '1970-01-01' + reg_day AS reg_day) FROM ({query})) "
               f"TO '{args.folder}/duckdb.parquet' (COMPRESSION zstd, ROW_GROUP_SIZE 65536)")


def run_polars(args):
    os.environ["POLARS_MAX_THREADS"] = str(args.threads)
    import polars as pl

    c = pl.col
    as_of = (datetime.date.fromisoformat(args.as_of) - datetime.date(1970, 1, 1)).days
    rows = chosen(pl, args.folder / "sim", as_of)
    events = pl.scan_parquet(f"{args.folder}/sim/events/*.parquet")
    events = events.with_columns(day=day_of(pl, c.timestamp)).filter(c.day < as_of).drop("timestamp")
    timed = events.join(rows.select("user_id", "reg_day"), on="user_id").with_columns(rel=c.day - c.reg_day)
    timed = timed.filter(c.rel.is_between(0, WINDOW + HORIZONS[-1] - 1))
    daily = timed.group_by("user_id", "rel").agg(
        n=pl.len(), value=c.value.sum(), duration_min=c.duration_min.sum(), videos=c.videos.sum(),
        value_max=c.value.max(), longest=c.duration_min.max())
    totals = daily.group_by("user_id").agg(*sums(pl))
    rows = rows.join(totals, on="user_id", how="left").join(calendar(pl, as_of), on="reg_day", how="left")
    rows.select(columns(pl, as_of)).sort("user_id").sink_parquet(
        f"{args.folder}/polars.parquet", compression="zstd", compression_level=3, row_group_size=65536,
        engine="streaming")


def day_of(pl, at):
    return at.dt.timestamp("us").floordiv(86_400_000_000).cast(pl.Int32)


def chosen(pl, sim, as_of):
    """Every simulated user has a day of registration, so the events need not be asked for it."""
    users = pl.scan_parquet(f"{sim}/users/*.parquet")
    users = users.with_columns(reg_day=day_of(pl, pl.col.registration)).drop("registration")
    return users.filter(pl.col.reg_day < as_of)


def calendar(pl, as_of):
    dates = [datetime.date(1970, 1, 1) + datetime.timedelta(k) for k in range(as_of + WINDOW)]
    free = [date.weekday() >= 5 for date in dates]
    feast = [date.strftime("%m-%d") in HOLIDAYS for date in dates]
    share = lambda flags: [sum(flags[k:k + WINDOW]) / WINDOW for k in range(as_of)]
    text = lambda values: [str(int(value)) for value in values][:as_of]
    return pl.LazyFrame({
        "reg_day": list(range(as_of)), "reg_weekday": text(d.weekday() for d in dates),
        "reg_month": text(d.month for d in dates), "reg_weekend": text(free), "reg_holiday": text(feast),
        "weekend_share": share(free), "holiday_share": share(feast)}, schema_overrides={"reg_day": pl.Int32})


def sums(pl):
    c = pl.col
    within = lambda value: pl.when(c.rel < WINDOW).then(value)
    for name, source in SEQUENCES.items():
        for day in range(WINDOW):
            yield pl.when(c.rel == day).then(c(source)).sum().alias(f"{name}_d{day}")
    yield within(c.n).sum().alias("n_events")
    yield within(pl.lit(1)).sum().alias("active_days")
    yield within(c.rel).max().alias("recency")
    yield within(c.value).sum().alias("value_sum")
    yield within(c.duration_min).sum().alias("minutes")
    yield within(c.value_max).max().alias("value_max")
    yield within(c.longest).max().alias("max_duration_min")
    for days in HORIZONS:
        yield pl.when(c.rel.is_between(WINDOW, WINDOW + days - 1)).then(pl.lit(1)).sum().alias(f"ltv_{days}")


def columns(pl, as_of):
    c = pl.col
    number = lambda column: column.fill_null(0).cast(pl.Float64)
    known = lambda days, column: pl.when(c.reg_day + days <= as_of).then(number(column))
    mean = lambda total: pl.when(c.n_events > 0).then(total / c.n_events)
    status = pl.when(c.n_events.is_null()).then(pl.lit("no_events"))
    status = status.when(c.reg_day + WINDOW > as_of).then(pl.lit("observing"))
    status = status.when(c.reg_day + WINDOW + HORIZONS[-1] <= as_of).then(pl.lit("past_horizon"))
    days = [known(day + 1, c(f"{name}_d{day}")).alias(f"{name}_d{day}") for name in SEQUENCES for day in range(WINDOW)]
    window = [number(c.n_events), number(c.active_days), c.recency.cast(pl.Float64), number(c.value_sum),
              mean(c.value_sum).alias("value_mean"), c.value_max, mean(c.minutes).alias("mean_duration_min"),
              c.max_duration_min]
    others = ["reg_weekday", "reg_month", "reg_weekend", "reg_holiday", "weekend_share", "holiday_share", "channel",
              "device", "city_tier", "cost"]
    labels = [known(WINDOW + n, c(f"ltv_{n}")).alias(f"ltv_{n}") for n in HORIZONS]
    status = status.otherwise(pl.lit("active")).alias("status")
    return [c.user_id, c.reg_day.cast(pl.Date), status, *days, *window, *others, *labels]


def spawn(command):
    """Runs a program; its wall time and processor time in seconds, and its peak resident memory in MiB."""
    begin = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - begin
    if status != 0:
        sys.exit(f"{' '.join(command)} failed ({os.waitstatus_to_exitcode(status)})")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def prepare(args):
    """Simulates, where that is still to do, and prints the statement; the as-of date."""
    sim = args.folder / "sim"
    args.folder.mkdir(parents=True, exist_ok=True)
    if not sim.exists():
        subprocess.run([args.ltv, "simulate", "--users", str(args.users), "--days", str(args.days), "--activity-days",
                        str(args.activity_days), "--out", sim, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    made = json.loads((sim / "manifest.json").read_text())
    if made["users"] != args.users:
        sys.exit(f"{sim}: {made['users']} users; give --users {made['users']}, or another --folder")
    as_of = made["as_of"]
    query = subprocess.run([args.ltv, "features", "--preset", "simulator", "--as-of", as_of, "--print-sql"],
                           check=True, capture_output=True, text=True).stdout
    (args.folder / "query.sql").write_text(query)
    return as_of


def check(folder):
    """Rows and sums of the three results; ends the program where they do not agree."""
    import duckdb

    def summary(files):
        table = f"SELECT * FROM '{files}'"
        names = [(row[0], row[1]) for row in duckdb.sql(f"DESCRIBE {table}").fetchall()]
        items = [f'SUM("{name}"), COUNT("{name}")' if kind in ("DOUBLE", "BIGINT") else
                 f'CAST(SUM(hash(CAST("{name}" AS VARCHAR))) AS DOUBLE), COUNT("{name}")' for name, kind in names]
        found = duckdb.sql(f"SELECT {', '.join(items)}, COUNT(*) FROM ({table})").fetchall()[0]
        return [name for name, _ in names], found

    names, ours = summary(folder / "ltv/*.parquet")
    for other in ["duckdb.parquet", "polars.parquet"]:
        other_names, theirs = summary(folder / other)
        if names != other_names:
            sys.exit(f"{other} has other columns: {other_names}")
        for index, (a, b) in enumerate(zip(ours, theirs)):
            if a != b and not (a and b and abs(a - b) <= 1e-9 * abs(a)):
                sys.exit(f"{other}: {b} instead of {a} in {(names * 2)[index // 2]}")
    return ours[-1]


def measure(args, as_of):
    ltv = [shutil.which(args.ltv) or sys.exit(f"{args.ltv}: no such program"), "features", "--preset", "simulator",
           "--events", f"{args.folder}/sim/events", "--users", f"{args.folder}/sim/users", "--as-of", as_of,
           "--out", f"{args.folder}/ltv", "--threads", str(args.threads), "--quiet"]
    peer = lambda name: [sys.executable, __file__, "--folder", str(args.folder), "--threads", str(args.threads),
                         "--as-of", as_of, "--only", name]
    programs = [("ltv", ltv), ("duckdb", peer("duckdb")), ("polars", peer("polars"))]
    found = {name: [] for name, _ in programs}
    for turn in range(args.rounds):
        first = turn % len(programs)
        for name, command in programs[first:] + programs[:first]:
            found[name].append(spawn(command))
        rows = check(args.folder)
        print(f"round {turn + 1}, {rows:,} rows: " + "; ".join(
            "{} {:.1f} s, {:.1f} s of processor, {:,.0f} MiB".format(n, *f[-1]) for n, f in found.items()), flush=True)
    return found


def table(found):
    print("| | wall, s | processor, s | peak, MiB | wall to ours | processor to ours |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, rounds in found.items():
        wall, processor, peak = (statistics.median(values) for values in zip(*rounds))
        ratios = [sorted(a[k] / b[k] for a, b in zip(rounds, found["ltv"])) for k in (0, 1)]
        cells = [f"{statistics.median(r):.2f} ({r[0]:.2f} to {r[-1]:.2f})" for r in ratios]
        print(f"| {name} | {wall:.1f} | {processor:.1f} | {peak:,.0f} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ltv", default="target/release/ltv", help="the program")
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--users", type=int, default=2_000_000)
    parser.add_argument("--days", type=int, default=30, help="of registration")
    parser.add_argument("--activity-days", type=int, default=26)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--as-of", help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=["duckdb", "polars"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        return {"duckdb": run_duckdb, "polars": run_polars}[args.only](args)
    table(measure(args, prepare(args)))


if __name__ == "__main__":
    main()
