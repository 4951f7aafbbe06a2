"""Runs the statement of `ltv features --print-sql` in DuckDB and compares the result with the dataset.

    compare.py < cases.json

A case names the files of the dataset and either the statement, with the files of the event log and of
the user table, or the file of a result. The tables that the statement reads are made as the comments
above it say, so that these are tested too.
Prints, for each case, its rows and columns and a line for everything that differs.
"""

import datetime
import json
import re
import sys

import duckdb

EPOCH = datetime.date(1970, 1, 1)
SOURCE = re.compile(r"--   (.+?) <- (.+?): (.+)")
FLOATS = ("FLOAT", "DOUBLE", "DECIMAL")


def simulator(day):
    return (day.month, day.day) in {
        *((1, d) for d in range(1, 4)), *((2, d) for d in range(10, 17)),
        *((5, d) for d in range(1, 6)), *((10, d) for d in range(1, 8)),
        (11, 11), *((12, d) for d in range(24, 27))}


def literal(path):
    return "'" + path.replace("'", "''") + "'"


def files(paths):
    return "read_parquet([" + ", ".join(map(literal, paths)) + "])"


def sections(query):
    """The lines of each table in the comments."""
    found = {}
    for line in query.splitlines():
        start = re.match(r"-- (events|users|calendar), ", line)
        if start:
            found[start[1]] = lines = [line]
        elif found and line.startswith("--   "):
            lines.append(line)
    return found


def instant(source, kind):
    """A column as a time in UTC, whatever the session's zone."""
    return f"({source} AT TIME ZONE 'UTC')" if "ZONE" in kind else source


def day(source, kind):
    return f"CAST(CAST({instant(source, kind)} AS DATE) - DATE '1970-01-01' AS INTEGER)"


def nanoseconds(source, kind):
    if kind == "DATE":
        return "CAST(0 AS BIGINT)"
    if kind == "TIMESTAMP_NS":
        return f"epoch_ns({source}) - CAST({day(source, kind)} AS BIGINT) * 86400000000000"
    at = instant(source, kind)
    return f"(epoch_us({at}) - epoch_us(CAST({at} AS DATE))) * 1000"


def number(source):
    return f"CASE WHEN NOT isnan(CAST({source} AS DOUBLE)) THEN CAST({source} AS DOUBLE) END"


def expression(source, kind, words):
    """What the words of a comment ask for."""
    if words.startswith("INTEGER, days"):
        return day(source, kind)
    if words.startswith("BIGINT, nanoseconds"):
        return nanoseconds(source, kind)
    if words.startswith("DOUBLE of a float or a decimal"):
        return number(source) if kind.startswith(FLOATS) else f"CAST({source} AS VARCHAR)"
    if words.startswith("DOUBLE"):
        return number(source)
    if words.startswith("BIGINT or text"):
        return f"CAST({source} AS {'BIGINT' if kind.endswith('INT') or kind == 'INTEGER' else 'VARCHAR'})"
    return source


def view(db, name, lines, paths):
    table = files(paths)
    kinds = {row[0]: row[1] for row in db.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()}
    items = []
    for line in lines[1:]:
        target, source, words = SOURCE.fullmatch(line).groups()
        plain = source[1:-1].replace('""', '"') if source[0] == '"' else source
        kind = kinds[plain]
        items.append(f"{expression(source, kind, words)} AS {target}")
    db.execute(f"CREATE VIEW {name} AS SELECT {', '.join(items)} FROM {table}")


def calendar(db, lines, with_users):
    before = EPOCH.fromisoformat(re.search(r"before (\d{4}-\d\d-\d\d):", lines[0])[1])
    columns = [re.match(r"--   (\w+): (INTEGER|text|DOUBLE)", line).groups() for line in lines[1:]]
    text = "\n".join(lines)
    window = int((re.search(r"among the (\d+) from", text) or [0, 1])[1])
    listed = "".join(line for line in lines if line.startswith("--   holiday: "))
    holidays = {EPOCH.fromisoformat(d) for d in re.findall(r"\d{4}-\d\d-\d\d", listed)}
    if named := re.search(r"the days of ([^,]+),", listed):
        with open(named[1]) as file:
            holidays |= {EPOCH.fromisoformat(line.strip()) for line in file if line[0] != "#"}
    simulated = "the holidays of 'ltv simulate'" in listed
    weekend = lambda d: d.weekday() >= 5
    holiday = lambda d: d in holidays or simulated and simulator(d)
    share = lambda d, f: sum(f(d + datetime.timedelta(k)) for k in range(window)) / window
    cells = {
        "day": lambda d: (d - EPOCH).days, "weekday": lambda d: str(d.weekday()),
        "month": lambda d: str(d.month), "weekend": lambda d: str(int(weekend(d))),
        "holiday": lambda d: str(int(holiday(d))), "weekend_share": lambda d: share(d, weekend),
        "holiday_share": lambda d: share(d, holiday)}
    first = "SELECT MIN(day) AS day FROM events"
    if with_users and "reg_day" in [c[0] for c in db.execute("DESCRIBE users").fetchall()]:
        first += " UNION ALL SELECT MIN(reg_day) FROM users"
    first = db.execute(f"SELECT MIN(day) FROM ({first})").fetchone()[0]
    days = [EPOCH + datetime.timedelta(d) for d in range(first, (before - EPOCH).days)]
    kinds = {"text": "VARCHAR"}
    shape = ", ".join(f"{name} {kinds.get(kind, kind)}" for name, kind in columns)
    db.execute(f"CREATE TABLE calendar ({shape})")
    rows = [[cells[name](d) for name, _ in columns] for d in days]
    if rows:
        db.executemany(f"INSERT INTO calendar VALUES ({', '.join('?' * len(columns))})", rows)


def compare(db):
    """Rows and columns of the tables `ours` and `theirs`, and whatever differs."""
    problems = []
    shape = lambda name: [row[:2] for row in db.execute(f"DESCRIBE {name}").fetchall()]
    ours = shape("ours")
    if ours != shape("theirs"):
        problems.append(f"columns: {ours} instead of {shape('theirs')}")
    count = lambda name: db.execute(f"SELECT COUNT(*), COUNT(DISTINCT user_id) FROM {name}").fetchone()
    if count("ours") != count("theirs"):
        problems.append(f"users: {count('ours')} instead of {count('theirs')}")
    users = [row[0] for row in db.execute("SELECT user_id FROM theirs").fetchall()]
    key = lambda user: user.encode() if isinstance(user, str) else user
    if users != sorted(users, key=key):
        problems.append("users are not in order")
    for name, _ in ours:
        quoted = '"' + name.replace('"', '""') + '"'
        differs = f"ours.{quoted} IS DISTINCT FROM theirs.{quoted}"
        rows = db.execute(f"SELECT user_id, ours.{quoted}, theirs.{quoted} FROM ours FULL JOIN theirs "
                          f"USING (user_id) WHERE {differs} ORDER BY user_id").fetchall()
        if rows:
            problems.append(f"{name}: {len(rows)} rows, such as {rows[0]}")
    return {"rows": len(users), "columns": len(ours), "problems": problems}


def result(db, case):
    """Makes the table `theirs` by the statement."""
    with open(case["query"]) as file:
        query = file.read()
    tables = sections(query)
    view(db, "events", tables["events"], case["events"])
    if "users" in tables:
        view(db, "users", tables["users"], case["users"])
    calendar(db, tables["calendar"], "users" in tables)
    date = "DATE '1970-01-01' + reg_day AS reg_day"
    db.execute(f"CREATE TABLE theirs AS SELECT * REPLACE ({date}) FROM ({query})")


def run(case):
    db = duckdb.connect()
    # Nothing may depend on the session's zone, or on the number of threads.
    db.execute("SET TimeZone = 'Asia/Kathmandu'; SET threads = 2")
    if "query" in case:
        result(db, case)
    else:
        db.execute(f"CREATE TABLE theirs AS SELECT * FROM {files([case['result']])}")
    db.execute(f"CREATE TABLE ours AS SELECT * FROM {files(case['dataset'])}")
    return compare(db)


json.dump([run(case) for case in json.load(sys.stdin)], sys.stdout)
