"""Labels, predictions and tables of them on their way in: shapes, checks, and what refusals say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltv import _tables
from ltv.errors import MetricError


def need_pandas() -> Any:
    """The package pandas, which only functions that take or return data frames need."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("this needs pandas, which is not installed: pip install pandas") from error
    return pandas


def same_rows(y_true: _tables.Floats, y_pred: _tables.Floats, name: str = "y_pred") -> None:
    if len(y_true) != len(y_pred):
        raise MetricError(f"y_true has {len(y_true)} rows, {name} {len(y_pred)}; give one prediction for each label")


def refuse(bad: Any, values: _tables.Floats, name: str, columns: Sequence[str], what: str) -> None:
    """Names the first bad value, if there is one."""
    if not bad.any():
        return
    where = np.argwhere(bad)[0]
    column = f", column '{columns[where[1]]}'" if values.ndim == 2 and len(columns) > 1 else ""
    raise MetricError(f"{name}{column}, row {where[0]} (counted from 0): {values[tuple(where)]:g} is {what}")


def check_labels(values: _tables.Floats, name: str = "y_true", columns: Sequence[str] = ()) -> None:
    bad = (values < 0) | np.isinf(values)
    what = "no label that a Lorenz curve can hold; give finite ones of at least 0 (set returns to 0), NaN if not known"
    refuse(bad, values, name, columns, what)


def check_predictions(values: _tables.Floats, name: str = "y_pred", columns: Sequence[str] = ()) -> None:
    bad = ~((values >= 0) & np.isfinite(values))
    what = "no usable prediction; every row needs a finite one of at least 0, also where the label is not yet known"
    refuse(bad, values, name, columns, what)


def _has_columns(values: Any) -> bool:
    """Whether it is a data frame, maybe a lazy one of polars."""
    return hasattr(values, "collect_schema") or hasattr(values, "columns")


def vector_of(values: Any, name: str) -> _tables.Floats:
    """One column of numbers, which a table may hold."""
    if not hasattr(values, "__array__") and _has_columns(values):
        table = _tables.table(values)
        if table.num_columns != 1:
            raise MetricError(f"{name}: a table of {table.num_columns} columns; give one column of numbers")
        values = table.column(0)
    return _tables.floats(values, name)


def pair(y_true: Any, y_pred: Any, name: str = "y_pred") -> tuple[_tables.Floats, _tables.Floats]:
    """Labels and predictions that can be measured."""
    labels, predictions = vector_of(y_true, "y_true"), vector_of(y_pred, name)
    same_rows(labels, predictions, name)
    check_labels(labels)
    check_predictions(predictions, name)
    return labels, predictions


def columns_of(values: Any) -> dict[str, Any] | None:
    """The columns of a table by name; None if it is no table."""
    if isinstance(values, Mapping):
        return {str(name): column for name, column in values.items()}
    if hasattr(values, "iloc") and hasattr(values, "columns"):
        return {str(name): values.iloc[:, i] for i, name in enumerate(values.columns)}
    if hasattr(values, "label_columns"):
        # A dataset: no need to read its features.
        table = values.to_arrow(values.label_columns)
    elif _has_columns(values):
        table = _tables.table(values)
    else:
        return None
    return {name: table.column(i) for i, name in enumerate(table.column_names)}


def matrix_of(values: Any, name: str, horizons: Sequence[int] | None) -> tuple[_tables.Floats, list[int] | None]:
    """Numbers as ``[rows, horizons]``, and the horizons that a table's columns ``ltv_<N>`` name."""
    columns = columns_of(values)
    if columns is None:
        return _array(values, name), None
    found: list[int] | None = _tables.horizons_of(columns)
    if found:
        wanted = found if horizons is None else list(horizons)
        missing = [days for days in wanted if days not in found]
        if missing:
            raise MetricError(f"{name}: no column 'ltv_{missing[0]}'; its columns are {', '.join(columns)}")
        found, columns = wanted, {f"ltv_{days}": columns[f"ltv_{days}"] for days in wanted}
    elif isinstance(values, Mapping) or not columns:
        raise MetricError(f"{name}: no column ltv_<N>, such as ltv_30; its columns are {', '.join(columns) or 'none'}")
    else:
        found = None
    numbers = [_tables.floats(column, f"{name}, column '{key}'") for key, column in columns.items()]
    if len({len(column) for column in numbers}) > 1:
        raise MetricError(f"{name}: columns of different lengths; give one value for each row and horizon")
    return np.column_stack(numbers), found


def _array(values: Any, name: str) -> _tables.Floats:
    """An array as ``[rows, horizons]``."""
    if hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__"):
        return _tables.floats(values, name)[:, None]
    try:
        matrix = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"{name}: not numbers, or rows of different lengths ({error})") from error
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise MetricError(f"{name}: shape {matrix.shape}; give a vector, or a column for each horizon")
    return matrix
