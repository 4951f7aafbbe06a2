"""Metrics."""
from __future__ import annotations
from typing import Any
from ltv import _ltv, _tables
from ltv.errors import MetricError

def normalized_gini(y_true: Any, y_pred: Any) -> float:
    found = _ltv.metrics(_tables.arrow(_tables.floats(y_true)), _tables.arrow(_tables.floats(y_pred)))["NormGini"]
    if found is None:
        raise MetricError("no NormGini")
    return found
