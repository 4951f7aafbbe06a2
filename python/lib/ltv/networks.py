"""Networks: the paper's order-dependency model and its peers with other heads."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ltv import _ltv, _tables
from ltv._fitted import FEW_ROWS, LEVELS, Distribution, LtvEstimator, model_of
from ltv._options import document, laid_over
from ltv._progress import listening
from ltv.errors import InputError

__all__ = ["ODMN", "ZILN", "LogNormalMixture"]


class _Network(LtvEstimator):
    #: What stands on a horizon's representation.
    _head = "mdme"

    def __init__(
        self,
        horizons: Sequence[int] | None = None,
        *,
        preset: str = "default",
        decoding: str = "expectation",
        epochs: int | None = None,
        patience: int | None = None,
        batch: int | None = None,
        rate: float | None = None,
        validation: float | None = None,
        monotone: bool | None = None,
        label: str = "value",
        window_days: int = 7,
        categorical: Sequence[str] | None = None,
        config: _tables.PathLike | None = None,
        options: Mapping[str, Any] | None = None,
        scratch: _tables.PathLike | None = None,
        random_state: int | None = 1,
        n_jobs: int | None = None,
        verbose: bool | None = None,
    ) -> None:
        self.horizons = horizons
        self.preset = preset
        self.decoding = decoding
        self.epochs = epochs
        self.patience = patience
        self.batch = batch
        self.rate = rate
        self.validation = validation
        self.monotone = monotone
        self.label = label
        self.window_days = window_days
        self.categorical = categorical
        self.config = config
        self.options = options
        self.scratch = scratch
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        init_model: Any = None,
        checkpoint: _tables.PathLike | None = None,
    ) -> Any:
        """Trains the network.

        Parameters
        ----------
        X, y : features and labels, see the class
        init_model : a fitted estimator of the same kind, yesterday's say, to go on from
        checkpoint : file to save progress to, and to go on from where it is there

        Raises
        ------
        DataError, TrainError, InputError
            When data or options cannot be used; the message says what to do.
        KeyboardInterrupt
            On Ctrl-C, at the next step; temporary files are gone, a checkpoint stays.
        """
        earlier = None
        if init_model is not None:
            earlier = model_of(init_model)
        return self._fit(X, y, checkpoint=checkpoint, earlier=earlier)

    def _fit_on(
        self,
        folders: list[str],
        rows: int | None,
        listener: Any,
        checkpoint: _tables.PathLike | None = None,
        earlier: _ltv.Model | None = None,
        **more: Any,
    ) -> _ltv.Model:
        seed, threads = self._seed(), _tables.threads(self.n_jobs)
        cache = self.scratch if self.scratch is not None else tempfile.gettempdir()
        if not isinstance(self.preset, str):
            raise InputError(f"preset: {self.preset!r}; use 'default' or 'paper'")
        if self.options is not None and not isinstance(self.options, Mapping):
            raise InputError(f"options: {self.options!r} is no dict of tables, such as {{'fit': {{'batch': 256}}}}")
        options = document(self._configuration(rows))
        return _ltv.train(
            folders, self.preset, self.config, options, seed, threads, cache, checkpoint, earlier, listener
        )

    def _configuration(self, rows: int | None) -> dict[str, Any]:
        """The options of ``ltv train``, as far as they are given."""
        validation = self.validation
        if validation is None and rows is not None and rows < FEW_ROWS:
            validation = 0.2
        model: dict[str, Any] = {}
        if self._head != "mdme":
            model["head"] = self._head
        if self.monotone is not None:
            if not isinstance(self.monotone, (bool, np.bool_)):
                raise InputError(f"monotone: {self.monotone!r}; give True or False")
            model["monotone"] = bool(self.monotone)
        named = {
            "horizons": _tables.days(self.horizons),
            "split": {"validation": validation},
            "model": model,
            "fit": {"epochs": self.epochs, "patience": self.patience, "batch": self.batch, "rate": self.rate},
        }
        tables = {name: laid_over({}, table) for name, table in named.items() if isinstance(table, dict)}
        given = {**named, **tables}
        return laid_over(self.options or {}, laid_over({}, given))

    def _decoding(self) -> str:
        if not isinstance(self.decoding, str):
            known = "'expectation', 'median', 'quantile:P', 'matched' or 'argmax'"
            raise InputError(f"decoding: {self.decoding!r}; use {known}")
        return self.decoding

    def predict_quantiles(self, X: Any, levels: Sequence[float] = LEVELS) -> _tables.Floats:
        model = self._fitted()
        levels = _tables.floats(_tables.listed(levels, "levels"), "levels").tolist()
        if not levels:
            raise InputError("levels: give one quantile at least, such as 0.5")
        with listening(self.verbose) as listener:
            found = model.quantiles(self._source(X), levels, _tables.threads(self.n_jobs), listener)
        matrix: _tables.Floats = found.to_numpy()
        return matrix.reshape(-1, len(self.horizons_), len(levels))

    predict_quantiles.__doc__ = LtvEstimator.predict_quantiles.__doc__

    def predict_distribution(self, X: Any, at: npt.ArrayLike | None = None) -> Distribution:
        model = self._fitted()
        values = self._edges() if at is None else np.unique(_tables.floats(at, "at"))
        if len(values) == 0 or not np.isfinite(values).all():
            raise InputError("at: give finite values at which the distributions are wanted")
        with listening(self.verbose) as listener:
            found = model.shares(self._source(X), values.tolist(), _tables.threads(self.n_jobs), listener)
        shape = (-1, len(self.horizons_), len(values))
        return Distribution(values, found.to_numpy().reshape(shape), self.horizons_)

    predict_distribution.__doc__ = (
        (LtvEstimator.predict_distribution.__doc__ or "").rstrip()
        + "\n\n        Without ``at``, at the edges of all buckets of the label ranges.\n"
    )

    def _edges(self) -> _tables.Floats:
        """Edges of the buckets of all horizons."""
        spec = self._described()["document"]["spec"]
        edges = {0.0}
        for horizon in spec["horizons"]:
            for segment in horizon["segments"]:
                for bucket in segment["buckets"]:
                    edges |= {bucket["left"], bucket["left"] + bucket["width"]}
        return np.array(sorted(edges))

    @property
    def config_(self) -> dict[str, Any]:
        """Every option it was trained with."""
        return dict(self._described()["document"]["config"])

    @property
    def record_(self) -> dict[str, Any]:
        """How the training went: rows, steps, validations."""
        return dict(self._described()["document"]["record"])


_PARAMETERS = """
    Parameters
    ----------
    horizons : days to predict, ascending; all that have labels if not given. Of a one-dimensional ``y`` it is the
        one horizon, 365 if not given
    preset : ``"default"`` (what validates best) or ``"paper"`` (section 5.1.2 of the paper)
    decoding : how a distribution becomes one value: ``"expectation"`` (bids and budgets), ``"median"``,
        ``"quantile:P"``, ``"matched"`` (spread as labels are) or ``"argmax"`` (the paper's eq. 7 and 8)
    epochs, patience, batch, rate : passes over the data at most, validations without improvement before
        stopping, rows of a step, learning rate of layers; as the preset has it if not given
    validation : share of users that stop the training; 0.1, and 0.2 of fewer than 1,000 rows, if not given
    monotone : whether a longer horizon is worth at least as much, guaranteed; so it is if not given. Switch it off
        where value can fall
    label : what values count, ``"value"`` or ``"active_days"``; a dataset says so itself
    window_days : days that features look at; a dataset says so itself
    categorical : columns of numbers that are categories
    config : TOML file of ``ltv train --config``; arguments win over it
    options : anything else that such a file may hold, as nested dicts: ``{"model": {"buckets": 30}}``
    scratch : folder for encoded rows while training, gone in the end; the system's if not given
    random_state : the same seed gives the same model, whatever the number of threads; None another one each time
    n_jobs : threads; all cores if not given
    verbose : whether to show progress; in terminals and notebooks if not given

    Attributes
    ----------
    horizons_ : days that it predicts
    model_id_ : the same id, the same predictions
    config_, record_ : every option, and how the training went
    n_features_in_, feature_names_in_ : the columns it was fitted on
"""


class ODMN(_Network):
    __doc__ = f"""The order-dependency network of Li et al., "Billion-user Customer Lifetime Value Prediction" (2022).

    One network for all horizons: for each, the label range is cut into sub-distributions and buckets (MDME), a
    user's value is a distribution over these, and horizons are chained in their order by Mono Units.
    The same as ``ltv train``: with the same data, options and seed it gives the same bytes.
{_PARAMETERS}
    Examples
    --------
    >>> import ltv
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> X = rng.gamma(1.0, size=(2000, 3))
    >>> y = np.round(X[:, 0] * rng.poisson(1.0, size=2000), 2)
    >>> model = ltv.ODMN(epochs=3, verbose=False).fit(X, y)
    >>> model.predict(X[:2]).shape
    (2,)
    >>> model.predict_quantiles(X[:2], levels=[0.25, 0.75]).shape
    (2, 1, 2)
    """


class ZILN(_Network):
    __doc__ = f"""A network that predicts zero-inflated log-normals (Wang, Liu and Miao 2019, arXiv:1912.07753).

    A user is worth nothing with some probability, else a log-normal amount; the mean of it is the value.
{_PARAMETERS}
    Examples
    --------
    >>> import ltv
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> X = rng.gamma(1.0, size=(2000, 3))
    >>> y = np.round(X[:, 0] * rng.poisson(1.0, size=2000), 2)
    >>> model = ltv.ZILN(epochs=3, verbose=False).fit(X, y)
    >>> distribution = model.predict_distribution(X[:2], at=[0, 1, 10])
    >>> distribution.cdf.shape
    (2, 1, 3)
    """

    _head = "ziln"


class LogNormalMixture(_Network):
    __doc__ = f"""A network that predicts mixtures of log-normals beside a chance of nothing.
{_PARAMETERS}"""

    _head = "mixture"
