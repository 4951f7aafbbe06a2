"""Sums over rows in the order of their predictions, where tied rows share evenly: the mean over all their orders."""

from __future__ import annotations

import numpy as np

from ltv import _tables
from ltv.errors import MetricError


def tie_means(keys: _tables.Floats, *columns: _tables.Floats) -> list[_tables.Floats]:
    """Columns in ascending order of ``keys``; rows of equal keys share their sum evenly."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if len(starts) == len(keys):
        return [column[order] for column in columns]
    counts = np.diff(np.r_[starts, len(keys)])
    return [np.repeat(np.add.reduceat(column[order], starts) / counts, counts) for column in columns]


def gain(y_true: _tables.Floats, y_pred: _tables.Floats) -> _tables.Floats:
    """Share of the labels' total in the first rows by prediction, from the highest down."""
    (labels,) = tie_means(-y_pred, y_true)
    # A running sum in extended precision, where there is one: a million roundings stay below 1e-12.
    running = np.cumsum(labels, dtype=np.longdouble)
    if running[-1] == 0:
        raise MetricError("y_true sums to zero, so that there is no share of its total; give rows with value")
    return np.asarray(running / running[-1], dtype=np.float64)


def parts(y_true: _tables.Floats, y_pred: _tables.Floats, count: int) -> dict[str, _tables.Floats]:
    """Means in so many equal parts of the rows by prediction, the lowest first; parts without rows are left out."""
    error = y_pred - y_true
    columns = {"label": y_true, "prediction": y_pred, "square": error * error, "absolute": np.abs(error)}
    ordered = dict(zip(columns, tie_means(y_pred, *columns.values())))
    ends = [k * (len(y_pred) - 1) // count + 1 for k in range(1, count + 1)]
    spans = [(k, start, end) for k, (start, end) in enumerate(zip([0, *ends], ends)) if end > start]
    found = {name: np.array([column[start:end].mean() for _, start, end in spans]) for name, column in ordered.items()}
    found["part"] = np.array([k for k, _, _ in spans], dtype=np.float64)
    return found
