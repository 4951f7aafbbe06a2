"""What the models share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ltv.btyd import _inputs
from ltv.errors import InputError


class Fitted(BaseEstimator):  # type: ignore[misc, unused-ignore]
    """What the models share: parameters of theirs, and whether there are any."""

    #: Names of the parameters, in the order of the extension module.
    _names: tuple[str, ...]

    penalizer_coef: float
    params_: dict[str, float]
    log_likelihood_: float
    n_customers_: int
    at_limit_: bool

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "params_")

    def _parameters(self) -> list[float]:
        if not hasattr(self, "params_"):
            kind = type(self).__name__
            raise NotFittedError(f"This {kind} instance is not fitted yet. Call 'fit', or make it by 'from_params'.")
        return [self.params_[name] for name in self._names]

    def _penalty(self) -> float:
        penalty = _inputs.number(self.penalizer_coef, "penalizer_coef")
        if not np.isfinite(penalty) or penalty < 0:
            raise InputError(f"penalizer_coef: {self.penalizer_coef}; give a finite number of at least 0")
        return penalty

    def _learn(self, found: tuple[list[float], float, int, bool]) -> None:
        parameters, self.log_likelihood_, self.n_customers_, self.at_limit_ = found
        self.params_ = dict(zip(self._names, parameters))

    @classmethod
    def _with(cls, parameters: Mapping[str, float], options: Mapping[str, Any]) -> Any:
        model = cls(**options)
        model.params_ = {name: _inputs.number(value, name) for name, value in parameters.items()}
        for name, value in model.params_.items():
            if not np.isfinite(value) or value <= 0:
                raise InputError(f"{name}: {value}; give a finite number above 0")
        return model
