"""Features and scores on Apache Spark, for more users than one machine can hold.

:func:`features` makes the dataset of :func:`ltv.features` by the same SQL statement, run by Spark;
:func:`score` scores its rows on the executors and commits them as one snapshot, as ``ltv score`` does.
Both need ``pip install 'ltv[spark]'``; executors need the package too, of the same version.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ltv import _ltv, errors
from ltv._options import day, document
from ltv.dataset import _columns, _configuration
from ltv.errors import DataError, InputError, LtvError, ScoreError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

__all__ = ["features", "score"]


def _needs_pyspark() -> None:
    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise ImportError("ltv.spark needs PySpark: pip install 'ltv[spark]'") from error


def _is_dataframe(value: Any) -> bool:
    from pyspark.sql import DataFrame

    return isinstance(value, DataFrame)


def _quoted(name: str) -> str:
    """A name as Spark's SQL wants it, whatever is in it and whatever the session's settings are."""
    return "`" + name.replace("`", "``") + "`"


# --- features ---

_INTEGERS = ("byte", "short", "integer", "long")
_FLOATS = ("float", "double")
_TEXT = ("string", "char", "varchar")
_MOMENTS = ("timestamp", "timestamp_ntz", "date")
#: Types that columns may have, by role, and how a message calls them.
_ALLOWED: dict[str, tuple[tuple[str, ...], str]] = {
    "user": (_INTEGERS + _TEXT, "an integer or text"),
    "day": (_MOMENTS, "a timestamp or a date"),
    "time": (_MOMENTS, "a timestamp or a date"),
    "registration": (_MOMENTS, "a timestamp or a date"),
    "value": ((*_INTEGERS, *_FLOATS, "decimal"), "a number"),
    "number": ((*_INTEGERS, *_FLOATS, "decimal", "boolean"), "a number or a boolean"),
    "category": ((*_INTEGERS, *_TEXT, "boolean"), "text, a boolean or an integer"),
    "order": (_INTEGERS + _FLOATS + _TEXT, "an integer, a float or text"),
    "profile": ((*_INTEGERS, *_FLOATS, *_TEXT, "decimal", "boolean"), "text, a boolean or a number"),
    "keep": (
        (*_INTEGERS, *_FLOATS, *_TEXT, *_MOMENTS, "decimal", "boolean"),
        "text, a boolean, a number, a date or a timestamp",
    ),
}
#: The years 1 to 9999, in days since 1970-01-01.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY_MICROS = 86_400_000_000
#: Numbers are smaller: sums are made in DECIMAL(20, 6).
_LIMIT = "1e14D"


@dataclass
class _Wanted:
    """A column of events or users, and what the feature query wants of it."""

    column: str
    key: str
    target: str
    role: str
    #: Its type in Spark.
    found: str

    @property
    def raw(self) -> str:
        return _quoted(self.column)

    @property
    def is_number(self) -> bool:
        """Whether it becomes a finite DOUBLE, so that values have to be looked at."""
        if self.role in ("value", "number"):
            return True
        return self.role == "profile" and self.found in (*_FLOATS, "decimal")

    @property
    def is_time(self) -> bool:
        return self.role in ("day", "time", "registration")

    @property
    def number(self) -> str:
        return f"CAST({self.raw} AS DOUBLE)"

    # None of these expressions depends on the time zone or the dialect of the session.

    @property
    def day(self) -> str:
        if self.found == "timestamp":
            micros = f"unix_micros({self.raw})"
            return f"CAST(({micros} - pmod({micros}, {_DAY_MICROS}L)) DIV {_DAY_MICROS}L AS INT)"
        return f"unix_date(CAST({self.raw} AS DATE))"

    @property
    def nanoseconds(self) -> str:
        """Into the day."""
        if self.found == "timestamp":
            return f"pmod(unix_micros({self.raw}), {_DAY_MICROS}L) * 1000L"
        if self.found == "date":
            return "CAST(0 AS BIGINT)"
        minutes = f"CAST(hour({self.raw}) * 60 + minute({self.raw}) AS BIGINT)"
        return f"{minutes} * 60000000000L + CAST(extract(SECOND FROM {self.raw}) * 1000000000 AS BIGINT)"

    def made(self) -> list[tuple[str, str]]:
        """Names and expressions of the columns that the query reads."""
        if self.is_time:
            found = [(self.target, self.day)]
            return [*found, ("time_ns", self.nanoseconds)] if self.role == "time" else found
        if self.is_number:
            # One zero: -0 becomes 0.
            return [(self.target, f"CASE WHEN NOT isnan({self.number}) THEN {self.number} + 0D END")]
        if self.role == "keep" and self.found not in _TEXT:
            return [(self.target, self.raw)]
        if self.role == "order" and self.found in _FLOATS:
            return [(self.target, f"{self.number} + 0D")]
        whole = self.found in _INTEGERS and self.role != "profile"
        return [(self.target, f"CAST({self.raw} AS {'BIGINT' if whole else 'STRING'})")]

    def problems(self) -> list[tuple[str, str]]:
        """Conditions under which a value cannot be used, and what is then wrong with it."""
        found = []
        if self.role == "user":
            found.append((f"{self.raw} IS NULL", "the user id is missing (null)"))
        if self.role in ("day", "time"):
            found.append((f"{self.raw} IS NULL", "the time is missing (null)"))
        if self.is_time:
            outside = f"NOT ({self.day} BETWEEN {_FIRST_DAY} AND {_LAST_DAY})"
            found.append((outside, "the time is outside the years 1 to 9999"))
        if self.role == "value":
            found.append((f"{self.raw} IS NULL", "the value is missing (null)"))
            found.append((f"isnan({self.number})", "the value is not a number (NaN)"))
        if self.is_number:
            large = f"NOT isnan({self.number}) AND abs({self.number}) >= {_LIMIT}"
            found.append((large, "the value is infinite or too large: the limit is 100 trillion (1e14)"))
        return found


def _wanted(frame: DataFrame, name: str, columns: Sequence[Mapping[str, str]]) -> list[_Wanted]:
    """The columns of a table, checked by their types."""
    types = {field.name: field.dataType.typeName() for field in frame.schema.fields}
    made = []
    for column in columns:
        found = types.get(column["column"])
        if found is None:
            present = ", ".join(types)
            raise DataError(
                f"{name}: no column '{column['column']}', named by {column['key']}; its columns are {present}"
            )
        found = found.split("(")[0].split(" ")[0]
        allowed, words = _ALLOWED[column["role"]]
        if found not in allowed:
            raise DataError(
                f"{name}: column '{column['column']}', named by {column['key']}, is of type {found}; it must be {words}"
            )
        made.append(_Wanted(column["column"], column["key"], column["target"], column["role"], found))
    return made


def _table(frame: DataFrame, wanted: Sequence[_Wanted]) -> DataFrame:
    """The table that the query reads."""
    made = [pair for column in wanted for pair in column.made()]
    return frame.selectExpr(*(f"{expression} AS {_quoted(target)}" for target, expression in made))


def _check(frame: DataFrame, name: str, wanted: Sequence[_Wanted], as_of: int) -> int | None:
    """One pass over a table for what SQL would take without a word; its first day, if there is one.

    Of events on or after the as-of day only the times are looked at: nothing else of them is read.
    """
    times = [column for column in wanted if column.is_time]
    users = name == "users"
    seen = "true" if users else f"{times[0].day} < {as_of}"
    checks = []
    for column in wanted:
        for condition, problem in column.problems():
            checks.append((column, problem, condition if column.is_time else f"{seen} AND ({condition})"))
    user = wanted[0].raw
    asked = [f"min({times[0].day}) AS first" if times else "CAST(NULL AS INT) AS first"]
    asked.append(f"count({user}) AS rows")
    if users:
        asked.append(f"count(DISTINCT {user}) AS users")
    for i, (column, _, condition) in enumerate(checks):
        example = f"named_struct('user', CAST({user} AS STRING), 'value', CAST({column.raw} AS STRING))"
        asked.append(f"count_if({condition}) AS n{i}")
        asked.append(f"min(CASE WHEN {condition} THEN {example} END) AS example{i}")
    found = frame.selectExpr(*asked).collect()[0]
    for i, (column, problem, _) in enumerate(checks):
        if found[f"n{i}"]:
            raise DataError(_bad(name, column, problem, found[f"n{i}"], found[f"example{i}"]))
    if users and found["users"] != found["rows"]:
        twice = frame.groupBy(_column(wanted[0].column)).count().where("count > 1").limit(1).collect()
        who = f"user '{twice[0][0]}' is there {twice[0][1]} times" if twice else "a user is there more than once"
        raise DataError(f"users: column '{wanted[0].column}': {who}; the table may hold each user once")
    first: int | None = found["first"]
    return first


def _bad(name: str, column: _Wanted, problem: str, rows: int, example: Row) -> str:
    who = "" if example["user"] is None else f" of user '{example['user']}'"
    value = "" if example["value"] is None else f", {example['value']}{who}"
    where = value or (f", such as{who}" if who else "")
    count = "1 row" if rows == 1 else f"{rows} rows"
    return f"{name}: column '{column.column}', in {count}{where}: {problem}; put it right, or leave such rows out"


def _column(name: str) -> Any:
    from pyspark.sql import functions

    return functions.col(_quoted(name))


def _as_of_day(config: str | os.PathLike[str] | None, options: str) -> int:
    """The as-of day, counted from 1970-01-01: the one after the last of the calendar."""
    for first in (0, _FIRST_DAY):
        days = _ltv.calendar(config, options, first).column("day")
        if len(days):
            return int(days[-1].as_py()) + 1
    return _FIRST_DAY


def _calendar(session: SparkSession, config: str | os.PathLike[str] | None, options: str, first: int) -> DataFrame:
    batch = _ltv.calendar(config, options, first)
    rows = list(zip(*(column.to_pylist() for column in batch.columns)))
    types = {"int32": "INT", "string": "STRING", "double": "DOUBLE"}
    schema = ", ".join(f"{field.name} {types[str(field.type)]}" for field in batch.schema)
    from pyspark.sql import functions

    # Small: rows of users, which are wide, are not shuffled for it.
    return functions.broadcast(session.createDataFrame(rows, schema))


def _spark_sql(sql: str) -> str:
    """The statement with quoted names as Spark reads them under all settings, and in no order."""
    sql = sql.rstrip().removesuffix("ORDER BY c.user_id")
    parts = re.split(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""", sql)
    return "".join(_quoted(part[1:-1].replace('""', '"')) if part.startswith('"') else part for part in parts)


def features(
    events: DataFrame,
    users: DataFrame | None = None,
    *,
    as_of: str | datetime.date | None = None,
    label: str | None = None,
    window_days: int | None = None,
    horizons: Sequence[int] | None = None,
    user: str | None = None,
    time: str | None = None,
    value: str | None = None,
    registration: str | None = None,
    profile: Sequence[str] = (),
    keep: Sequence[str] = (),
    config: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> DataFrame:
    """Turns events and users into the rows of a dataset, on Spark: one for each user, with features and labels.

    The columns and values are those that :func:`ltv.features` makes of the same rows, by the same SQL statement;
    rows come in no order. The result is lazy, as any DataFrame. No setting of the session is changed, and none
    matters, its time zone and ANSI mode included.

    Before that, each table is read once for what ``ltv.features`` refuses and SQL would take without a word: ids, times
    and values that are missing, infinite, NaN or too large, and users who are there twice. That is one Spark job for
    each table, of the columns that are needed; events are not shuffled for it, and of users only the ids.
    ``ltv.features`` also counts users and events a second way; here that is left to Spark.

    Parameters
    ----------
    events : the event log
    users : the user table, one row for each user; none if every user has an event and nothing more is known of them
    as_of, label, window_days, horizons, user, time, value, registration, profile, keep, config, options : as of
        :func:`ltv.features`; paths in them are read by the driver

    Returns
    -------
    DataFrame
        ``user_id`` (BIGINT or STRING), ``reg_day`` (DATE), ``status`` (STRING), features (DOUBLE or STRING), kept
        columns, and labels ``ltv_<N>`` (DOUBLE, null until their horizon is over).

    Raises
    ------
    DataError
        When a column is missing, of the wrong type, or holds what it cannot: the message names table, column and an
        example.
    InputError
        When an option is unknown or out of range.
    ImportError
        Without PySpark.

    Notes
    -----
    Numbers are added up as ``DECIMAL(20, 6)``. Of a number with more than six decimals the two engines may round the
    sixth differently, and a decimal of more than 15 digits may become a DOUBLE that differs in its last bit.
    Times have microseconds here.

    Examples
    --------
    Of columns ``user_id``, ``timestamp`` and ``amount``::

        events = spark.read.parquet("orders/")
        rows = ltv.spark.features(events, as_of="2024-01-01", label="value", value="amount")
        rows.write.parquet("features/")

    >>> import ltv
    >>> ltv.spark.features.__name__
    'features'
    """
    _needs_pyspark()
    for name, frame in (("events", events), ("users", users)):
        if not (_is_dataframe(frame) or (frame is None and name == "users")):
            kind = type(frame).__name__
            raise InputError(f"{name}: {kind} is no Spark DataFrame; for other tables take ltv.features")
    given = _configuration(
        as_of, label, window_days, horizons, options, _columns(user, time, value, registration, profile, keep)
    )
    plan = json.loads(_ltv.query_plan(config, given, users is not None))
    if users is None:
        of_users = json.loads(_ltv.query_plan(config, given, True))["users"]
        if len(of_users) > 1:
            raise InputError(f"{of_users[1]['key']}: comes from a user table: give one, or leave this out")
    as_of_day = _as_of_day(config, given)
    try:
        wanted = {"events": _wanted(events, "events", plan["events"])}
        frames = {"events": events}
        if users is not None:
            wanted["users"] = _wanted(users, "users", plan["users"])
            frames["users"] = users
            _check_same_users(wanted["events"][0], wanted["users"][0])
        found = [_check(frame, name, wanted[name], as_of_day) for name, frame in frames.items()]
        first = min([found_day for found_day in found if found_day is not None], default=as_of_day)
        tables = {name: _table(frame, wanted[name]) for name, frame in frames.items()}
        tables["calendar"] = _calendar(events.sparkSession, config, given, min(first, as_of_day))
        return _run(events.sparkSession, plan["sql"], tables)
    except LtvError:
        raise
    except Exception as error:
        raise DataError(f"Spark cannot read these tables: {_short(_words(error))}") from error


def _check_same_users(events: _Wanted, users: _Wanted) -> None:
    kinds = ["an integer" if column.found in _INTEGERS else "text" for column in (users, events)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"users: column '{users.column}' is {kinds[0]}, but '{events.column}' of events is {kinds[1]}; "
            "make them the same type"
        )


def _run(session: SparkSession, sql: str, tables: Mapping[str, DataFrame]) -> DataFrame:
    """The statement over these tables, whatever views the session has."""
    # Names in front of the statement's own win over those of the session; Spark makes up the names of views.
    ours = ", ".join(f"{name} AS (SELECT * FROM {{{name}}})" for name in tables)
    text = _spark_sql(sql).replace("{", "{{").replace("}", "}}")
    frames: dict[str, Any] = dict(tables)
    rows = session.sql(f"WITH {ours}, {text.removeprefix('WITH ')}", None, **frames)
    names = rows.columns
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise InputError(f"two columns would be called '{twice[0]}'; rename one of the input")
    from pyspark.sql import functions

    dated = functions.expr("date_from_unix_date(reg_day)").alias("reg_day")
    return rows.select(*(dated if name == "reg_day" else _column(name) for name in names))


# --- scores ---

#: Rows that make a task worth starting, and rows after which another is worth it.
_FEW_ROWS, _MANY_ROWS = 10_000, 1_000_000
_HASH = "__ltv_hash"
_EVENTS = "n_events"


def score(
    rows: DataFrame,
    model: Any,
    out: str | os.PathLike[str],
    *,
    as_of: str | datetime.date,
    decoding: str = "expectation",
    past_horizon: str = "keep",
    partitions: int | None = None,
    staging: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Scores every user on Spark and commits one snapshot, every user once, or nothing.

    The rows are divided by user; each task scores its own with one thread and writes them to a file of its own try,
    in a hidden folder beside ``out``. Spark may run a task several times, when an executor dies or is slow: only the
    try whose result it returns counts. The driver then compares all parts with a count of the rows that was made apart
    from them (rows, distinct users, events, and a hash of every value), puts the files together and writes the
    manifest last, as ``ltv score`` does. Whenever something fails, ``out`` stays what it was, and the hidden folder is
    removed.

    ``rows`` is evaluated twice: write costly rows to Parquet first, or cache them. Rows that come out differently the
    second time are refused. Predictions are those of ``ltv score`` to the last bit, but for a user who is alone in a
    task: of one row the network's sums are made in another order, and differ by some millionths.

    Parameters
    ----------
    rows : the rows of a dataset: as :func:`features` makes them, or the Parquet files of a dataset of
        :func:`ltv.features` (``spark.read.parquet(f"{folder}/part-*.parquet")``). Rows do not say of which label they
        are: they have to be made with the feature configuration that the model was trained with
    model : a fitted network (:class:`ltv.ODMN`, :class:`ltv.ZILN`), its ``model_``, or the path of its file
    out : folder of the snapshot, on a file system that driver and executors share; new, empty, or a snapshot to replace
    as_of : the as-of day of the rows
    decoding : how a distribution becomes one value: ``"expectation"``, ``"median"``, ``"quantile:P"``, ``"matched"``
        or ``"argmax"``
    past_horizon : ``"keep"`` or ``"drop"`` users older than the longest horizon
    partitions : tasks, and files at most; from the number of rows and cores if not given
    staging : folder in which the hidden folder is made; of the same file system as ``out``, beside it if not given

    Returns
    -------
    dict
        The manifest of the snapshot (docs/formats/snapshot.md).

    Raises
    ------
    ScoreError
        When rows cannot be scored, parts do not add up, or ``out`` holds anything but a snapshot.
    InputError
        When an option, or the model, cannot be used.
    ImportError
        Without PySpark.

    Examples
    --------
    ::

        rows = spark.read.parquet("features/")
        manifest = ltv.spark.score(rows, "model.ltv", "/shared/scores", as_of="2024-01-01")

    >>> import ltv
    >>> ltv.spark.score.__name__
    'score'
    """
    _needs_pyspark()
    if not _is_dataframe(rows) or not hasattr(rows, "_jdf"):
        raise InputError(f"rows: {type(rows).__name__} is no DataFrame of a Spark session in this process")
    if past_horizon not in ("keep", "drop"):
        raise InputError(f"past_horizon: {past_horizon!r} is neither 'keep' nor 'drop'")
    if partitions is not None and partitions < 1:
        raise InputError(f"partitions: {partitions} tasks; give 1 or more")
    fitted = _model(model)
    job = _Job(day(as_of, "as_of"), decoding, past_horizon == "keep")
    target = _target(out)
    folder: Path | None = None
    try:
        chosen = _chosen(rows, fitted)
        # On no rows at all: what is wrong with the options, the model or a column's type shows before any work.
        job.part(fitted, _no_rows(chosen), target.parent, "none.parquet")
        expected = _expected(chosen)
        folder = _beside(target, staging)
        return _committed(chosen, fitted, job, (target, folder), expected, partitions)
    except LtvError:
        raise
    except Exception as error:
        raise _failed(target, error) from error
    finally:
        if folder is not None:
            _removed(folder)


@dataclass(frozen=True)
class _Job:
    """What parts and the snapshot have in common."""

    as_of: str
    decoding: str
    keep: bool

    def part(self, model: _ltv.Model, batches: pa.RecordBatchReader, folder: Path, name: str) -> str:
        return _ltv.score_part(model, batches, folder, name, self.as_of, self.decoding, self.keep)


class _Task:
    """What runs on the executors, once for each try of each partition."""

    def __init__(self, model: Any, key: str, folder: Path, job: _Job) -> None:
        self.model = model
        self.key = key
        self.folder = folder
        self.job = job

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        first = next(batches, None)
        context = TaskContext.get()
        if first is None or context is None:
            return
        number = context.partitionId()
        name = f"part-{number:05}-{context.attemptNumber()}-{uuid.uuid4().hex}.parquet"
        seen = _Seen()
        rows = pa.RecordBatchReader.from_batches(_without_hash(first).schema, seen.follow(first, batches))
        made = self.job.part(_of_bytes(self.key, self.model), rows, self.folder, name)
        yield pa.RecordBatch.from_pydict({"number": [number], "rows": [seen.rows], "hash": [seen.hash], "made": [made]})


class _Seen:
    """What went by."""

    def __init__(self) -> None:
        self.rows = 0
        self.hash = 0

    def follow(self, first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield self._counted(first)
        for batch in others:
            yield self._counted(batch)

    def _counted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.rows += batch.num_rows
        self.hash ^= int(np.bitwise_xor.reduce(batch.column(_HASH).to_numpy()))
        return _without_hash(batch)


def _without_hash(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.select([name for name in batch.schema.names if name != _HASH])


#: The model of this worker process, by the checksum of its bytes.
_models: dict[str, _ltv.Model] = {}


def _of_bytes(key: str, broadcast: Any) -> _ltv.Model:
    """The model, made once for each worker process."""
    if key not in _models:
        _models.clear()
        _models[key] = _ltv.Model.from_bytes(broadcast.value)
    return _models[key]


def _model(model: Any) -> _ltv.Model:
    if isinstance(model, _ltv.Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        return _ltv.Model.load(model)
    if hasattr(model, "_fitted"):
        found = model._fitted()
        if isinstance(found, _ltv.Model):
            return found
    raise InputError(f"model: {type(model).__name__} is no model of this package; give a fitted one, or its path")


def _target(out: str | os.PathLike[str]) -> Path:
    """The folder of the snapshot; what is in it is looked at again when it is committed."""
    text = os.fspath(out)
    if "://" in text:
        raise InputError(f"out: {text} is an address; give a folder that driver and executors share, and copy it then")
    target = Path(os.path.abspath(text))
    entries = sorted(target.iterdir()) if target.is_dir() else []
    if target.exists() and not target.is_dir():
        raise ScoreError(f"{target}: is no folder; give a new one, an empty one or a snapshot to replace")
    if entries and not _is_snapshot(target):
        raise ScoreError(
            f"{target}: holds '{entries[0].name}', which is not part of a snapshot; "
            "give a new folder, an empty one or a snapshot to replace"
        )
    return target


def _is_snapshot(folder: Path) -> bool:
    try:
        found = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == "ltv-snapshot"


def _beside(target: Path, staging: str | os.PathLike[str] | None) -> Path:
    """The folder, new, into which parts are written."""
    parent = Path(os.path.abspath(os.fspath(staging))) if staging is not None else target.parent
    folder = parent / f".ltv-spark-{target.name}-{uuid.uuid4().hex[:12]}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ScoreError(f"{parent}: cannot make a folder there ({error.strerror})") from error
    return folder


def _removed(folder: Path) -> None:
    # A task that was given up may add a file meanwhile.
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def _chosen(rows: DataFrame, model: _ltv.Model) -> DataFrame:
    """The columns that scoring reads."""
    read = model.columns()
    names = list(dict.fromkeys(["user_id", "status", *read, *([_EVENTS] if _EVENTS in rows.columns else [])]))
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise ScoreError(
            f"rows: no column '{missing[0]}'; give the rows of a dataset, as ltv.spark.features makes them "
            "with the feature configuration that the model was trained with"
        )
    longer = _longer(read, rows.columns)
    if longer:
        raise ScoreError(f"rows: column '{longer}' is of a day that the model does not know: its window is shorter")
    kind = rows.schema["user_id"].dataType.typeName().split("(")[0].split(" ")[0]
    if kind not in _INTEGERS + _TEXT:
        raise ScoreError(f"rows: column 'user_id' is of type {kind}; it must be an integer or text")
    user = _column("user_id").cast("bigint" if kind in _INTEGERS else "string").alias("user_id")
    return rows.select(user, *map(_column, names[1:]))


def _longer(read: Sequence[str], names: Sequence[str]) -> str | None:
    """A day of a sequence behind those that the model reads."""
    days: dict[str, set[int]] = {}
    for name in read:
        match = re.fullmatch(r"(.+)_d([0-9]+)", name)
        if match:
            days.setdefault(match[1], set()).add(int(match[2]))
    whole = {stem: len(of) for stem, of in days.items() if len(of) > 1 and of == set(range(len(of)))}
    return next((f"{stem}_d{after}" for stem, after in whole.items() if f"{stem}_d{after}" in names), None)


_ARROW = {
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "char": pa.string(),
    "varchar": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "void": pa.null(),
}


def _no_rows(rows: DataFrame) -> pa.RecordBatchReader:
    """One batch without rows, of the types that tasks get."""
    fields = []
    for field in rows.schema.fields:
        found: Any = field.dataType
        kind = found.typeName().split("(")[0].split(" ")[0]
        arrow = pa.decimal128(found.precision, found.scale) if hasattr(found, "precision") else _ARROW.get(kind)
        if arrow is None:
            words = "a number, text, a boolean or a date"
            raise ScoreError(f"rows: column '{field.name}' is of type {kind}; it must be {words}")
        fields.append(pa.field(field.name, arrow))
    schema = pa.schema(fields)
    empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in fields], schema=schema)
    return pa.RecordBatchReader.from_batches(schema, [empty])


def _hashed(rows: DataFrame) -> DataFrame:
    """With a hash of every value of a row."""
    from pyspark.sql import functions

    return rows.select("*", functions.xxhash64(*map(_column, rows.columns)).alias(_HASH))


def _expected(rows: DataFrame) -> dict[str, Any]:
    """What the parts must add up to."""
    events = f"sum(CAST({_EVENTS} AS DOUBLE))" if _EVENTS in rows.columns else "CAST(NULL AS DOUBLE)"
    found = (
        _hashed(rows)
        .selectExpr(
            "count(1) AS rows",
            "count_if(user_id IS NULL) AS nobody",
            "count(DISTINCT user_id) AS users",
            f"{events} AS events",
            f"bit_xor({_HASH}) AS hash",
        )
        .collect()[0]
    )
    if not found["rows"]:
        raise ScoreError("rows: there are none, so that there is nobody to score; look at where they come from")
    if found["nobody"]:
        raise ScoreError(f"rows: column 'user_id' is missing (null) in {found['nobody']} rows; leave them out")
    if found["rows"] != found["users"]:
        twice = rows.groupBy("user_id").count().where("count > 1").limit(1).collect()
        who = f", user '{twice[0][0]}' {twice[0][1]} times" if twice else ""
        raise ScoreError(f"rows: {found['rows']} rows of {found['users']} users{who}; give one row for each")
    return {"rows": found["rows"], "users": found["users"], "events": found["events"] or 0.0, "hash": found["hash"]}


def _tasks(rows: int, cores: int) -> int:
    return max(1, min(cores, -(-rows // _FEW_ROWS)), -(-rows // _MANY_ROWS))


def _committed(
    rows: DataFrame,
    model: _ltv.Model,
    job: _Job,
    folders: tuple[Path, Path],
    expected: dict[str, Any],
    partitions: int | None,
) -> dict[str, Any]:
    (target, folder), context = folders, rows.sparkSession.sparkContext
    content = model.to_bytes()
    broadcast = context.broadcast(content)
    try:
        task = _Task(broadcast, hashlib.sha256(content).hexdigest(), folder, job)
        count = partitions or _tasks(expected["rows"], context.defaultParallelism)
        divided = rows.repartition(count, "user_id").sortWithinPartitions("user_id")
        made = _hashed(divided).mapInArrow(task, "number BIGINT, rows BIGINT, hash BIGINT, made STRING")
        parts = sorted(made.collect(), key=lambda part: part["number"])
    finally:
        broadcast.destroy()
    seen = functools.reduce(lambda hash, part: hash ^ part["hash"], parts, 0)
    if seen != expected["hash"] and sum(part["rows"] for part in parts) == expected["rows"]:
        raise ScoreError(
            f"{target}: rows were not the same when they were counted and when they were scored; nothing was "
            "committed: write them to Parquet, and score what is there"
        )
    counted = {name: expected[name] for name in ("rows", "users", "events")}
    ours = [part["made"] for part in parts]
    manifest = _ltv.commit_parts(
        model, target, folder, ours, job.as_of, document(counted), job.decoding, job.keep
    )
    return dict(json.loads(manifest))


_OURS = re.compile(r"ltv\.errors\.(\w+): (.*?)(?=\n\s*\n|\n\s+at |\n\tat |\Z)", re.DOTALL)
_ABSENT = re.compile(r"(?:ModuleNotFoundError|ImportError): .*\bltv\b.*")


def _failed(target: Path, error: Exception) -> LtvError:
    """What went wrong on an executor, in its own words where it is one of our errors."""
    text = _words(error)
    found = _OURS.search(text)
    if found:
        kind: type[LtvError] = getattr(errors, found[1], ScoreError)
        return kind(f"{found[2].strip()}; nothing was committed to {target}")
    if _ABSENT.search(text):
        return ScoreError("executors cannot import ltv: install the same wheel in the Python that they run")
    return ScoreError(f"{target}: nothing was committed, as Spark could not finish ({_short(text)})")


def _words(error: Exception) -> str:
    # An error of the JVM that PySpark does not know prints as the call that failed.
    thrown = getattr(error, "java_exception", None)
    return str(error) if thrown is None else str(thrown.toString())


def _short(text: str) -> str:
    """A traceback of Python ends with what is wrong; Spark's own words begin with it."""
    lines = [line for line in text.splitlines() if line and not line[0].isspace()]
    return lines[-1 if "Traceback" in text else 0] if lines else "it does not say why"
