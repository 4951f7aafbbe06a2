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

from ltv.metrics.accuracy import (
    absolute_mean_bias_error,
    bias,
    calibration_ratio,
    decile_mape,
    normalized_mae,
    normalized_rmse,
)
from ltv.metrics.evaluation import Evaluation, evaluate
from ltv.metrics.ranking import (
    auc,
    label_gini,
    mutual_gini,
    normalized_gini,
    prediction_gini,
    spearman,
    top_capture,
)
from ltv.metrics.reference import cumulative_true, decile_stats, gini_from_gain
from ltv.metrics.scorers import scorer
from ltv.metrics.values import METRICS, score

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
