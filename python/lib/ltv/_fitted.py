"""What estimators share: tables in, fitted models, tables out."""

from __future__ import annotations

import json
import numbers
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from ltv import _ltv, _tables
from ltv._options import document
from ltv._progress import listening
from ltv.dataset import dataset_of
from ltv.errors import InputError, ModelError
from ltv.metrics import normalized_gini

#: What a one-dimensional ``y`` is called where no horizon is given, in days.
DEFAULT_HORIZON = 365
#: Quantiles that every model with a distribution knows.
LEVELS = (0.1, 0.5, 0.9)
#: Below so many rows a tenth of them is too few to validate on.
FEW_ROWS = 1000


class Distribution:
    """Predicted distributions of every user and horizon, at some values.

    Attributes
    ----------
    at : values, ascending
    cdf : ``P(value <= at)``, ``[users, horizons, at]``
    horizons : days, ascending
    """

    def __init__(self, at: _tables.Floats, cdf: _tables.Floats, horizons: list[int]) -> None:
        self.at = at
        self.cdf = cdf
        self.horizons = horizons

    @property
    def sf(self) -> _tables.Floats:
        """``P(value > at)``, ``[users, horizons, at]``."""
        return 1.0 - self.cdf

    @property
    def mass(self) -> _tables.Floats:
        """``P(previous < value <= at)``, ``[users, horizons, at]``, the first from minus infinity."""
        return np.diff(self.cdf, axis=2, prepend=0.0)

    def __repr__(self) -> str:
        users, horizons, values = self.cdf.shape
        return f"Distribution({users} users, {horizons} horizons, {values} values)"


def prediction_columns(batch: pa.RecordBatch, names: Sequence[str]) -> _tables.Floats:
    """Columns of a record batch as a matrix; a vector where there is one."""
    columns = [batch.column(name).to_numpy() for name in names]
    # A column of Arrow's may not be written to.
    return columns[0].copy() if len(columns) == 1 else np.column_stack(columns)


class LtvEstimator(RegressorMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """Base of the estimators of values: input, output, pickles.

    ``X`` is a :class:`ltv.Dataset` or its path, whose labels come along; or a table of features: a data frame of
    pandas, polars, PyArrow or DuckDB, paths of Parquet files, or a NumPy array. Of a table, these columns are
    no features: ``user_id`` (decides who validates), ``reg_day`` (when the user registered), ``status``, and
    ``ltv_<N>``, labels where no ``y`` is given. ``<name>_d0``, ``<name>_d1``, ... are the days of a sequence.

    ``y`` is a vector, a matrix with a column for each horizon, or a data frame with columns ``ltv_<N>``; NaN
    where a label is not yet known.
    """

    model_: _ltv.Model
    horizons_: list[int]

    # What subclasses have by their parameters.
    horizons: Any
    label: str
    window_days: int
    categorical: Any
    random_state: Any
    n_jobs: int | None
    verbose: bool | None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.target_tags.positive_only = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    # --- fitting ---

    def _fit_on(self, folders: list[str], rows: int | None, listener: Any, **more: Any) -> _ltv.Model:
        raise NotImplementedError

    def _fit(self, X: Any, y: Any, **more: Any) -> Any:
        with listening(self.verbose) as listener:
            dataset = dataset_of(X)
            if dataset is not None:
                if y is not None:
                    raise InputError("a dataset brings its own labels: leave y out")
                model = self._fit_on(dataset.folders, None, listener, **more)
                self.n_features_in_ = len(dataset.feature_columns)
                self.feature_names_in_ = np.asarray(dataset.feature_columns, dtype=object)
            else:
                model = self._fit_table(X, y, listener, **more)
        self.model_ = model
        self._learn()
        return self

    def _fit_table(self, X: Any, y: Any, listener: Any, **more: Any) -> _ltv.Model:
        table, horizons = self._labelled(X, y, _tables.days(self.horizons))
        spec = self._spec(table, horizons, self.window_days, self.label)
        with tempfile.TemporaryDirectory(prefix="ltv-") as folder, _tables.called({folder: "the table"}):
            manifest = json.loads(_ltv.write_table(table, document(spec), folder, listener))
            model = self._fit_on([folder], int(manifest["rows"]), listener, **more)
        if not hasattr(self, "n_features_in_") or _tables.is_frame(X) or _tables.is_path(X):
            names = [column for feature in spec["features"] for column in feature["columns"]]
            self.n_features_in_ = len(names)
            self.feature_names_in_ = np.asarray(names, dtype=object)
        return model

    def _spec(self, table: Any, horizons: list[int], window_days: int, label: str) -> dict[str, Any]:
        """What the columns of a table with labels mean, for the extension module."""
        categorical = _tables.listed(self.categorical, "categorical")
        features = _tables.features_of(table.schema, categorical)
        return {"features": features, "horizons": horizons, "window_days": window_days, "label": label}

    def _labelled(self, X: Any, y: Any, wanted: list[int] | None) -> tuple[Any, list[int]]:
        """The table with its labels, and their horizons: those wanted, or all that are there."""
        frame = _tables.is_frame(X) or _tables.is_path(X)
        if frame and y is None:
            opened = _tables.opened(X)
            return opened, _chosen(_tables.horizons_of(opened.schema.names), wanted)
        if frame:
            table = _tables.table(X)
            table = table.drop_columns([name for name in table.column_names if _tables.is_label(name)])
            labels, horizons = _labels(y, wanted)
        else:
            if y is None:
                raise ValueError(
                    f"requires y to be passed, but the target y is None: {type(self).__name__} is fitted to labels"
                )
            X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2)
            self.__dict__.pop("feature_names_in_", None)
            table = _tables.number_columns(X, _array_names(X.shape[1]))
            labels, horizons = _labels(y, wanted)
        if not np.isfinite(labels).any() and not np.isinf(labels).any() and labels.size:
            raise InputError("y: Input contains NaN alone; no label is known, so that nothing can be learned")
        if len(table) != len(labels):
            raise ValueError(f"X has {len(table)} rows, y {len(labels)}; inconsistent numbers of samples")
        for i, days in enumerate(horizons):
            table = table.append_column(f"ltv_{days}", pa.array(np.ascontiguousarray(labels[:, i])))
        return table, horizons

    def _described(self) -> dict[str, Any]:
        """Kind, id and document of the model."""
        return dict(json.loads(self._fitted().document()))

    def _learn(self) -> None:
        found = self._described()
        self.horizons_ = list(found["document"]["horizons"])
        self.model_id_ = str(found["id"])

    def _seed(self) -> int:
        """A number of 64 bits; none given is another one each time, as scikit-learn has it."""
        seed = self.random_state
        if seed is None or isinstance(seed, np.random.RandomState):
            return int(check_random_state(seed).randint(2**31 - 1))
        if isinstance(seed, np.random.Generator):
            return int(seed.integers(2**63))
        whole = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
        if not whole or not 0 <= int(seed) < 2**64:
            raise InputError(f"random_state: {seed!r}; give a whole number from 0 on, or None")
        return int(seed)

    # --- predicting ---

    def _fitted(self) -> _ltv.Model:
        if not hasattr(self, "model_"):
            name = type(self).__name__
            problem = f"This {name} instance is not fitted yet. Call 'fit' with X and y, or 'ltv.load'."
            raise NotFittedError(problem)
        return self.model_

    def _source(self, X: Any) -> Any:
        """What the extension module predicts: folders of a dataset, or the columns that the model reads."""
        model = self._fitted()
        dataset = dataset_of(X)
        if dataset is not None:
            return dataset.folders
        if not (_tables.is_frame(X) or _tables.is_path(X)):
            X = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
            return _tables.number_columns(X, _array_names(X.shape[1]))
        names, wanted = _tables.names(X), model.columns()
        missing = [] if names is None else [column for column in wanted if column not in names]
        if missing:
            problem = f"X has no column '{missing[0]}', which the model reads; give the columns it was fitted on"
            raise InputError(problem)
        return _tables.stream(_tables.only(X, wanted))

    def _predict(self, X: Any, decoding: str, only_values: bool = False) -> pa.RecordBatch:
        with listening(self.verbose) as listener:
            threads = _tables.threads(self.n_jobs)
            return self._fitted().predict(self._source(X), decoding, threads, listener, only_values)

    def predict(self, X: Any) -> _tables.Floats:
        """Predicted values: ``[users, horizons]``, or ``[users]`` of a model with one horizon."""
        self._fitted()
        return prediction_columns(self._predict(X, self._decoding(), only_values=True), self._columns())

    def predict_table(self, X: Any) -> pa.Table:
        """Everything that is predicted, as a table: ``ltv_<N>`` of each horizon and, of a model that knows a
        distribution, ``ltv_<N>_p10``, ``_p50``, ``_p90`` and ``_positive``; behind ``user_id``, where ``X`` has it.
        """
        X = _tables.held(X)
        predicted = pa.table(self._predict(X, self._decoding()))
        users = _users(X)
        return predicted if users is None else predicted.add_column(0, "user_id", users)

    def predict_quantiles(self, X: Any, levels: Sequence[float] = LEVELS) -> _tables.Floats:
        """Quantiles of the predicted distributions: ``[users, horizons, levels]``, in order across horizons where the
        model guarantees that.

        Raises
        ------
        InputError
            When the model knows no distribution, or not these levels.
        """
        raise NotImplementedError

    def predict_distribution(self, X: Any, at: npt.ArrayLike | None = None) -> Distribution:
        """The predicted distributions of all users, at the values ``at``.

        Raises
        ------
        InputError
            When the model knows no distribution.
        """
        raise NotImplementedError

    def predict_positive(self, X: Any) -> _tables.Floats:
        """P(value > 0): ``[users, horizons]``, or ``[users]`` of a model with one horizon."""
        batch = self._predict(X, "expectation")
        names = [f"{name}_positive" for name in self._columns()]
        if names[0] not in batch.schema.names:
            raise ModelError("this model predicts values alone, no chance of one above 0")
        return prediction_columns(batch, names)

    def score(self, X: Any, y: Any = None, sample_weight: None = None) -> float:
        """How well users are ordered: the normalised Gini coefficient, 1 at best, 0 at random, mean over horizons.

        It looks at the order alone and is not thrown off by a few large values, as R2 is (``scoring="r2"`` of
        scikit-learn's tools gives that one). Labels not yet known are left out.
        """
        if sample_weight is not None:
            raise InputError("sample_weight: rows have no weights; leave it out")
        X = _tables.held(X)
        predicted = np.asarray(self.predict(X)).reshape(-1, len(self.horizons_))
        labels = self._true(X, y)
        found = [normalized_gini(labels[:, t], predicted[:, t]) for t in range(len(self.horizons_))]
        return float(np.mean(found))

    def _true(self, X: Any, y: Any) -> _tables.Floats:
        if y is None:
            dataset = dataset_of(X)
            table = _tables.table(X) if dataset is None else dataset.to_arrow(self._columns())
            missing = [name for name in self._columns() if name not in table.column_names]
            if missing:
                raise InputError(f"no column '{missing[0]}' of labels; give y")
            y = table.select(self._columns())
        return _labels(y, self.horizons_)[0]

    def _columns(self) -> list[str]:
        return [f"ltv_{days}" for days in self.horizons_]

    def _decoding(self) -> str:
        return "expectation"

    # --- files and pickles ---

    def save(self, path: _tables.PathLike) -> str:
        """Writes the model to a file that the program ``ltv`` reads too, whole or not at all; its id."""
        return self._fitted().save(path)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = state["model_"].to_bytes()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        if isinstance(state.get("model_"), bytes):
            state["model_"] = _ltv.Model.from_bytes(state["model_"])
        super().__setstate__(state)


def _chosen(found: list[int], wanted: list[int] | None) -> list[int]:
    wanted = found if wanted is None else wanted
    missing = [days for days in wanted if days not in found]
    if missing:
        raise InputError(f"no column 'ltv_{missing[0]}' of labels; give y, or a table with that column")
    if not wanted:
        raise InputError("no labels: give y, or a table with columns ltv_<N>, such as ltv_30 and ltv_365")
    return wanted


def _labels(y: Any, wanted: list[int] | None) -> tuple[_tables.Floats, list[int]]:
    """Labels as a matrix, and the horizons of its columns."""
    if _tables.is_column(y):
        named = _tables.horizons_of([str(getattr(y, "name", None))])
        wanted = named if wanted is None and named else wanted
        y = _tables.floats(y, "y")
    if _tables.is_frame(y):
        table = _tables.table(y)
        horizons = _tables.horizons_of(table.column_names)
        if horizons:
            horizons = _chosen(horizons, wanted)
            columns = [table.column(f"ltv_{days}").to_numpy() for days in horizons]
            return np.column_stack(columns).astype(np.float64), horizons
        y = np.column_stack([table.column(name).to_numpy() for name in table.column_names])
    labels = np.asarray(y)
    if labels.dtype.kind in "mM":
        raise InputError("y: dates or times; give numbers")
    if labels.dtype.kind == "c":
        raise ValueError("Complex data not supported: y has complex numbers")
    try:
        labels = labels.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"y: not numbers ({error})") from error
    if labels.ndim == 1:
        labels = labels[:, None]
    if labels.ndim != 2:
        raise InputError(f"y: {labels.ndim} dimensions; give one column for each horizon")
    return labels, _named(labels.shape[1], wanted)


def _named(columns: int, wanted: list[int] | None) -> list[int]:
    if wanted is not None:
        if len(wanted) != columns:
            raise InputError(f"y has {columns} columns for {len(wanted)} horizons; give one for each")
        return wanted
    if columns == 1:
        return [DEFAULT_HORIZON]
    raise InputError(f"y has {columns} columns: say which days they are of, horizons=[30, 90, ...]")


def model_of(model: Any) -> _ltv.Model:
    """The model of an estimator, or of a file."""
    if isinstance(model, _ltv.Model):
        return model
    if _tables.is_path(model):
        return _ltv.Model.load(model)
    if isinstance(model, LtvEstimator):
        return model._fitted()
    raise InputError(f"{type(model).__name__} is no model of this package; give a fitted estimator, or the path of one")


def _array_names(columns: int) -> list[str]:
    return [f"x{i}" for i in range(columns)]


def _users(X: Any) -> pa.ChunkedArray | None:
    """Who the rows are, where they say so."""
    dataset = dataset_of(X)
    if dataset is not None:
        return dataset.to_arrow(["user_id"]).column("user_id")
    if not (_tables.is_frame(X) or _tables.is_path(X)) or "user_id" not in (_tables.names(X) or ()):
        return None
    if _tables.is_path(X):
        import pyarrow.dataset as ds

        files = _tables.parquet_files(X)
        with _tables.reading(os.fspath(X)):
            return ds.dataset(files, format="parquet").to_table(columns=["user_id"]).column("user_id")
    return _tables.table(_tables.only(X, ["user_id"])).column("user_id")
