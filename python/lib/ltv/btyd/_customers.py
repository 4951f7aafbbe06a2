"""What customers did: histories and spend, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltv import _tables
from ltv.btyd._inputs import given, refuse

#: Columns that say how often a customer bought, and when.
HISTORY = ("frequency", "recency", "T")
#: Columns that say what a customer's purchases were worth.
SPEND = ("frequency", "monetary_value")


class Histories(NamedTuple):
    """What customers did, checked."""

    frequency: _tables.Floats
    recency: _tables.Floats
    T: _tables.Floats
    shape: tuple[int, ...]

    @classmethod
    def read(cls, frequency: Any, recency: Any = None, T: Any = None) -> Histories:
        found, shape = given(HISTORY, frequency, recency, T)
        for column, name in zip(found, HISTORY):
            _check_finite(column, name)
        histories = cls(found[0], found[1], found[2], shape)
        histories._check()
        return histories

    def _check(self) -> None:
        x, last, age = self.frequency, self.recency, self.T
        _check_counts(x)
        refuse(last < 0, lambda row: f"column 'recency' is {last[row - 1]:g} in row {row}; times cannot be negative")
        refuse(age < 0, lambda row: f"column 'T' is {age[row - 1]:g} in row {row}; times cannot be negative")
        wrong = "the last purchase must lie within the observation"
        refuse(last > age, lambda row: f"recency is {last[row - 1]:g}, T {age[row - 1]:g} in row {row}; {wrong}")
        wrong = "without a repeat purchase the recency is 0"
        refuse((x == 0) & (last > 0), lambda row: f"frequency is 0, recency {last[row - 1]:g} in row {row}; {wrong}")
        wrong = "a repeat purchase must be later than the first one"
        refuse((x > 0) & (last == 0), lambda row: f"frequency is {x[row - 1]:g}, recency 0 in row {row}; {wrong}")

    def arrow(self) -> tuple[pa.Array, pa.Array, pa.Array]:
        return _tables.arrow(self.frequency), _tables.arrow(self.recency), _tables.arrow(self.T)

    def distinct(self) -> tuple[Histories, npt.NDArray[np.intp]]:
        """Histories that differ, and which one each customer has."""
        rows = np.column_stack([self.frequency, self.recency, self.T])
        found, of = np.unique(rows, axis=0, return_inverse=True)
        columns = np.ascontiguousarray(found.T)
        return Histories(columns[0], columns[1], columns[2], (len(found),)), of.ravel()

    def some(self, rows: npt.NDArray[np.intp]) -> Histories:
        return Histories(self.frequency[rows], self.recency[rows], self.T[rows], (len(rows),))


def spend_of(frequency: Any, monetary_value: Any = None) -> tuple[_tables.Floats, _tables.Floats, tuple[int, ...]]:
    """Purchases and their mean value, checked, and the shape they had."""
    (days, means), shape = given(SPEND, frequency, monetary_value)
    for column, name in zip((days, means), SPEND):
        _check_finite(column, name)
    _check_counts(days)
    return days, means, shape


def _check_finite(column: _tables.Floats, name: str) -> None:
    told = "drop the row or fill it in"
    refuse(~np.isfinite(column), lambda row: f"column '{name}' is {column[row - 1]} in row {row}; {told}")


def _check_counts(x: _tables.Floats) -> None:
    wrong = (x < 0) | (x != np.floor(x)) | (x > 2**32 - 1)
    refuse(wrong, lambda row: f"column 'frequency' is {x[row - 1]:g} in row {row}; give whole numbers from 0 on")
