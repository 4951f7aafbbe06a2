"""The rows that are scored: their columns, a hash of all that the model reads, and what they add up to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ltv import _ltv
from ltv.errors import ScoreError
from ltv.spark._common import column as _column
from ltv.spark._common import quoted as _quoted
from ltv.spark._tables import _INTEGERS, _TEXT
from ltv.spark._tasks import _HASH

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_EVENTS = "n_events"


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
