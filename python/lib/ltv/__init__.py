"""Customer lifetime value, from events to scores: features, models, metrics, reports.

>>> import ltv
>>> ltv.__version__
'0.1.0'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltv import errors
from ltv._ltv import HAS_XGBOOST
from ltv._ltv import VERSION as __version__
from ltv.errors import (
    DataError,
    GateError,
    InputError,
    InternalError,
    LtvError,
    MetricError,
    ModelError,
    ScoreError,
    TrainError,
)

if TYPE_CHECKING:
    from ltv.dataset import Dataset, Simulation, feature_sql, features, simulate
    from ltv.networks import ODMN, ZILN

#: Where names live that are imported when they are first asked for, so that `import ltv` is quick.
_LAZY = {
    "Dataset": "dataset",
    "Simulation": "dataset",
    "feature_sql": "dataset",
    "features": "dataset",
    "simulate": "dataset",
    "ODMN": "networks",
    "ZILN": "networks",
}
_MODULES = ("metrics", "plots", "ray", "spark", "btyd")


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"ltv.{name}")
    if name in _LAZY:
        value = getattr(importlib.import_module(f"ltv.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'ltv' has no attribute '{name}'")
