"""Models from files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ltv import _ltv, _tables
from ltv.errors import ModelError
from ltv.networks import ODMN, ZILN, LogNormalMixture
from ltv.peers import RFM, BuyTillYouDie, Forest, TrainMean, TrivialSort, TwoStage, XGBoost

__all__ = ["load"]

_CLASSES: dict[str, Any] = {
    "mdme": ODMN,
    "ziln": ZILN,
    "mixture": LogNormalMixture,
    **{kind._kind: kind for kind in (RFM, BuyTillYouDie, Forest, TrainMean, TrivialSort, TwoStage, XGBoost)},
}


def load(path: _tables.PathLike, **parameters: Any) -> Any:
    """The estimator of a file that ``save``, ``ltv train`` or ``ltv compare`` wrote.

    Parameters
    ----------
    path : the file
    parameters : of the estimator, such as ``n_jobs``, and ``decoding``, which a file does not say

    Raises
    ------
    InputError
        When the file is missing, is no model, is damaged or of a newer version.
    """
    return of_model(_ltv.Model.load(path), **parameters)


def of_model(model: _ltv.Model, **parameters: Any) -> Any:
    """The estimator of a model of the extension module."""
    found = json.loads(model.document())
    kind = _CLASSES.get(found["kind"])
    if kind is None:
        raise ModelError(f"a model of kind '{found['kind']}' is unknown here; update ltv")
    document = found["document"]
    own = {"horizons": document["horizons"], "label": document["label"], "window_days": document["window_days"]}
    # Fitted again, it is to be the same: with all options that it was made with.
    cells = document["encoding"]["features"]
    own["categorical"] = [name for one in cells if "vocabulary" in one["cells"] for name in one["columns"]]
    config = dict(document["config"])
    own["random_state"] = document["record"]["seed"]
    if "split" in document:
        config.pop("kind", None)
        own |= {"options": config, "split": document["split"]}
    else:
        own |= {"options": config, "monotone": config["model"]["monotone"], "horizons": config["horizons"] or None}
    made = kind(**{**own, **parameters})
    made.model_ = model
    names = [name for name in model.columns() if name != "reg_day"]
    made.n_features_in_ = len(names)
    made.feature_names_in_ = np.asarray(names, dtype=object)
    made._learn()
    return made
