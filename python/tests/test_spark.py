"""Spark: a cluster on this machine, whose executors are processes of their own, against the same work without it."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ltv
from ltv import _ltv

pyspark = pytest.importorskip("pyspark", minversion="4.0", reason="needs PySpark 4: pip install 'ltv[spark]'")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("no Java: Spark needs Java 17", allow_module_level=True)

import ltv.spark
from ltv.spark import _score

UTC = datetime.timezone.utc
AS_OF = "2022-08-01"


def home(folder: Path) -> Path:
    """Spark's own folder as links, so that workers write their logs here and not into the installed package."""
    folder.mkdir()
    for entry in Path(pyspark.__file__).parent.iterdir():
        (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two executors with a core each, under settings that nobody would wish for."""
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "1024m",
        # As quick to start as can be.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.task.maxFailures": "3",
        "spark.sql.shuffle.partitions": "3",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "200",
        # Little data: code made for each query takes longer to make than to run.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.log.level": "OFF",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_HOME", str(home(folder / "home")))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("SPARK_LOCAL_DIRS", str(folder / "local"))
        patch.delenv("SPARK_CONF_DIR", raising=False)
        builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("tests of ltv")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


# --- features ---


def log(kind: str, seed: int) -> tuple[pa.Table, pa.Table]:
    """Events and users with a column for every role and type; ``kind`` says of what type ids and times are."""
    rng = np.random.default_rng(seed)
    count, people = 1500, 60
    who = rng.integers(0, people, count)
    days = rng.integers(0, 300, count)
    micros = rng.integers(0, 86_400_000_000, count)
    # Whole seconds too, so that times are tied.
    micros = np.where(rng.random(count) < 0.5, micros // 3_600_000_000 * 3_600_000_000, micros)
    first = datetime.date(2021, 11, 1).toordinal() - datetime.date(1970, 1, 1).toordinal()
    moments = (days + first) * 86_400_000_000 + micros
    price = np.round(rng.normal(10, 40, count), 3)
    price[rng.random(count) < 0.1] = np.nan
    price[rng.random(count) < 0.1] = -0.0

    def some(values: Any, share: float = 0.1) -> list[Any]:
        return [None if rng.random() < share else value for value in values]

    def ids(values: Any) -> pa.Array:
        return pa.array([f"Ü{v % 7}-{v}" for v in values]) if kind == "text" else pa.array(values, pa.int32())

    def times(values: Any) -> pa.Array:
        types = {"integer": pa.timestamp("us", "UTC"), "text": pa.timestamp("us")}
        found = pa.array(values, pa.int64()).cast(types.get(kind, pa.timestamp("us")))
        return found.cast(pa.date32(), safe=False) if kind == "date" else found

    names, money = ["a", "B", "é", "zz"], pa.decimal128(12, 2)
    events = {
        "Who is it": ids(who),
        "at": times(moments),
        "Amount (EUR)": pa.array([Decimal(int(v)) / 100 for v in rng.integers(-500, 5000, count)], money),
        "seq": pa.array(some(rng.integers(0, 3, count).tolist()), pa.int64()),
        "price": pa.array(some(price.tolist()), pa.float64()),
        "items": pa.array(some(rng.integers(1, 9, count).tolist()), pa.int16()),
        "gift": pa.array(some((rng.random(count) < 0.3).tolist()), pa.bool_()),
        "kind": pa.array(some([names[i] for i in rng.integers(0, 4, count)])),
        'co"de': pa.array(some(rng.integers(-3, 12, count).tolist()), pa.int32()),
    }
    everyone = np.arange(people // 2, people + 10)
    some_days = first + rng.integers(-20, 320, len(everyone))
    score = np.round(rng.normal(0, 1, len(everyone)), 4)
    score[:5] = np.nan
    moments = some_days * 86_400_000_000 + rng.integers(0, 86_400_000_000, len(everyone))
    users = {
        "Who is it": ids(everyone),
        "signed": times(moments) if kind != "date" else pa.array(some_days, pa.int32()).cast(pa.date32()),
        "channel": pa.array(some(["x", "Y", "ü"][i] for i in rng.integers(0, 3, len(everyone)))),
        "age": pa.array(some(rng.integers(18, 80, len(everyone)).tolist()), pa.int8()),
        "score": pa.array(some(score.tolist()), pa.float32()),
        "member": pa.array(some((rng.random(len(everyone)) < 0.5).tolist()), pa.bool_()),
        "limit": pa.array([Decimal(int(v)) / 1000 for v in rng.integers(0, 10**6, len(everyone))], pa.decimal128(9, 3)),
        "cost": pa.array(rng.random(len(everyone))),
        "seen": pa.array(moments + 1, pa.int64()).cast(pa.timestamp("us", "UTC")),
        "born": pa.array(some((some_days - 10_000).tolist()), pa.int32()).cast(pa.date32()),
        "note": pa.array(some(f"n'{i}" for i in range(len(everyone)))),
        "debt": pa.array([Decimal(int(v)) / 100 for v in rng.integers(0, 10**4, len(everyone))], pa.decimal128(7, 2)),
    }
    signed = some(users["signed"].to_pylist(), 0.2)
    users["signed"] = pa.array(signed, users["signed"].type)
    return pa.table(events), pa.table(users)


OPTIONS: dict[str, Any] = {
    "events": {"order": "seq"},
    "sequences": [{"name": "cnt", "measure": "count"}, {"name": "price", "measure": {"sum": "price"}}],
    "aggregates": {
        "mean": ["price", "gift"],
        "max": ["items", "price"],
        "first": ["kind", 'co"de', "gift"],
        "first_numeric": ["price"],
        "mode": ["kind", 'co"de', "gift"],
    },
    "holidays": {"days": ["2022-01-01", "2022-04-15"]},
}
NAMED: dict[str, Any] = {
    "label": "value",
    "window_days": 3,
    "horizons": [10, 60],
    "user": "Who is it",
    "time": "at",
    "value": "Amount (EUR)",
    "registration": "signed",
    "profile": ["channel", "age", "score", "member", "limit"],
    "keep": ["cost", "seen", "born", "note", "debt"],
}


def settings(session: Any) -> dict[str, str]:
    return {row["key"]: row["value"] for row in session.sql("SET").collect()}


def parquet(session: Any, table: pa.Table, path: Path) -> Any:
    pq.write_table(table, path)
    return session.read.parquet(str(path))


def cells(table: pa.Table) -> dict[str, list[Any]]:
    """Every cell, users in order; moments as microseconds since 1970."""
    table = table.combine_chunks().sort_by("user_id")
    found = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
        # Two NaN are the same here, 0 and -0 are not.
        found[name] = [repr(value) for value in column.to_pylist()]
    return found


def same(got: pa.Table, wanted: pa.Table) -> None:
    assert got.column_names == wanted.column_names
    for mine, theirs in zip(got.schema, wanted.schema):
        moments = pa.types.is_timestamp(mine.type) and pa.types.is_timestamp(theirs.type)
        assert moments or mine.type == theirs.type, mine.name
    mine, theirs = cells(got), cells(wanted)
    for name, values in theirs.items():
        assert mine[name] == values, name


@pytest.mark.parametrize("kind", ["integer", "text", "date"])
def test_features_are_those_of_one_machine(spark: Any, tmp_path: Path, kind: str) -> None:
    events, users = log(kind, seed={"integer": 1, "text": 2, "date": 3}[kind])
    on_spark = parquet(spark, events, tmp_path / "events.parquet"), parquet(spark, users, tmp_path / "users.parquet")
    # Views of these names are none of our business.
    for name in ("events", "users", "calendar", "timed"):
        spark.range(1).createOrReplaceTempView(name)
    before, views = settings(spark), spark.sql("SHOW VIEWS").collect()
    rows = ltv.spark.features(*on_spark, as_of=AS_OF, options=OPTIONS, **NAMED)
    assert settings(spark) == before
    assert len(views) == 4 and spark.sql("SHOW VIEWS").collect() == views
    # Lazy: what the session is set to when it runs does not matter either.
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        got = rows.toArrow()
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
    wanted = ltv.features(events, users, as_of=AS_OF, options=OPTIONS, verbose=False, **NAMED)
    assert set(wanted.to_arrow().column("status").to_pylist()) >= {"active", "past_horizon", "no_events"}
    same(got, wanted.to_arrow())


def test_features_under_strict_settings_and_without_users(spark: Any, tmp_path: Path) -> None:
    session = spark.newSession()
    session.conf.set("spark.sql.ansi.enabled", "true")
    session.conf.set("spark.sql.ansi.doubleQuotedIdentifiers", "true")
    session.conf.set("spark.sql.caseSensitive", "true")
    session.conf.set("spark.sql.timestampType", "TIMESTAMP_NTZ")
    session.conf.set("spark.sql.ansi.enforceReservedKeywords", "true")
    events, _ = log("text", seed=4)
    frame = parquet(session, events, tmp_path / "events.parquet")
    options = {name: part for name, part in OPTIONS.items() if name != "holidays"}
    named = {name: part for name, part in NAMED.items() if name not in ("registration", "profile", "keep")}
    got = ltv.spark.features(frame, as_of="2022-06-15", options=options, **named).toArrow()
    same(got, ltv.features(events, as_of="2022-06-15", options=options, verbose=False, **named).to_arrow())
    # Users made of the events themselves.
    users = frame.groupBy("Who is it").agg({"at": "min"}).withColumnRenamed("min(at)", "signed")
    named |= {"registration": "signed", "as_of": "2022-06-15"}
    got = ltv.spark.features(frame, users, options=options, **named).toArrow()
    same(got, ltv.features(events, users.toArrow(), options=options, verbose=False, **named).to_arrow())


def test_features_of_a_simulated_platform(spark: Any, simulation: ltv.Simulation, dataset: ltv.Dataset) -> None:
    events, users = (spark.read.parquet(str(path)) for path in (simulation.events, simulation.users))
    options = json.loads(_ltv.simulator_options())
    rows = ltv.spark.features(events, users, as_of=AS_OF, horizons=[30, 90], options=options)
    same(rows.toArrow(), dataset.to_arrow())


def test_features_of_real_commits(spark: Any, tmp_path: Path, shared_data: Path) -> None:
    commits = pq.read_table(shared_data / "oss_commits.parquet")
    sample = commits.filter(pa.array(commits.column("user_id").to_numpy() % 40 == 7))
    frame = parquet(spark, sample, tmp_path / "events.parquet")
    options = {
        "sequences": [{"name": "cnt", "measure": "count"}, {"name": "files", "measure": {"sum": "n_files"}}],
        "aggregates": {
            "mean": ["subject_len"],
            "max": ["n_files"],
            "first": ["repo", "tz_min"],
            "mode": ["repo", "is_merge"],
        },
    }
    named: dict[str, Any] = {"as_of": "2021-07-01", "label": "active_days", "options": options}
    same(ltv.spark.features(frame, **named).toArrow(), ltv.features(sample, verbose=False, **named).to_arrow())


GOOD = {
    "user_id": pa.array([1, 1, 2, 3], pa.int64()),
    "timestamp": pa.array([1_600_000_000_000_000 + i for i in range(4)], pa.timestamp("us", "UTC")),
    "value": pa.array([1.0, 2.0, 3.0, 4.0]),
    "price": pa.array([1.0, float("nan"), None, 4.0]),
}
YEAR_10000 = 253_402_300_800_000_000


@pytest.mark.parametrize(
    ("column", "bad", "says"),
    [
        ("user_id", pa.array([1, None, 2, 3], pa.int64()), "missing"),
        ("timestamp", pa.array([0, None, 1, 2], pa.timestamp("us", "UTC")), "missing"),
        ("timestamp", pa.array([0, YEAR_10000, 1, 2], pa.timestamp("us", "UTC")), "years 1 to 9999"),
        ("value", pa.array([1.0, None, 1.0, 1.0]), "missing"),
        ("value", pa.array([1.0, float("nan"), 1.0, 1.0]), "NaN"),
        ("value", pa.array([1.0, float("-inf"), 1.0, 1.0]), "infinite"),
        ("value", pa.array([1.0, -1e14, 1.0, 1.0]), "1e14"),
        ("price", pa.array([1.0, float("inf"), 1.0, 1.0]), "infinite"),
        ("value", pa.array(["1", "2", "3", "4"]), "type"),
        ("timestamp", pa.array([1, 2, 3, 4], pa.int64()), "type"),
    ],
)
def test_events_that_are_refused(spark: Any, tmp_path: Path, column: str, bad: pa.Array, says: str) -> None:
    table = pa.table({**GOOD, column: bad})
    named: dict[str, Any] = {"as_of": "2024-01-01", "label": "value", "value": "value"}
    named["options"] = {"aggregates": {"max": ["price"]}}
    with pytest.raises(ltv.DataError, match=column):
        ltv.features(table, verbose=False, **named)
    frame = parquet(spark, table, tmp_path / "events.parquet")
    with pytest.raises(ltv.DataError, match=column) as error:
        ltv.spark.features(frame, **named)
    assert says in str(error.value)
    if column == "value" and says != "type":
        assert "of user '1'" in str(error.value) or "such as of user '1'" in str(error.value)


def test_events_that_are_not_yet_known_are_not_looked_at(spark: Any, tmp_path: Path) -> None:
    later = pa.array([1_600_000_000_000_000] * 3 + [1_800_000_000_000_000], pa.timestamp("us", "UTC"))
    table = pa.table({**GOOD, "timestamp": later, "value": pa.array([1.0, 2.0, 3.0, float("nan")])})
    named: dict[str, Any] = {"as_of": "2024-01-01", "label": "value", "value": "value"}
    frame = parquet(spark, table, tmp_path / "events.parquet")
    same(ltv.spark.features(frame, **named).toArrow(), ltv.features(table, verbose=False, **named).to_arrow())


def test_users_that_are_refused(spark: Any, tmp_path: Path) -> None:
    events = pa.table(GOOD)
    frame = parquet(spark, events, tmp_path / "events.parquet")
    named: dict[str, Any] = {"as_of": "2024-01-01", "label": "active_days", "profile": ["score"]}
    score = pa.array([0.5, None, float("nan")])
    good = {"user_id": pa.array([1, 2, 9], pa.int64()), "score": score}
    wrong = {
        "twice": {**good, "user_id": pa.array([1, 2, 1], pa.int64())},
        "null": {**good, "user_id": pa.array([1, None, 3], pa.int64())},
        "text": {**good, "user_id": pa.array(["1", "2", "3"])},
        "large": {**good, "score": pa.array([0.5, 2e14, 1.0])},
        "absent": {"user_id": good["user_id"]},
    }
    for name, columns in wrong.items():
        table = pa.table(columns)
        with pytest.raises(ltv.DataError):
            ltv.features(events, table, verbose=False, **named)
        column = "score" if name in ("large", "absent") else "user_id"
        with pytest.raises(ltv.DataError, match=column):
            ltv.spark.features(frame, parquet(spark, table, tmp_path / f"{name}.parquet"), **named)
    with pytest.raises(ltv.InputError, match=r"users\.profile"):
        ltv.spark.features(frame, **named)
    with pytest.raises(ltv.InputError, match="no Spark DataFrame"):
        ltv.spark.features(events, as_of="2024-01-01", label="active_days")
    again = frame.select("*", frame["value"].alias("VALUE"))
    with pytest.raises(ltv.DataError, match="(?i)ambiguous"):
        ltv.spark.features(again, as_of="2024-01-01", label="value", value="value")
    with pytest.raises(ltv.InputError, match="window_days"):
        ltv.spark.features(frame, as_of="2024-01-01", label="active_days", window_days=0)


# --- scores ---


@pytest.fixture(scope="module")
def local(odmn: ltv.ODMN, dataset: ltv.Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, pa.Table]:
    """Manifest and rows of the snapshot that is made without Spark."""
    out = tmp_path_factory.mktemp("local") / "snapshot"
    manifest = json.loads(odmn.model_.score(dataset.folders, str(out), "expectation", True, 2))
    return manifest, snapshot(out)


def snapshot(folder: Path) -> pa.Table:
    """The rows of the files that the manifest names."""
    manifest = json.loads((folder / "manifest.json").read_text())
    parts = [pq.read_table(folder / file["path"]) for file in manifest["files"]]
    assert [len(part) for part in parts] == [file["rows"] for file in manifest["files"]]
    assert sorted(os.listdir(folder)) == sorted(["manifest.json", *(file["path"] for file in manifest["files"])])
    return pa.concat_tables(parts)


@pytest.fixture
def rows(spark: Any, dataset: ltv.Dataset) -> Any:
    return spark.read.parquet(f"{dataset.folders[0]}/part-*.parquet")


def agree(out: Path, manifest: dict[str, Any], local: tuple[dict[str, Any], pa.Table]) -> None:
    """The same users, each once, with the same scores to the last bit; and nothing left beside the snapshot."""
    theirs, wanted = local
    same(snapshot(out), wanted)
    assert manifest == json.loads((out / "manifest.json").read_text())
    for name in ("rows", "as_of", "model_id", "model_blake3", "horizons", "projected", "order_violations", "monotone"):
        assert manifest[name] == theirs[name], name
    np.testing.assert_allclose(manifest["totals"], theirs["totals"], rtol=1e-12)
    assert "input" not in manifest
    assert os.listdir(out.parent) == [out.name]


def test_scores_are_those_of_one_machine(rows: Any, odmn: ltv.ODMN, tmp_path: Path, local: Any) -> None:
    out = tmp_path / "snapshot"
    manifest = ltv.spark.score(rows, odmn, out, as_of=AS_OF, partitions=3)
    assert len(manifest["files"]) == 3
    agree(out, manifest, local)
    # Again, in the place of the old one, of the model's file, in its own number of parts.
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "model.ltv"
    odmn.save(path)
    again = ltv.spark.score(rows, path, out, as_of=datetime.date(2022, 8, 1), staging=tmp_path / "elsewhere")
    assert os.listdir(tmp_path / "elsewhere") == ["model.ltv"]
    shutil.rmtree(tmp_path / "elsewhere")
    agree(out, again, local)


def test_text_ids_few_users_and_those_who_are_left_out(
    spark: Any, dataset: ltv.Dataset, odmn: ltv.ODMN, tmp_path: Path, local: Any
) -> None:
    rows = dataset.to_arrow().slice(0, 40)
    names = pa.array([f"é{user % 10}-{user}" for user in rows.column("user_id").to_pylist()])
    table = rows.set_column(0, "user_id", names)
    statuses = pa.array(["past_horizon"] * 15 + ["active"] * 25)
    table = table.set_column(table.column_names.index("status"), "status", statuses)
    out = tmp_path / "out" / "snapshot"
    frame = parquet(spark, table, tmp_path / "rows.parquet")
    # More tasks than users: some get nobody.
    manifest = ltv.spark.score(frame, odmn, out, as_of=AS_OF, past_horizon="drop", partitions=60)
    assert (manifest["rows"], manifest["dropped"]) == (25, {"past_horizon": 15})
    got = snapshot(out).sort_by("user_id")
    assert got.column("user_id").to_pylist() == sorted(names.to_pylist()[15:])
    predicted = dict(zip(names.to_pylist(), odmn.predict(rows).tolist()))
    scores = np.column_stack([got.column(f"ltv_{days}").to_numpy() for days in (30, 90)])
    # Of a user alone in a task, sums are made in another order.
    np.testing.assert_allclose(scores, [predicted[name] for name in got.column("user_id").to_pylist()], rtol=1e-5)


def test_rows_of_features_are_scored_at_once(
    spark: Any, simulation: ltv.Simulation, odmn: ltv.ODMN, tmp_path: Path, local: Any
) -> None:
    events, users = (spark.read.parquet(str(path)) for path in (simulation.events, simulation.users))
    options = json.loads(_ltv.simulator_options())
    rows = ltv.spark.features(events, users, as_of=AS_OF, horizons=[30, 90], options=options).cache()
    manifest = ltv.spark.score(rows, odmn, tmp_path / "snapshot", as_of=AS_OF)
    rows.unpersist()
    agree(tmp_path / "snapshot", manifest, local)


def test_a_task_that_fails_once(
    rows: Any, odmn: ltv.ODMN, tmp_path: Path, local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "flags", tmp_path / "out" / "snapshot"
    folder.mkdir()

    class Fails(_score._Task):  # type: ignore[misc, name-defined]
        """In the middle of each partition, the first time."""

        def __call__(self, batches: Any) -> Any:
            import os

            from pyspark import TaskContext

            flag = f"{folder}/{TaskContext.get().partitionId()}"

            def some() -> Any:
                for number, batch in enumerate(batches):
                    if number == 2 and not os.path.exists(flag):
                        os.mkdir(flag)
                        raise RuntimeError("the first try")
                    yield batch

            yield from super().__call__(some())

    monkeypatch.setattr(_score, "_Task", Fails)
    manifest = ltv.spark.score(rows, odmn, out, as_of=AS_OF, partitions=2)
    assert sorted(os.listdir(folder)) == ["0", "1"]
    agree(out, manifest, local)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_an_executor_that_is_killed(
    rows: Any, odmn: ltv.ODMN, tmp_path: Path, local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "running", tmp_path / "out" / "snapshot"
    folder.mkdir()

    class Slow(_score._Task):  # type: ignore[misc, name-defined]
        """Says which process runs it, and takes its time."""

        def __call__(self, batches: Any) -> Any:
            import os
            import time

            def slowly() -> Any:
                for number, batch in enumerate(batches):
                    if number == 1:
                        # The parent is the daemon of Python workers, whose parent is the executor.
                        with open(f"/proc/{os.getppid()}/stat") as stat:
                            executor = stat.read().rsplit(")", 1)[1].split()[1]
                        open(f"{folder}/{executor}", "w").close()
                    time.sleep(0.15)
                    yield batch

            yield from super().__call__(slowly())

    killed = []

    def kill() -> None:
        end = time.monotonic() + 60
        while not killed and time.monotonic() < end:
            for process in os.listdir(folder):
                assert b"CoarseGrainedExecutorBackend" in Path(f"/proc/{process}/cmdline").read_bytes()
                os.kill(int(process), signal.SIGKILL)
                killed.append(process)
                return
            time.sleep(0.02)

    monkeypatch.setattr(_score, "_Task", Slow)
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        manifest = ltv.spark.score(rows, odmn, out, as_of=AS_OF, partitions=4)
    except ltv.ScoreError as error:
        # As good: a refusal, and nothing there.
        assert "nothing was committed" in str(error)
        assert os.listdir(out.parent) == []
    else:
        agree(out, manifest, local)
    finally:
        killer.join()
    assert len(killed) == 1
    # Another executor ran the rest.
    assert len(os.listdir(folder)) >= 2


def test_an_old_snapshot_stays_when_scoring_fails(
    rows: Any, odmn: ltv.ODMN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "snapshot"
    ltv.spark.score(rows, odmn, out, as_of=AS_OF, partitions=2)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    class Fails(_score._Task):  # type: ignore[misc, name-defined]
        def __call__(self, batches: Any) -> Any:
            yield from super().__call__(batches)
            if self.job.keep:
                raise RuntimeError("the disk is gone")

    class Loses(_score._Task):  # type: ignore[misc, name-defined]
        """The result of one partition."""

        def __call__(self, batches: Any) -> Any:
            from pyspark import TaskContext

            found = list(super().__call__(batches))
            yield from found if TaskContext.get().partitionId() else []

    class Empties(_score._Task):  # type: ignore[misc, name-defined]
        """The file that was written."""

        def __call__(self, batches: Any) -> Any:
            found = list(super().__call__(batches))
            for path in self.folder.iterdir():
                path.write_bytes(b"")
            yield from found

    class Dies(_score._Task):  # type: ignore[misc, name-defined]
        def __call__(self, batches: Any) -> Any:
            import os

            os._exit(7)
            yield

    class Elsewhere(_score._Task):  # type: ignore[misc, name-defined]
        """On a machine that does not see the folder."""

        def __call__(self, batches: Any) -> Any:
            self.folder = self.folder / "absent"
            yield from super().__call__(batches)

    wrong = (
        (Fails, "the disk is gone"),
        (Loses, "users were scored"),
        (Empties, "checksum"),
        (Dies, "Python worker exited"),
        (Elsewhere, r"cannot create .*absent"),
    )
    for task, says in wrong:
        monkeypatch.setattr(_score, "_Task", task)
        with pytest.raises(ltv.ScoreError, match=says):
            ltv.spark.score(rows, odmn, out, as_of=AS_OF, partitions=2)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
        assert [name for name in os.listdir(tmp_path) if name.startswith(".ltv-spark")] == []


def test_rows_that_are_refused(spark: Any, rows: Any, odmn: ltv.ODMN, tmp_path: Path) -> None:
    from pyspark.sql import functions as f

    out = tmp_path / "snapshot"
    clock = "java_method('java.lang.System', 'nanoTime')"
    changing = rows.withColumn("n_events", f.expr(f"CAST(CAST({clock} AS BIGINT) % 1009 AS DOUBLE)"))
    same_sum = rows.withColumn("recency", f.expr(f"CAST(CAST({clock} AS BIGINT) % 7 AS DOUBLE)"))
    wrong = [
        (rows.union(rows.limit(1)), "2 times"),
        (rows.drop("status"), "no column 'status'"),
        (rows.drop("recency"), "no column 'recency'"),
        (rows.withColumn("user_id", f.col("user_id").cast("double")), "'user_id' is of type double"),
        (rows.withColumn("recency", f.array("recency")), "'recency' is of type array"),
        (rows.withColumn("user_id", f.when(f.col("user_id") > 5, f.col("user_id"))), "missing"),
        (rows.withColumn("cnt_d7", f.lit(0.0)), "cnt_d7"),
        (rows.limit(0), "nobody"),
        (changing, "nothing was committed"),
        (same_sum, "not the same"),
        (rows.withColumn("status", f.when(f.col("user_id") > 100, f.col("status"))), "status"),
    ]
    for frame, says in wrong:
        with pytest.raises(ltv.InputError, match=says):
            ltv.spark.score(frame, odmn, out, as_of=AS_OF, partitions=2)
        assert os.listdir(tmp_path) == []


def test_options_that_are_refused(rows: Any, odmn: ltv.ODMN, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("dear")
    peer = tmp_path / "peer"
    good: dict[str, Any] = {"model": odmn, "out": tmp_path / "snapshot", "as_of": AS_OF}
    wrong = [
        ({"out": taken}, "letter.txt"),
        ({"out": taken / "letter.txt"}, "no folder"),
        ({"out": "s3://bucket/scores"}, "address"),
        ({"as_of": "yesterday"}, "yesterday"),
        ({"decoding": "guess"}, "guess"),
        ({"past_horizon": "maybe"}, "maybe"),
        ({"partitions": 0}, "partitions"),
        ({"model": 7}, "int is no model"),
        ({"model": peer}, "peer"),
    ]
    for changed, says in wrong:
        with pytest.raises(ltv.InputError, match=says):
            ltv.spark.score(rows, **{**good, **changed})
    assert os.listdir(tmp_path) == ["taken"] and os.listdir(taken) == ["letter.txt"]
    with pytest.raises(ltv.InputError, match="no DataFrame"):
        ltv.spark.score(7, **good)
    # A snapshot is replaced, whatever else lies in its folder is not.
    out = tmp_path / "snapshot"
    ltv.spark.score(rows, **good)
    (out / "mine.txt").write_text("keep")
    with pytest.raises(ltv.ScoreError, match=r"mine\.txt"):
        ltv.spark.score(rows, **good)
    assert (out / "mine.txt").read_text() == "keep"


def test_without_pyspark_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    for call in (lambda: ltv.spark.features(None), lambda: ltv.spark.score(None, None, "out", as_of=AS_OF)):
        with pytest.raises(ImportError, match=r"pip install 'ltv\[spark\]'"):
            call()
