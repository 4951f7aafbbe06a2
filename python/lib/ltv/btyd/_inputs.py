"""Tables, columns and numbers on their way in, and what refusals say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltv import _tables
from ltv.errors import DataError, InputError


def refuse(bad: npt.NDArray[np.bool_], message: Callable[[int], str]) -> None:
    """Raises for the first row that is bad, counted from 1."""
    if bad.any():
        raise DataError(message(int(bad.ravel().argmax()) + 1))


def listed(items: Sequence[Any]) -> str:
    """Items for a message, text in quotes."""
    return ", ".join(f"'{item}'" if isinstance(item, str) else str(item) for item in items)


def kind_of(value: Any) -> str:
    """What a value is, for a message."""
    kind = type(value).__name__
    return f"{kind} of shape {value.shape}" if isinstance(value, np.ndarray) else kind


def present(names: Sequence[str], found: Sequence[str]) -> None:
    """Raises for the first name that is not there."""
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"the table has no column '{missing[0]}'; its columns are {', '.join(map(str, found))}")


def is_table(value: Any) -> bool:
    """Whether it has named columns, of which Series and arrays have none."""
    if _tables.is_path(value) or isinstance(value, Mapping):
        return True
    if hasattr(value, "collect_schema") or hasattr(value, "columns"):
        return True
    return hasattr(value, "__arrow_c_stream__") and not (hasattr(value, "dtype") or isinstance(value, pa.ChunkedArray))


def table_of(X: Any, names: Sequence[str]) -> Any:
    """A table as it is, and nothing else."""
    if not is_table(X):
        raise InputError(f"X: {kind_of(X)} is no table; give one with columns {listed(names)}")
    return X


def selected(table: Any, names: Sequence[str]) -> pa.Table:
    """Some columns of a table."""
    names = list(dict.fromkeys(names))
    if _tables.is_path(table):
        import pyarrow.dataset as ds

        present(names, _tables.opened(table).schema.names)
        return ds.dataset(_tables.parquet_files(table), format="parquet").to_table(columns=names)
    found = _tables.table(table)
    present(names, found.column_names)
    return found.select(names)


def columns_of(table: Any, names: Sequence[str]) -> list[Any]:
    """Columns of a table, as they are."""
    if isinstance(table, Mapping):
        present(names, list(table))
        return [table[name] for name in names]
    if hasattr(table, "loc") and hasattr(table, "columns"):
        # Of a data frame of pandas, other columns may be anything.
        present(names, [str(name) for name in table.columns])
        return [table[name] for name in names]
    found = selected(table, names)
    return [found.column(name) for name in names]


def numbers(values: Any, name: str) -> _tables.Floats:
    """Numbers of any shape."""
    kind = getattr(getattr(values, "dtype", None), "kind", "f")
    if kind in "mM":
        how = "divide it by the unit, such as pandas.Timedelta('1D')"
        raise InputError(f"{name}: {values.dtype} is a time, no number; {how}")
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return _tables.floats(values.ravel(), name).reshape(values.shape)
    if np.ndim(values) == 0 and not hasattr(values, "__arrow_c_array__"):
        return _tables.floats([values], name).reshape(())
    return _tables.floats(values, name)


def number(value: Any, name: str) -> float:
    """One number."""
    found = numbers(value, name)
    if found.size != 1:
        raise InputError(f"{name}: {found.size} values; give one number")
    return float(found.ravel()[0])


def _aligned(columns: Sequence[Any], names: Sequence[str]) -> tuple[list[_tables.Floats], tuple[int, ...]]:
    """Columns as vectors of one length, and the shape they had; single numbers count for every row."""
    found = [numbers(column, name) for column, name in zip(columns, names)]
    shapes = [column.shape for column in found if column.ndim > 0]
    if any(shape != shapes[0] for shape in shapes):
        told = [str(column.size) if column.ndim < 2 else str(column.shape) for column in found]
        what = f"give as many of each, or one table with columns {listed(names)}"
        raise InputError(f"{', '.join(names)} have {', '.join(told)} rows; {what}")
    shape = shapes[0] if shapes else ()
    return [np.ascontiguousarray(np.broadcast_to(column, shape)).ravel() for column in found], shape


def given(names: Sequence[str], *columns: Any) -> tuple[list[_tables.Floats], tuple[int, ...]]:
    """Columns given one by one, or as a table in place of the first one."""
    table, *others = columns
    if is_table(table) and all(other is None for other in others):
        return _aligned(columns_of(table, names), names)
    missing = [name for name, column in zip(names, columns) if column is None]
    if missing or is_table(table):
        what = "nothing" if table is None else kind_of(table)
        raise InputError(f"give a table with columns {listed(names)}, or these one by one; given: {what}")
    return _aligned(columns, names)


def times_ahead(t: Any) -> tuple[list[float], tuple[int, ...]]:
    """Times ahead, and their shape."""
    times = numbers(t, "t")
    if times.ndim > 1:
        raise InputError(f"t: {times.ndim} dimensions; give a number or a list of them")
    wrong = ~(np.isfinite(times) & (times >= 0))
    if wrong.any():
        raise InputError(f"t: {times[wrong].flat[0]}; give times of 0 or more, in the unit of T")
    return times.ravel().tolist(), times.shape


def later(y: Any, horizons: int) -> _tables.Floats:
    """Purchases seen later, a column for each horizon, NaN where not known."""
    if is_table(y) and not hasattr(y, "loc"):
        names = list(y) if isinstance(y, Mapping) else [str(name) for name in _tables.opened(y).schema.names]
        columns = columns_of(y, names)
        found = np.column_stack([_tables.floats(column, name) for column, name in zip(columns, names)])
    else:
        # A list, an array, or pandas, whose columns may have any name.
        found = numbers(np.asarray(y), "y")
        found = found.reshape(len(found), -1) if found.ndim else found.reshape(1, 1)
    if found.shape[1] != horizons:
        raise InputError(f"y has {found.shape[1]} columns for {horizons} horizons; give one for each")
    return found


def shaped(found: Any, shape: tuple[int, ...]) -> Any:
    """Numbers of the extension module, as an array that may be written to, or as a number."""
    return np.array(found).reshape(shape) if shape else float(found[0])
