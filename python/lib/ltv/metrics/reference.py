"""The names of google/lifetime_value, with its signatures and definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltv import _tables
from ltv.errors import MetricError
from ltv.metrics import _inputs, _ties

if TYPE_CHECKING:
    import pandas as pd


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
    return _ties.gain(*_whole(y_true, y_pred))


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
    pd = _inputs.need_pandas()
    if not isinstance(df, pd.DataFrame) and _tables.is_frame(df):
        df = _tables.table(df).to_pandas()
    frame = pd.DataFrame(df)
    try:
        charts = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"df: a column is not numbers ({error}); give one gain chart in each column") from error
    if charts.size == 0:
        raise MetricError("df has no rows or no columns; give one gain chart in each column, that of the labels first")
    names = [str(name) for name in frame.columns]
    _inputs.refuse(~np.isfinite(charts), charts, "df", names, "not finite; give whole charts")
    raw = 2.0 * charts.sum(axis=0) / len(charts) - 1.0
    if raw[0] == 0:
        first = frame.columns[0]
        raise MetricError(f"df, column '{first}': its Gini is 0, nothing to divide by; put the labels' chart first")
    return pd.DataFrame({"raw": raw, "normalized": raw / raw[0]}, index=frame.columns)


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
    pd = _inputs.need_pandas()
    found = _ties.parts(*_whole(y_true, y_pred), 10)
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


def _whole(y_true: Any, y_pred: Any) -> tuple[_tables.Floats, _tables.Floats]:
    """Labels and predictions for the drop-in functions: finite, of any sign, at least one row."""
    labels, predictions = _inputs.vector_of(y_true, "y_true"), _inputs.vector_of(y_pred, "y_pred")
    _inputs.same_rows(labels, predictions)
    if not len(labels):
        raise MetricError("y_true and y_pred have no rows; give one at least")
    what = "not finite; leave out rows whose label is not yet known"
    _inputs.refuse(~np.isfinite(labels), labels, "y_true", (), what)
    _inputs.refuse(~np.isfinite(predictions), predictions, "y_pred", (), "not finite; every row needs a prediction")
    return labels, predictions
