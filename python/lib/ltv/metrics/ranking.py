"""Who is worth more than whom, and how unevenly: orders, Lorenz curves, and the rows at the top."""

from __future__ import annotations

from typing import Any

import numpy as np

from ltv.errors import MetricError
from ltv.metrics import _inputs, _ties
from ltv.metrics.values import REASONS, value_of


_CAPTURES = {0.01: "Capture1", 0.05: "Capture5", 0.1: "Capture10", 0.2: "Capture20"}


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
    return value_of("MutualGini", y_true, y_pred)


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
    return value_of("NormGini", y_true, y_pred)


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
    return value_of("Spearman", y_true, y_pred)


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
    return value_of("AUC", y_true, y_pred)


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
        y_pred = np.zeros(len(_inputs.vector_of(y_true, "y_true")))
    return value_of("LabelGini", y_true, y_pred)


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
    return value_of("PredGini", y_true, y_pred)


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
        return value_of(_CAPTURES[share], y_true, y_pred)
    labels, predictions = _inputs.pair(y_true, y_pred)
    known = ~np.isnan(labels)
    if not known.any():
        raise MetricError(f"top_capture has no value: {REASONS['no_rows']}")
    if not labels[known].any():
        raise MetricError(f"top_capture has no value: {REASONS['zero_labels']}")
    gain = _ties.gain(labels[known], predictions[known])
    return float(np.interp(share * len(gain), np.arange(len(gain) + 1), np.r_[0.0, gain]))
