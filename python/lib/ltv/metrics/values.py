"""Every metric by its name, as the Rust library makes them in one pass."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ltv import _ltv, _tables
from ltv.errors import MetricError
from ltv.metrics import _inputs

#: Which values of a metric are good: lower, higher, near 0, near 1, near the labels' own, or none (a reference).
GOOD = {
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
METRICS = tuple(GOOD)
#: Why a metric has no value.
REASONS = {
    "no_rows": "no row has a known label; y_true is empty, or NaN throughout",
    "zero_labels": "the labels sum to zero, and it is measured against their sum; give rows with value",
    "zero_predictions": "the predictions sum to zero, and their curve is a share of that sum",
    "constant_labels": "all labels are equal, so that there is no order to find",
    "constant_predictions": "all predictions are equal, so that they have no order",
    "one_class": "the labels are all zero or all positive; it needs some of both",
    "overflow": "the numbers are too large for double precision; use a larger unit",
}


def score(y_true: Any, y_pred: Any) -> dict[str, float]:
    """Every metric by name, in one pass; NaN where one has no value.

    Parameters
    ----------
    y_true : labels, ``[rows]``, at least 0; NaN where not yet known, those rows are left out
    y_pred : predictions, ``[rows]``, finite and at least 0

    Returns
    -------
    A dict with the keys :data:`METRICS`. The functions of :mod:`ltv.metrics` say what each is, and why one has no
    value; ``BiasSE`` is the standard error of the bias, ``IdealCapture10`` the most that ``Capture10`` can be.

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
    labels, predictions = _inputs.pair(y_true, y_pred)
    found = _ltv.metrics(_tables.arrow(labels), _tables.arrow(predictions))
    return {name: np.nan if value is None else value for name, value in found.items()}


def value_of(name: str, y_true: Any, y_pred: Any) -> float:
    """A metric's value, or the error that says why it has none."""
    labels, predictions = _inputs.pair(y_true, y_pred)
    found = _ltv.metrics(_tables.arrow(labels), _tables.arrow(predictions))[name]
    if found is not None:
        return found
    # It has no value: the document of an evaluation says why.
    sets = [("predictions", _tables.arrow(predictions))]
    document = json.loads(_ltv.evaluate(_tables.arrow(labels), sets, [1], 0, 0, None, []))
    metrics = document["results"][0]["overall"]["scores"][0]["metrics"]
    reason = next(metric["reason"] for metric in metrics if metric["metric"] == name)
    raise MetricError(f"{name} has no value: {REASONS.get(reason, reason)}")
