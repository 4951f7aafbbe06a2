"""Metrics as scorers for scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ltv.errors import MetricError
from ltv.metrics import _inputs
from ltv.metrics.values import GOOD, value_of


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
    from sklearn.metrics import make_scorer

    judged = [name for name, good in GOOD.items() if good]
    if metric not in GOOD:
        raise MetricError(f"no metric '{metric}'; choose one of {', '.join(judged)}")
    if metric not in judged:
        raise MetricError(f"'{metric}' does not say whether predictions are good; choose one of {', '.join(judged)}")
    return make_scorer(_judged, greater_is_better=GOOD[metric] == "higher", metric=metric)


def _judged(y_true: Any, y_pred: Any, *, metric: str) -> float:
    """The metric, or the cost of one of which neither less nor more is better; mean over horizons."""
    labels, days = _inputs.matrix_of(y_true, "y_true", None)
    predictions, _ = _inputs.matrix_of(y_pred, "y_pred", days)
    if labels.shape != predictions.shape:
        raise MetricError(f"y_true has shape {labels.shape}, y_pred {predictions.shape}; give one for each horizon")
    costs = {
        "zero": lambda value, y, p: abs(value),
        "one": lambda value, y, p: abs(value - 1.0),
        "label": lambda value, y, p: abs(value - value_of("LabelGini", y, p)),
    }
    found = []
    for y, p in zip(labels.T, predictions.T):
        value = value_of(metric, y, p)
        cost = costs.get(GOOD[metric])
        found.append(value if cost is None else cost(value, y, p))
    return float(np.mean(found))
