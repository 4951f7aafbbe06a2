"""Tables of events and users as the feature query reads them, by the roles of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltv.errors import DataError
from ltv.spark._common import column as _column
from ltv.spark._common import quoted as _quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

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



def _check_same_users(events: _Wanted, users: _Wanted) -> None:
    kinds = ["an integer" if column.found in _INTEGERS else "text" for column in (users, events)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"users: column '{users.column}' is {kinds[0]}, but '{events.column}' of events is {kinds[1]}; "
            "make them the same type"
        )
