"""How far off predictions are: errors, bias and calibration."""

from __future__ import annotations

from typing import Any

from ltv.metrics.values import value_of


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
    return value_of("NRMSE", y_true, y_pred)


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
    return value_of("NMAE", y_true, y_pred)


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
    return value_of("AMBE", y_true, y_pred)


def bias(y_true: Any, y_pred: Any) -> float:
    """``mean(y_pred - y_true)``, in label units: positive when predictions are too high, 0 at best.

    Parameters, errors: as of :func:`absolute_mean_bias_error`.

    Examples
    --------
    >>> from ltv.metrics import bias
    >>> bias([1, 3], [0, 1])
    -1.5
    """
    return value_of("Bias", y_true, y_pred)


def calibration_ratio(y_true: Any, y_pred: Any) -> float:
    """``sum(y_pred) / sum(y_true)``: 1 at best, above when predictions are too high.

    Parameters, errors: as of :func:`normalized_rmse`.

    Examples
    --------
    >>> from ltv.metrics import calibration_ratio
    >>> calibration_ratio([1, 3], [2, 4])
    1.5
    """
    return value_of("CalibrationRatio", y_true, y_pred)


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
    return value_of("DecileMAPE", y_true, y_pred)
