"""How good predictions are: the paper's metrics, those of google/lifetime_value, and scorers for scikit-learn.

Two families live here.

* Our own metrics, such as :func:`score`, :func:`mutual_gini` and :func:`normalized_gini`. All are made in one pass by
  the Rust library, with the definitions of its reports. Labels that are NaN are not yet known: those rows are left
  out. Labels and predictions are at least 0. Nothing depends on the order of rows.
* The names of google/lifetime_value, :func:`cumulative_true`, :func:`gini_from_gain` and :func:`decile_stats`, with
  its signatures and its definitions, so that code written for it goes on working. These take negative values too,
  and refuse NaN.

Where predictions are tied, a sort puts the tied rows in some order, and the result is luck. Ours is the mean over all
orders of the tied rows.
"""

from __future__ import annotations

import html
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]

from ltv import _ltv, _tables
from ltv._progress import listening
from ltv.errors import MetricError

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, unused-ignore]

__all__ = [
    "METRICS",
    "Evaluation",
    "absolute_mean_bias_error",
    "auc",
    "bias",
    "calibration_ratio",
    "cumulative_true",
    "decile_mape",
    "decile_stats",
    "evaluate",
    "gini_from_gain",
    "label_gini",
    "mutual_gini",
    "normalized_gini",
    "normalized_mae",
    "normalized_rmse",
    "prediction_gini",
    "score",
    "scorer",
    "spearman",
    "top_capture",
]

#: What a one-dimensional ``y_true`` is called where no horizon is given, in days.
_DEFAULT_HORIZON = 365
#: Which values of a metric are good: lower, higher, near 0, near 1, near the labels' own, or none (a reference).
_GOOD = {
    "NRMSE": "lower",
    "NMAE": "lower",
    "AMBE": "lower",
    "Bias": "zero",
    "BiasSE": "",
    "CalibrationRatio": "one",
    "DecileMAPE": "lower",
    "MutualGini": "lower",
    "NormGini": "higher",
    "Spearman": "higher",
    "AUC": "higher",
    "LabelGini": "",
    "PredGini": "label",
    **{f"{kind}{k}": good for k in (1, 5, 10, 20) for kind, good in (("Capture", "higher"), ("IdealCapture", ""))},
}
#: Names of all metrics, in the order of reports.
METRICS = tuple(_GOOD)
_MARKS = {"lower": "↓", "higher": "↑", "zero": "→0", "one": "→1", "label": "→label", "": ""}
_CAPTURES = {0.01: "Capture1", 0.05: "Capture5", 0.1: "Capture10", 0.2: "Capture20"}
#: Why a metric has no value.
_REASONS = {
    "no_rows": "no row has a known label; y_true is empty, or NaN throughout",
    "zero_labels": "the labels sum to zero, and it is measured against their sum; give rows with value",
    "zero_predictions": "the predictions sum to zero, and their curve is a share of that sum",
    "constant_labels": "all labels are equal, so that there is no order to find",
    "constant_predictions": "all predictions are equal, so that they have no order",
    "one_class": "the labels are all zero or all positive; it needs some of both",
    "overflow": "the numbers are too large for double precision; use a larger unit",
}
_NONE = "(none)"


# --- input ---


def _pandas() -> Any:
    """The package pandas, which only functions that take or return data frames need."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("this needs pandas, which is not installed: pip install pandas") from error
    return pandas


def _same_rows(y_true: _tables.Floats, y_pred: _tables.Floats, name: str = "y_pred") -> None:
    if len(y_true) != len(y_pred):
        raise MetricError(f"y_true has {len(y_true)} rows, {name} {len(y_pred)}; give one prediction for each label")


def _refuse(bad: Any, values: _tables.Floats, name: str, columns: Sequence[str], what: str) -> None:
    """Names the first bad value, if there is one."""
    if not bad.any():
        return
    where = np.argwhere(bad)[0]
    column = f", column '{columns[where[1]]}'" if values.ndim == 2 and len(columns) > 1 else ""
    raise MetricError(f"{name}{column}, row {where[0]} (counted from 0): {values[tuple(where)]:g} is {what}")


def _check_labels(values: _tables.Floats, name: str = "y_true", columns: Sequence[str] = ()) -> None:
    bad = (values < 0) | np.isinf(values)
    what = "no label that a Lorenz curve can hold; give finite ones of at least 0 (set returns to 0), NaN if not known"
    _refuse(bad, values, name, columns, what)


def _check_predictions(values: _tables.Floats, name: str = "y_pred", columns: Sequence[str] = ()) -> None:
    bad = ~((values >= 0) & np.isfinite(values))
    what = "no usable prediction; every row needs a finite one of at least 0, also where the label is not yet known"
    _refuse(bad, values, name, columns, what)


def _vector(values: Any, name: str) -> _tables.Floats:
    """One column of numbers, which a table may hold."""
    if not hasattr(values, "__array__") and (hasattr(values, "collect_schema") or hasattr(values, "columns")):
        table = _tables.table(values)
        if table.num_columns != 1:
            raise MetricError(f"{name}: a table of {table.num_columns} columns; give one column of numbers")
        values = table.column(0)
    return _tables.floats(values, name)


def _pair(y_true: Any, y_pred: Any, name: str = "y_pred") -> tuple[_tables.Floats, _tables.Floats]:
    """Labels and predictions that can be measured."""
    labels, predictions = _vector(y_true, "y_true"), _vector(y_pred, name)
    _same_rows(labels, predictions, name)
    _check_labels(labels)
    _check_predictions(predictions, name)
    return labels, predictions


def _whole(y_true: Any, y_pred: Any) -> tuple[_tables.Floats, _tables.Floats]:
    """Labels and predictions for the drop-in functions: finite, of any sign, at least one row."""
    labels, predictions = _vector(y_true, "y_true"), _vector(y_pred, "y_pred")
    _same_rows(labels, predictions)
    if not len(labels):
        raise MetricError("y_true and y_pred have no rows; give one at least")
    what = "not finite; leave out rows whose label is not yet known"
    _refuse(~np.isfinite(labels), labels, "y_true", (), what)
    _refuse(~np.isfinite(predictions), predictions, "y_pred", (), "not finite; every row needs a prediction")
    return labels, predictions


def _columns_of(values: Any) -> dict[str, Any] | None:
    """The columns of a table by name; None if it is no table."""
    if isinstance(values, Mapping):
        return {str(name): column for name, column in values.items()}
    if hasattr(values, "iloc") and hasattr(values, "columns"):
        return {str(name): values.iloc[:, i] for i, name in enumerate(values.columns)}
    if hasattr(values, "label_columns"):
        # A dataset: no need to read its features.
        table = values.to_arrow(values.label_columns)
    elif hasattr(values, "collect_schema") or hasattr(values, "columns"):
        table = _tables.table(values)
    else:
        return None
    return {name: table.column(i) for i, name in enumerate(table.column_names)}


def _matrix(values: Any, name: str, horizons: Sequence[int] | None) -> tuple[_tables.Floats, list[int] | None]:
    """Numbers as ``[rows, horizons]``, and the horizons that a table's columns ``ltv_<N>`` name."""
    columns = _columns_of(values)
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


# --- the names of google/lifetime_value ---


def _tie_means(keys: _tables.Floats, *columns: _tables.Floats) -> list[_tables.Floats]:
    """Columns in ascending order of ``keys``; rows of equal keys share their sum evenly."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if len(starts) == len(keys):
        return [column[order] for column in columns]
    counts = np.diff(np.r_[starts, len(keys)])
    return [np.repeat(np.add.reduceat(column[order], starts) / counts, counts) for column in columns]


def _gain(y_true: _tables.Floats, y_pred: _tables.Floats) -> _tables.Floats:
    """Share of the labels' total in the first rows by prediction, from the highest down."""
    (labels,) = _tie_means(-y_pred, y_true)
    # A running sum in extended precision, where there is one: a million roundings stay below 1e-12.
    running = np.cumsum(labels, dtype=np.longdouble)
    if running[-1] == 0:
        raise MetricError("y_true sums to zero, so that there is no share of its total; give rows with value")
    return np.asarray(running / running[-1], dtype=np.float64)


def cumulative_true(y_true: Any, y_pred: Any) -> _tables.Floats:
    """Gain chart: the share of the total label in the first rows, from the highest prediction down.

    Point ``i`` is the sum of the ``i + 1`` labels with the highest predictions, over the sum of all. Tied predictions
    share their labels evenly, which is the mean over all orders of the tied rows; without ties it is the function of
    google/lifetime_value. Rows are matched by position.

    Parameters
    ----------
    y_true : labels, ``[rows]``, finite, of any sign
    y_pred : predictions, ``[rows]``, finite, of any sign

    Returns
    -------
    Shares, ``[rows]``, the last of them 1.

    Raises
    ------
    MetricError
        Without rows, where the labels sum to zero, and for NaN: leave out rows whose label is not yet known.

    References
    ----------
    ``cumulative_true`` in github.com/google/lifetime_value, lifetime_value/metrics.py; Wang, Liu and Miao 2019,
    arXiv:1912.07753, section 5.

    Examples
    --------
    >>> from ltv.metrics import cumulative_true
    >>> cumulative_true([0, 6, 2], [1, 3, 2]).tolist()
    [0.75, 1.0, 1.0]
    >>> cumulative_true([0, 6, 2], [1, 3, 3]).tolist()
    [0.5, 1.0, 1.0]
    """
    return _gain(*_whole(y_true, y_pred))


def gini_from_gain(df: Any) -> pd.DataFrame:
    """Gini coefficients of gain charts, as they are and over that of the first chart.

    The coefficient of a chart is ``2 * mean - 1`` of its points. It is linear, so that of a chart of
    :func:`cumulative_true` with ties is again the mean over all orders of the tied rows.

    Parameters
    ----------
    df : a data frame (or what pandas makes one of) with a gain chart in each column. The first must be that of the
        labels by themselves, ``cumulative_true(y_true, y_true)``

    Returns
    -------
    A data frame with a row for each chart and the columns ``raw`` and ``normalized``.

    Raises
    ------
    MetricError
        Without rows or columns, for what is no finite number, and where the first chart's coefficient is 0.

    References
    ----------
    ``gini_from_gain`` in github.com/google/lifetime_value, lifetime_value/metrics.py.

    Examples
    --------
    >>> from ltv.metrics import cumulative_true, gini_from_gain
    >>> y_true, y_pred = [0, 6, 2], [1, 2, 3]
    >>> charts = {"labels": cumulative_true(y_true, y_true), "model": cumulative_true(y_true, y_pred)}
    >>> gini_from_gain(charts).round(3).loc["model"].to_dict()
    {'raw': 0.5, 'normalized': 0.6}
    """
    pd = _pandas()
    if not isinstance(df, pd.DataFrame) and _tables.is_frame(df):
        df = _tables.table(df).to_pandas()
    frame = pd.DataFrame(df)
    try:
        charts = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"df: a column is not numbers ({error}); give one gain chart in each column") from error
    if charts.size == 0:
        raise MetricError("df has no rows or no columns; give one gain chart in each column, that of the labels first")
    _refuse(~np.isfinite(charts), charts, "df", [str(name) for name in frame.columns], "not finite; give whole charts")
    raw = 2.0 * charts.sum(axis=0) / len(charts) - 1.0
    if raw[0] == 0:
        first = frame.columns[0]
        raise MetricError(f"df, column '{first}': its Gini is 0, nothing to divide by; put the labels' chart first")
    return pd.DataFrame({"raw": raw, "normalized": raw / raw[0]}, index=frame.columns)


def _parts(y_true: _tables.Floats, y_pred: _tables.Floats, parts: int) -> dict[str, _tables.Floats]:
    """Means in equal parts of the rows by prediction, the lowest first; parts without rows are left out."""
    error = y_pred - y_true
    columns = {"label": y_true, "prediction": y_pred, "square": error * error, "absolute": np.abs(error)}
    ordered = dict(zip(columns, _tie_means(y_pred, *columns.values())))
    ends = [k * (len(y_pred) - 1) // parts + 1 for k in range(1, parts + 1)]
    spans = [(k, start, end) for k, (start, end) in enumerate(zip([0, *ends], ends)) if end > start]
    found = {name: np.array([column[start:end].mean() for _, start, end in spans]) for name, column in ordered.items()}
    found["part"] = np.array([k for k, _, _ in spans], dtype=np.float64)
    found["rows"] = np.array([end - start for _, start, end in spans], dtype=np.float64)
    return found


def decile_stats(y_true: Any, y_pred: Any) -> pd.DataFrame:
    """Means and errors in each tenth of the rows by prediction.

    The tenths are those of ``pandas.qcut``: of ``n`` rows in ascending order, the first ``k`` tenths hold
    ``floor(k (n - 1) / 10) + 1``. Without ties this is the function of google/lifetime_value. With ties that one
    fails where two edges coincide, and else puts tied rows into the lower tenth. Ours cuts them apart at the same
    places: rows with equal predictions share labels, squared and absolute errors evenly. So ``label_mean``,
    ``pred_mean`` and the mean errors are means over all orders of the tied rows; the normalised errors and
    ``decile_mape`` are ratios of these means.

    The decile tables of reports, and :func:`decile_mape`, count from the highest prediction down instead:
    ``floor(d n / 10)`` rows in the first ``d`` tenths. Both cut at the same places where ``n`` or ``n - 1`` is a
    multiple of ten; else an edge may lie a row apart.

    Parameters
    ----------
    y_true : labels, ``[rows]``, finite, of any sign
    y_pred : predictions, ``[rows]``, finite, of any sign

    Returns
    -------
    A data frame with index ``decile``, ``'0'`` (lowest predictions) to ``'9'``, and columns ``label_mean``,
    ``pred_mean``, ``normalized_rmse``, ``normalized_mae``, ``decile_mape``. Where a tenth's mean label is 0 its
    ratios are infinite or NaN. Of fewer than ten rows, tenths that hold none are left out.

    Raises
    ------
    MetricError
        Without rows, and for NaN: leave out rows whose label is not yet known.

    References
    ----------
    ``decile_stats`` in github.com/google/lifetime_value, lifetime_value/metrics.py.

    Examples
    --------
    >>> from ltv.metrics import decile_stats
    >>> table = decile_stats([2.0] * 10 + [4.0] * 10, range(20))
    >>> table.loc["9", ["label_mean", "pred_mean", "decile_mape"]].tolist()
    [4.0, 18.5, 3.625]
    """
    pd = _pandas()
    found = _parts(*_whole(y_true, y_pred), 10)
    names = [f"{part:.0f}" for part in found["part"]]
    index = pd.CategoricalIndex(names, categories=[str(i) for i in range(10)], ordered=True, name="decile")
    label, prediction = found["label"], found["prediction"]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "label_mean": label,
            "pred_mean": prediction,
            "normalized_rmse": np.sqrt(found["square"]) / label,
            "normalized_mae": found["absolute"] / label,
            "decile_mape": np.abs(prediction - label) / label,
        }
    return pd.DataFrame(columns, index=index)


# --- our own ---


def score(y_true: Any, y_pred: Any) -> dict[str, float]:
    """Every metric by name, in one pass; NaN where one has no value.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0

    Returns
    -------
    A dict with the keys :data:`METRICS`. The functions of this module say what each is, and why one has no value;
    ``BiasSE`` is the standard error of the bias, ``IdealCapture10`` the most that ``Capture10`` can be.

    Raises
    ------
    MetricError
        For what can be no label or prediction, and for different lengths.

    Examples
    --------
    >>> from ltv.metrics import score
    >>> found = score([0, 0, 4, 8], [1, 0, 3, 8])
    >>> found["NMAE"], found["AUC"], found["CalibrationRatio"]
    (0.16666666666666666, 1.0, 1.0)
    """
    labels, predictions = _pair(y_true, y_pred)
    found = _ltv.metrics(_tables.arrow(labels), _tables.arrow(predictions))
    return {name: np.nan if value is None else value for name, value in found.items()}


def _value(name: str, y_true: Any, y_pred: Any) -> float:
    """A metric's value, or the error that says why it has none."""
    labels, predictions = _pair(y_true, y_pred)
    found = _ltv.metrics(_tables.arrow(labels), _tables.arrow(predictions))[name]
    if found is not None:
        return found
    # It has no value: the document of an evaluation says why.
    sets = [("predictions", _tables.arrow(predictions))]
    document = json.loads(_ltv.evaluate(_tables.arrow(labels), sets, [1], 0, 0, None, []))
    metrics = document["results"][0]["overall"]["scores"][0]["metrics"]
    reason = next(metric["reason"] for metric in metrics if metric["metric"] == name)
    raise MetricError(f"{name} has no value: {_REASONS.get(reason, reason)}")


def normalized_rmse(y_true: Any, y_pred: Any) -> float:
    """Root mean squared error over the mean label: lower is better, 0 at best.

    ``sqrt(mean((y_pred - y_true)^2)) / mean(y_true)``, section 4.1 of the paper.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0

    Raises
    ------
    MetricError
        When no label is known, or they sum to zero.

    Examples
    --------
    >>> from ltv.metrics import normalized_rmse
    >>> normalized_rmse([1, 3], [2, 4])
    0.5
    """
    return _value("NRMSE", y_true, y_pred)


def normalized_mae(y_true: Any, y_pred: Any) -> float:
    """Mean absolute error over the mean label: lower is better; predicting 0 for everybody scores 1.

    ``mean(|y_pred - y_true|) / mean(y_true)``, section 4.1 of the paper.

    Parameters, errors: as of :func:`normalized_rmse`.

    Examples
    --------
    >>> from ltv.metrics import normalized_mae
    >>> normalized_mae([1, 3], [2, 4]), normalized_mae([1, 3], [0, 0])
    (0.5, 1.0)
    """
    return _value("NMAE", y_true, y_pred)


def absolute_mean_bias_error(y_true: Any, y_pred: Any) -> float:
    """AMBE, the absolute value of :func:`bias`, in label units: lower is better (section 4.1 of the paper).

    It is not divided by the mean label, as the paper's numbers are not. Under twice ``BiasSE`` of :func:`score` it is
    noise.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0

    Raises
    ------
    MetricError
        When no label is known.

    Examples
    --------
    >>> from ltv.metrics import absolute_mean_bias_error
    >>> absolute_mean_bias_error([1, 3], [0, 1])
    1.5
    """
    return _value("AMBE", y_true, y_pred)


def bias(y_true: Any, y_pred: Any) -> float:
    """``mean(y_pred - y_true)``, in label units: positive when predictions are too high, 0 at best.

    Parameters, errors: as of :func:`absolute_mean_bias_error`.

    Examples
    --------
    >>> from ltv.metrics import bias
    >>> bias([1, 3], [0, 1])
    -1.5
    """
    return _value("Bias", y_true, y_pred)


def calibration_ratio(y_true: Any, y_pred: Any) -> float:
    """``sum(y_pred) / sum(y_true)``: 1 at best, above when predictions are too high.

    Parameters, errors: as of :func:`normalized_rmse`.

    Examples
    --------
    >>> from ltv.metrics import calibration_ratio
    >>> calibration_ratio([1, 3], [2, 4])
    1.5
    """
    return _value("CalibrationRatio", y_true, y_pred)


def decile_mape(y_true: Any, y_pred: Any) -> float:
    """Mean over tenths of the rows by prediction of ``|mean(y_pred) - mean(y_true)| / mean(y_true)``: lower is better.

    Tenths whose labels are all zero do not count. Of ``n`` rows from the highest prediction down, the first ``d``
    tenths hold ``floor(d n / 10)``; rows of equal predictions share their labels evenly. :func:`decile_stats` has the
    table, with edges that may lie a row apart.

    Parameters, errors: as of :func:`normalized_rmse`.

    References
    ----------
    Wang, Liu and Miao 2019, arXiv:1912.07753, section 5.

    Examples
    --------
    >>> from ltv.metrics import decile_mape
    >>> decile_mape(range(1, 11), [1.5 * label for label in range(1, 11)])
    0.5
    """
    return _value("DecileMAPE", y_true, y_pred)


def mutual_gini(y_true: Any, y_pred: Any) -> float:
    """Area between the Lorenz curves of labels and predictions: lower is better, 0 at best (eq. 16 of the paper).

    Each is sorted by itself, from the highest down, and its curve joins the points ``(i / n, share of the total in
    the first i)``. The area is exact, crossings included. It is blind to who is who: the labels in any order score a
    perfect 0. Read it beside :func:`normalized_gini`.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0

    Raises
    ------
    MetricError
        When no label is known, and when labels or predictions sum to zero.

    Examples
    --------
    >>> from ltv.metrics import mutual_gini
    >>> mutual_gini([1, 2, 3], [3, 1, 2])
    0.0
    >>> mutual_gini([0, 1], [1, 1])
    0.25
    """
    return _value("MutualGini", y_true, y_pred)


def normalized_gini(y_true: Any, y_pred: Any) -> float:
    """How well rows are ordered: 1 at best, near 0 at random, below 0 when worse.

    The Gini coefficient of the gain chart by prediction over that of the chart by label: what :func:`gini_from_gain`
    of google/lifetime_value calls ``normalized``. Of tied predictions it is the mean over all orders.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0; only their order counts

    Raises
    ------
    MetricError
        When no label is known, they sum to zero, or all are equal.

    References
    ----------
    Wang, Liu and Miao 2019, arXiv:1912.07753, section 5.

    Examples
    --------
    >>> from ltv.metrics import normalized_gini
    >>> normalized_gini([0, 6, 2], [1, 30, 20])
    1.0
    """
    return _value("NormGini", y_true, y_pred)


def spearman(y_true: Any, y_pred: Any) -> float:
    """Correlation of ranks, 1 at best; tied rows have their average rank.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0; only their order counts

    Raises
    ------
    MetricError
        When no label is known, and when all labels or all predictions are equal.

    Examples
    --------
    >>> from ltv.metrics import spearman
    >>> spearman([0, 6, 2], [1, 30, 20])
    1.0
    """
    return _value("Spearman", y_true, y_pred)


def auc(y_true: Any, y_pred: Any) -> float:
    """Chance that a row of some value is predicted above one of none: 1 at best, 0.5 at random; ties count half.

    The area under the ROC curve of ``y_true > 0``.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0; only their order counts

    Raises
    ------
    MetricError
        When no label is known, and when all are zero or all positive.

    Examples
    --------
    >>> from ltv.metrics import auc
    >>> auc([0, 0, 5], [1, 2, 2])
    0.75
    """
    return _value("AUC", y_true, y_pred)


def label_gini(y_true: Any, y_pred: Any = None) -> float:
    """Gini coefficient of the labels, ``2 * area - 1`` under their Lorenz curve: how uneven values are.

    A fact about the data, which :func:`prediction_gini` should come close to.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, which do not matter; may be left out

    Raises
    ------
    MetricError
        When no label is known, or they sum to zero.

    Examples
    --------
    >>> from ltv.metrics import label_gini
    >>> label_gini([0, 0, 0, 8])
    0.75
    """
    if y_pred is None:
        y_pred = np.zeros(len(_vector(y_true, "y_true")))
    return _value("LabelGini", y_true, y_pred)


def prediction_gini(y_true: Any, y_pred: Any) -> float:
    """Gini coefficient of the predictions: good when close to :func:`label_gini`, not when high.

    Parameters
    ----------
    y_true : labels, ``[rows]``, which only say which rows are known; NaN where not yet known, those are left out
    y_pred : predictions, ``[rows]``, finite and at least 0

    Raises
    ------
    MetricError
        When no label is known, or the predictions of known rows sum to zero.

    Examples
    --------
    >>> from ltv.metrics import prediction_gini
    >>> prediction_gini([1, 1, 1, 1], [0, 0, 0, 8])
    0.75
    """
    return _value("PredGini", y_true, y_pred)


def top_capture(y_true: Any, y_pred: Any, share: float = 0.1) -> float:
    """Share of the total value that is held by the rows predicted highest: higher is better.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0; only their order counts
    share : how many rows are taken, above 0 and at most 1. A part of a row counts as such; tied rows share evenly

    Raises
    ------
    MetricError
        When no label is known, they sum to zero, or ``share`` is no share.

    Notes
    -----
    The most it can be is ``top_capture(y_true, y_true, share)``, of rows whose labels are known. At 0.01, 0.05, 0.1
    and 0.2 it is ``Capture1`` to ``Capture20`` of :func:`score`.

    Examples
    --------
    >>> from ltv.metrics import top_capture
    >>> top_capture([0, 6, 2, 0], [1, 3, 2, 0], share=0.5)
    1.0
    """
    if not (isinstance(share, (int, float, np.number)) and 0.0 < share <= 1.0):
        raise MetricError(f"share: {share!r} is no share of the rows; give a number above 0 and at most 1, such as 0.1")
    if share in _CAPTURES:
        return _value(_CAPTURES[share], y_true, y_pred)
    labels, predictions = _pair(y_true, y_pred)
    known = ~np.isnan(labels)
    if not known.any():
        raise MetricError(f"top_capture has no value: {_REASONS['no_rows']}")
    if not labels[known].any():
        raise MetricError(f"top_capture has no value: {_REASONS['zero_labels']}")
    gain = _gain(labels[known], predictions[known])
    return float(np.interp(share * len(gain), np.arange(len(gain) + 1), np.r_[0.0, gain]))


# --- everything at once ---


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
    days = None if horizons is None else _days(horizons)
    labels, found = _matrix(y_true, "y_true", days)
    days = days if days is not None else found
    if days is None and labels.shape[1] == 1:
        days = [_DEFAULT_HORIZON]
    if days is None:
        raise MetricError(f"y_true has {labels.shape[1]} columns: say which days they are of, horizons=[30, 90, ...]")
    if len(days) != labels.shape[1]:
        raise MetricError(f"y_true has {labels.shape[1]} columns for {len(days)} horizons; give one for each")
    columns = [f"ltv_{day}" for day in days]
    _check_labels(labels, "y_true", columns)
    named = predictions if isinstance(predictions, Mapping) else {"predictions": predictions}
    if not named:
        raise MetricError("predictions: nothing to evaluate; give one set at least")
    sets = [(str(name), _set(str(name), values, days, labels)) for name, values in named.items()]
    resamples = _number(bootstrap, "bootstrap", 1_000_000)
    start = _number(seed, "seed", 2**64 - 1)
    by = _segments(segments, len(labels))
    arrays = [(name, _tables.arrow(values)) for name, values in sets]
    with listening(verbose) as listener:
        text = _ltv.evaluate(_tables.arrow(labels), arrays, days, resamples, start, reference, by, listener)
    return Evaluation(json.loads(text))


def _number(value: Any, name: str, most: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= most:
        raise MetricError(f"{name}: {value!r}; give a whole number from 0 to {most}")
    return number


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
    matrix, _ = _matrix(values, what, days)
    if matrix.shape != labels.shape:
        raise MetricError(f"{what}: shape {matrix.shape}, y_true has {labels.shape}; give one for each row and horizon")
    _check_predictions(matrix, what, [f"ltv_{day}" for day in days])
    return np.ascontiguousarray(matrix)


def _segments(segments: Any, rows: int) -> list[tuple[str, list[str]]]:
    """Columns of text, with a name for missing values."""
    if segments is None:
        return []
    columns = _columns_of(segments)
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


#: Rows of the table that is shown.
_SHOWN = tuple(name for name in METRICS if name != "BiasSE" and not name.startswith("Ideal"))


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
        pd = _pandas()
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
        pd = _pandas()
        names = ["decile", "rows", "mean_prediction", "mean_label", "ratio"]
        rows = [
            (result["horizon"], scores["set"], *(decile[name] for name in names))
            for result in self.document["results"]
            for scores in result["overall"]["scores"]
            for decile in scores["deciles"]
        ]
        return pd.DataFrame(rows, columns=["horizon", "set", *names])

    def _frame(self, kind: str) -> pd.DataFrame:
        pd = _pandas()
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
            body = [[f"{name} {_MARKS[_GOOD[name]]}", *(_cell(one[name]) for one in sets)] for name in _SHOWN]
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


_COLUMNS = ["horizon", "set", "metric", "value", "low", "high"]


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


# --- scikit-learn ---


def scorer(metric: str) -> Any:
    """A scorer for scikit-learn: ``cross_val_score(..., scoring=ltv.metrics.scorer("NormGini"))``.

    Greater scores are better, as scikit-learn wants: metrics of which less is better are negated. ``Bias`` counts as
    ``-|Bias|``, ``CalibrationRatio`` as ``-|CalibrationRatio - 1|`` and ``PredGini`` as ``-|PredGini - LabelGini|``.
    With a column for each horizon the score is the mean over horizons. Labels that are NaN are left out.

    Parameters
    ----------
    metric : a name of :data:`METRICS` that says whether predictions are good: not ``BiasSE``, ``LabelGini`` or one of
        ``IdealCapture``

    Raises
    ------
    MetricError
        When there is no such metric. The scorer raises it when a metric has no value on the rows at hand, which
        ``cross_val_score`` turns into NaN and a warning.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import PoissonRegressor
    >>> from sklearn.model_selection import cross_val_score
    >>> from ltv.metrics import scorer
    >>> X = np.arange(40.0)[::-1, None] / 10
    >>> bool((cross_val_score(PoissonRegressor(), X, X[:, 0], scoring=scorer("NormGini")) == 1.0).all())
    True
    """
    from sklearn.metrics import make_scorer  # type: ignore[import-untyped, unused-ignore]

    judged = [name for name, good in _GOOD.items() if good]
    if metric not in _GOOD:
        raise MetricError(f"no metric '{metric}'; choose one of {', '.join(judged)}")
    if metric not in judged:
        raise MetricError(f"'{metric}' does not say whether predictions are good; choose one of {', '.join(judged)}")
    return make_scorer(_judged, greater_is_better=_GOOD[metric] == "higher", metric=metric)


def _judged(y_true: Any, y_pred: Any, *, metric: str) -> float:
    """The metric, or the cost of one of which neither less nor more is better; mean over horizons."""
    labels, days = _matrix(y_true, "y_true", None)
    predictions, _ = _matrix(y_pred, "y_pred", days)
    if labels.shape != predictions.shape:
        raise MetricError(f"y_true has shape {labels.shape}, y_pred {predictions.shape}; give one for each horizon")
    costs = {
        "zero": lambda value, y, p: abs(value),
        "one": lambda value, y, p: abs(value - 1.0),
        "label": lambda value, y, p: abs(value - _value("LabelGini", y, p)),
    }
    found = []
    for y, p in zip(labels.T, predictions.T):
        value = _value(metric, y, p)
        cost = costs.get(_GOOD[metric])
        found.append(value if cost is None else cost(value, y, p))
    return float(np.mean(found))
