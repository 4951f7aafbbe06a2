"""Features on Spark."""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltv import _ltv
from ltv.dataset import _columns, _configuration
from ltv.errors import DataError, InputError
from ltv.spark._common import column as _column
from ltv.spark._common import engine_errors, is_dataframe, needs_pyspark, short, words
from ltv.spark._common import quoted as _quoted
from ltv.spark._tables import _FIRST_DAY, _check, _check_same_users, _table, _wanted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


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
    needs_pyspark()
    for name, frame in (("events", events), ("users", users)):
        if not (is_dataframe(frame) or (frame is None and name == "users")):
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
    except engine_errors() as error:
        raise DataError(f"Spark cannot read these tables: {short(words(error))}") from error


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
