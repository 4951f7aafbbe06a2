"""Everything at once: sets of predictions at all horizons, with intervals, differences and segments."""

from __future__ import annotations

import html
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ltv import _ltv, _tables
from ltv._progress import listening
from ltv.errors import MetricError
from ltv.metrics import _inputs
from ltv.metrics.values import GOOD, METRICS

if TYPE_CHECKING:
    import pandas as pd


#: What a one-dimensional ``y_true`` is called where no horizon is given, in days.
_DEFAULT_HORIZON = 365
#: What a missing value of a segment is called.
_NONE = "(none)"
#: How tables show which values are good.
_MARKS = {"lower": "↓", "higher": "↑", "zero": "→0", "one": "→1", "label": "→label", "": ""}
#: Rows of the table that is shown.
_SHOWN = tuple(name for name in METRICS if name != "BiasSE" and not name.startswith("Ideal"))
#: Columns of the data frames.
_COLUMNS = ["horizon", "set", "metric", "value", "low", "high"]


def evaluate(
    y_true: Any,
    predictions: Any,
    horizons: Sequence[int] | None = None,
    *,
    bootstrap: int = 200,
    seed: int = 1,
    reference: str | None = None,
    segments: Any = None,
    verbose: bool | None = None,
) -> Evaluation:
    """Every metric of one or more sets of predictions, with 95 % intervals from resampled rows.

    Parameters
    ----------
    y_true : labels, at least 0; NaN where not yet known, those rows are left out at that horizon. A vector, a matrix
        ``[rows, horizons]``, or a table with columns ``ltv_<N>``
    predictions : one set, or a mapping from names to sets, each in the shape of ``y_true``, finite and at least 0
    horizons : days of the columns, ascending; those of a table's columns if not given, 365 of a vector
    bootstrap : resamples, 20 or more; 0 for no intervals. Time grows with resamples, rows, sets and segments
    seed : the same seed gives the same intervals
    reference : name of a set that the others are compared with, on the same resamples: see
        :meth:`Evaluation.differences`
    segments : columns to report by: a mapping from names to values, one for each row, or a table. A value with fewer
        than 50 known rows, or without a positive label, is not measured
    verbose : whether to show progress; in terminals and notebooks if not given

    Raises
    ------
    MetricError
        For shapes that do not fit, and for what can be no label or prediction; it names set, column and row. A
        metric without a value is no error: it is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from ltv.metrics import evaluate
    >>> y_true = np.random.default_rng(1).gamma(0.5, size=200)
    >>> found = evaluate(y_true, {"half": y_true / 2, "mean": np.full(200, y_true.mean())}, bootstrap=0)
    >>> table = found.to_frame().pivot(index="metric", columns="set", values="value")
    >>> table.loc["CalibrationRatio"].round(3).to_dict()
    {'half': 0.5, 'mean': 1.0}
    """
    labels, days = _labels(y_true, horizons)
    named = predictions if isinstance(predictions, Mapping) else {"predictions": predictions}
    if not named:
        raise MetricError("predictions: nothing to evaluate; give one set at least")
    sets = [(str(name), _set(str(name), values, days, labels)) for name, values in named.items()]
    resamples = _number(bootstrap, "bootstrap", 1_000_000)
    start = _number(seed, "seed", 2**64 - 1)
    by = _segments(segments, len(labels))
    arrays = [(name, _tables.arrow(values)) for name, values in sets]
    with listening(verbose) as listener:
        text = _ltv.evaluate(_tables.arrow(labels), arrays, days, resamples, start, reference, by, None, listener)
    return Evaluation(json.loads(text))


def _number(value: Any, name: str, most: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= most:
        raise MetricError(f"{name}: {value!r}; give a whole number from 0 to {most}")
    return number


def _labels(y_true: Any, horizons: Sequence[int] | None) -> tuple[_tables.Floats, list[int]]:
    """Labels as ``[rows, horizons]``, checked, and the days of their columns."""
    given = None if horizons is None else _days(horizons)
    labels, named = _inputs.matrix_of(y_true, "y_true", given)
    days = given if given is not None else named
    if days is None and labels.shape[1] == 1:
        days = [_DEFAULT_HORIZON]
    if days is None:
        raise MetricError(f"y_true has {labels.shape[1]} columns: say which days they are of, horizons=[30, 90, ...]")
    if len(days) != labels.shape[1]:
        raise MetricError(f"y_true has {labels.shape[1]} columns for {len(days)} horizons; give one for each")
    _inputs.check_labels(labels, "y_true", [f"ltv_{day}" for day in days])
    return labels, days


def _days(horizons: Iterable[Any]) -> list[int]:
    if isinstance(horizons, (int, np.integer)):
        horizons = [horizons]
    try:
        days = [operator.index(day) for day in horizons]
    except (TypeError, ValueError) as error:
        raise MetricError(f"horizons: {horizons!r} are no days; give whole numbers, such as [30, 90]") from error
    if not days or days[0] < 1 or any(a >= b for a, b in zip(days, days[1:])) or days[-1] >= 2**31:
        raise MetricError(f"horizons: {days} must be whole days of at least 1, in ascending order")
    return days


def _set(name: str, values: Any, days: list[int], labels: _tables.Floats) -> _tables.Floats:
    what = f"predictions '{name}'"
    matrix, _ = _inputs.matrix_of(values, what, days)
    if matrix.shape != labels.shape:
        raise MetricError(f"{what}: shape {matrix.shape}, y_true has {labels.shape}; give one for each row and horizon")
    _inputs.check_predictions(matrix, what, [f"ltv_{day}" for day in days])
    return np.ascontiguousarray(matrix)


def _segments(segments: Any, rows: int) -> list[tuple[str, list[str]]]:
    """Columns of text, with a name for missing values."""
    if segments is None:
        return []
    columns = _inputs.columns_of(segments)
    if columns is None:
        raise MetricError("segments: give a mapping from names to columns, or a table")
    found = []
    for name, values in columns.items():
        try:
            if hasattr(values, "to_arrow"):
                # A series of polars.
                values = values.to_arrow()
            array = values if isinstance(values, pa.ChunkedArray) else pa.array(values, from_pandas=True)
            text = array.cast(pa.string()).fill_null(_NONE).to_pylist()
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise MetricError(f"segments, column '{name}': cannot be made text ({error})") from error
        if len(text) != rows:
            raise MetricError(f"segments, column '{name}': {len(text)} values for {rows} rows; give one for each")
        found.append((name, text))
    return found


class Evaluation:
    """Every metric of every set of predictions and horizon; shown as a table.

    Attributes
    ----------
    document : the whole evaluation as nested dicts and lists, as ``ltv evaluate --json`` writes it: metrics with
        intervals and reasons, paired differences, decile tables, curves, segments
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    @property
    def horizons(self) -> list[int]:
        """Days, ascending."""
        return list(self.document["horizons"])

    @property
    def sets(self) -> list[str]:
        """Names of the sets of predictions."""
        return [found["name"] for found in self.document["sets"]]

    def to_frame(self) -> pd.DataFrame:
        """All known rows: a data frame with columns ``horizon``, ``set``, ``metric``, ``value``, ``low``, ``high``.

        ``low`` and ``high`` hold the value in 95 % of resamples. NaN is what there is not.
        """
        return self._frame("metrics")

    def differences(self) -> pd.DataFrame:
        """Each set minus the reference, on the same resamples: columns as of :meth:`to_frame`.

        An interval without 0 in it says that the two differ. Empty without a reference.
        """
        return self._frame("differences")

    def by_segment(self) -> pd.DataFrame:
        """By values of segments: ``segment``, ``label``, ``rows`` before the columns of :meth:`to_frame`.

        Values with too few rows to measure are left out.
        """
        pd = _inputs.need_pandas()
        rows = [
            (segment["name"], scope["label"], scope["rows"], *row)
            for result in self.document["results"]
            for segment in result["segments"]
            for scope in segment["values"]
            for row in _rows(result["horizon"], scope, "metrics")
        ]
        return pd.DataFrame(rows, columns=["segment", "label", "rows", *_COLUMNS])

    def deciles(self) -> pd.DataFrame:
        """The decile tables: ``decile`` (1 holds the highest predictions), ``rows``, ``mean_prediction``,
        ``mean_label`` and ``ratio`` of each ``horizon`` and ``set``."""
        pd = _inputs.need_pandas()
        names = ["decile", "rows", "mean_prediction", "mean_label", "ratio"]
        rows = [
            (result["horizon"], scores["set"], *(decile[name] for name in names))
            for result in self.document["results"]
            for scores in result["overall"]["scores"]
            for decile in scores["deciles"]
        ]
        return pd.DataFrame(rows, columns=["horizon", "set", *names])

    def _frame(self, kind: str) -> pd.DataFrame:
        pd = _inputs.need_pandas()
        results = self.document["results"]
        rows = [row for result in results for row in _rows(result["horizon"], result["overall"], kind)]
        return pd.DataFrame(rows, columns=_COLUMNS)

    def _title(self) -> str:
        resamples = self.document.get("bootstrap")
        made = f"; [95 % interval] of {resamples['replicates']} resamples" if resamples else ""
        return f"Evaluation of {self.document['rows']:,} rows{made}"

    def _tables(self) -> list[tuple[str, list[list[str]]]]:
        """For each horizon a title, and rows of cells, the head first."""
        found = []
        for result in self.document["results"]:
            scope = result["overall"]
            title = f"{result['horizon']} days: {scope['rows']:,} rows, {scope['positives']:,} above 0"
            title += f"; {result['immature']:,} not yet known" if result["immature"] else ""
            sets = [{one["metric"]: one for one in scores["metrics"]} for scores in scope["scores"]]
            head = ["", *(scores["set"] for scores in scope["scores"])]
            body = [[f"{name} {_MARKS[GOOD[name]]}", *(_cell(one[name]) for one in sets)] for name in _SHOWN]
            found.append((title, [head, *body]))
        return found

    def __repr__(self) -> str:
        lines = [self._title(), "↓ lower is better, ↑ higher, →x closer to x"]
        for title, rows in self._tables():
            widths = [max(map(len, column)) for column in zip(*rows)]
            cells = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
            lines += ["", title, *cells]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(self._title())}<br>↓ lower is better, ↑ higher, →x closer to x</p>"]
        for title, (head, *body) in self._tables():
            top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
            rows = (
                f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
                for name, *cells in body
            )
            caption = f"<caption>{html.escape(title)}</caption>"
            parts.append(f"<table>{caption}<thead><tr>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table>")
        return "\n".join(parts)


def _rows(horizon: int, scope: dict[str, Any], kind: str) -> list[tuple[Any, ...]]:
    rows = []
    for scores in scope["scores"]:
        for one in scores[kind]:
            interval = one["interval"] or {}
            numbers = (one["value"], interval.get("low"), interval.get("high"))
            rows.append((horizon, scores["set"], one["metric"], *(np.nan if x is None else x for x in numbers)))
    return rows


def _cell(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return "none"
    interval = one["interval"]
    return f"{one['value']:.4g}" + (f" [{interval['low']:.4g}, {interval['high']:.4g}]" if interval else "")
