"""What a network has to beat: RFM cells, boosted trees, buy-till-you-die models, simple rules.

They read what :func:`ltv.features` makes (``recency``, ``active_days`` or ``value_sum``, ...): give them such a
dataset, or a table with these columns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ltv import _ltv, _tables
from ltv._fitted import FEW_ROWS, LEVELS, Distribution, LtvEstimator
from ltv._options import document
from ltv.dataset import log_files
from ltv.errors import InputError, ModelError

__all__ = ["RFM", "BuyTillYouDie", "Forest", "TrainMean", "TrivialSort", "TwoStage", "XGBoost"]


class _Peer(LtvEstimator):
    #: The table's key `kind`.
    _kind = ""
    #: Whether it is made of trees.
    _boosts = False

    def __init__(
        self,
        horizons: Sequence[int] | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        split: Mapping[str, Any] | None = None,
        label: str = "value",
        window_days: int = 7,
        categorical: Sequence[str] | None = None,
        random_state: int | None = 1,
        n_jobs: int | None = None,
        verbose: bool | None = None,
    ) -> None:
        self.horizons = horizons
        self.options = options
        self.split = split
        self.label = label
        self.window_days = window_days
        self.categorical = categorical
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Any:
        """Fits the model to features and labels, see the class."""
        return self._fit(X, y)

    def _fit_on(
        self,
        folders: list[str],
        rows: int | None,
        listener: Any,
        events: Sequence[_tables.PathLike] = (),
        **more: Any,
    ) -> _ltv.Model:
        if self._boosts and not _ltv.HAS_XGBOOST:
            raise ModelError(
                "this build of the package has no XGBoost; build one that has: maturin build --release --features "
                "xgboost (needs cmake, ninja, libclang and patchelf)"
            )
        split = dict(self.split or {})
        if rows is not None and rows < FEW_ROWS:
            split.setdefault("validation", 0.2)
        config = document({"kind": self._kind, **(self.options or {})})
        horizons = _tables.days(self.horizons) or []
        seed, threads = self._seed(), _tables.threads(self.n_jobs)
        return _ltv.fit_peer(folders, events, config, horizons, document(split), seed, threads, listener)

    def predict_quantiles(self, X: Any, levels: Sequence[float] = LEVELS) -> _tables.Floats:
        unknown = [level for level in levels if level not in LEVELS]
        if unknown or not len(levels):
            known = ", ".join(map(str, LEVELS))
            raise InputError(f"levels: this model knows the quantiles {known} alone, not {unknown}")
        batch = self._predict(X, "expectation")
        if f"{self._columns()[0]}_p10" not in batch.schema.names:
            raise ModelError("this model predicts values alone, no quantiles")
        names = [f"{name}_p{round(100 * level)}" for name in self._columns() for level in levels]
        columns = [batch.column(name).to_numpy() for name in names]
        return np.column_stack(columns).reshape(-1, len(self.horizons_), len(levels))

    predict_quantiles.__doc__ = LtvEstimator.predict_quantiles.__doc__

    def predict_distribution(self, X: Any, at: npt.ArrayLike | None = None) -> Distribution:
        raise ModelError("this model keeps no distribution; predict_quantiles has what it knows")

    predict_distribution.__doc__ = LtvEstimator.predict_distribution.__doc__


_PARAMETERS = """
    Parameters
    ----------
    horizons : days to predict, ascending; all that have labels if not given
    options : options of the model, as in a table of ``ltv compare``'s configuration
    split : which users train and validate, ``{"validation": 0.1}``, as the table ``[split]``
    label, window_days, categorical : of a table, see :class:`ltv.ODMN`
    random_state, n_jobs, verbose : see :class:`ltv.ODMN`
"""


class RFM(_Peer):
    __doc__ = f"""The mean value of users alike in recency, frequency and monetary value.

    After Fader, Hardie and Lee (2005).
{_PARAMETERS}
    Examples
    --------
    >>> import ltv
    >>> sim = ltv.simulate(users=2000, days=90, activity_days=60, verbose=False)
    >>> data = ltv.features(sim, as_of="2022-05-15", horizons=[30], verbose=False)
    >>> ltv.RFM(verbose=False).fit(data).predict(data).shape
    (2000,)
    """

    _kind = "rfm"


class TrivialSort(_Peer):
    __doc__ = f"""A user's own value, or active days, in the observation window, scaled to the labels.
{_PARAMETERS}"""

    _kind = "trivial_sort"


class TrainMean(_Peer):
    __doc__ = f"""The mean of the training labels, for everybody.
{_PARAMETERS}"""

    _kind = "train_mean"


class XGBoost(_Peer):
    __doc__ = f"""One boosted regression for each horizon, by the XGBoost library.

    Needs a build of this package with it: ``maturin build --release --features xgboost``.
{_PARAMETERS}"""

    _kind = "xgboost"
    _boosts = True


class TwoStage(_Peer):
    __doc__ = f"""P(value > 0) and the value of those above 0, both boosted by the XGBoost library.

    After Drachen et al. (2018).

    Needs a build of this package with it: ``maturin build --release --features xgboost``.
{_PARAMETERS}"""

    _kind = "two_stage"
    _boosts = True


class Forest(_Peer):
    __doc__ = f"""The same two stages by random forests within groups of users (Vanderveld et al. 2016).

    Needs a build of this package with XGBoost: ``maturin build --release --features xgboost``.
{_PARAMETERS}"""

    _kind = "forest"
    _boosts = True


class BuyTillYouDie(_Peer):
    __doc__ = f"""BG/NBD or Pareto/NBD with Gamma-Gamma, fitted to all that training users did, predicting a dataset.

    ``options={{"model": "pareto_nbd"}}`` chooses the second. For purchase histories in a table, as the package
    lifetimes has them, see :class:`ltv.BGNBD`, :class:`ltv.ParetoNBD` and :class:`ltv.GammaGamma`.
{_PARAMETERS}"""

    _kind = "btyd"

    def fit(self, X: Any, y: Any = None, *, events: Any = None) -> Any:
        """Fits the model to what the training users of the dataset ``X`` have done.

        Parameters
        ----------
        X : a dataset
        events : the event log that it was made of: paths of Parquet files or folders, or a :class:`ltv.Simulation`
        """
        if events is None:
            raise InputError("events: give the event log that the dataset was made of; the model is fitted to it")
        with tempfile.TemporaryDirectory(prefix="ltv-") as spool:
            return self._fit(X, y, events=log_files(events, Path(spool), "events"))
