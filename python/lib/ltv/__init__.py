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
    from ltv.btyd import BGNBD, GammaGamma, ParetoNBD
    from ltv.dataset import Dataset, Simulation, feature_sql, features, simulate
    from ltv.files import load
    from ltv.networks import ODMN, ZILN, LogNormalMixture
    from ltv.peers import RFM, BuyTillYouDie, Forest, TrainMean, TrivialSort, TwoStage, XGBoost
    from ltv.reports import Outcome, Report, evaluate, report, run, score

# Where names live that are imported when they are first asked for, so that `import ltv` is quick.
_LAZY = {
    "btyd": ("BGNBD", "GammaGamma", "ParetoNBD"),
    "dataset": ("Dataset", "Simulation", "feature_sql", "features", "simulate"),
    "files": ("load",),
    "networks": ("ODMN", "ZILN", "LogNormalMixture"),
    "peers": ("RFM", "BuyTillYouDie", "Forest", "TrainMean", "TrivialSort", "TwoStage", "XGBoost"),
    "reports": ("Outcome", "Report", "evaluate", "report", "run", "score"),
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}
_MODULES = ("btyd", "metrics", "plots", "ray", "spark")

__all__ = [
    "BGNBD",
    "HAS_XGBOOST",
    "ODMN",
    "RFM",
    "ZILN",
    "BuyTillYouDie",
    "DataError",
    "Dataset",
    "Forest",
    "GammaGamma",
    "GateError",
    "InputError",
    "InternalError",
    "LogNormalMixture",
    "LtvError",
    "MetricError",
    "ModelError",
    "Outcome",
    "ParetoNBD",
    "Report",
    "ScoreError",
    "Simulation",
    "TrainError",
    "TrainMean",
    "TrivialSort",
    "TwoStage",
    "XGBoost",
    "__version__",
    "errors",
    "evaluate",
    "feature_sql",
    "features",
    "load",
    "report",
    "run",
    "score",
    "simulate",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"ltv.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(f"ltv.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'ltv' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
