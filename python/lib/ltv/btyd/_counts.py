"""What models of the number of purchases share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ltv import _ltv, _tables
from ltv._fitted import LEVELS, Distribution
from ltv.btyd import _inputs
from ltv.btyd._base import Fitted
from ltv.btyd._customers import HISTORY, Histories
from ltv.errors import InputError
from ltv.metrics import normalized_gini

#: More purchases than this are not told apart.
_MOST = 1_000_000
#: Sums of rounded chances may miss a level that they should reach exactly.
_ROUNDING = 1e-12
#: Chances that are held in memory at a time.
_CELLS = 4_000_000

#: What is found of some customers, a row for each, and for which of them more purchases must be told apart.
_Look = tuple[_tables.Floats, npt.NDArray[np.bool_]]


class Counts(Fitted):
    """A model of how often customers buy."""

    #: What the extension module calls it.
    _kind: str

    def __init__(self, penalizer_coef: float = 0.0, horizons: Any = (30, 90, 180, 365)) -> None:
        self.penalizer_coef = penalizer_coef
        self.horizons = horizons

    def fit(self, X: Any = None, y: Any = None, T: Any = None, *, frequency: Any = None, recency: Any = None) -> Any:
        """Fits the model by maximum likelihood: ``fit(table)``, or ``fit(frequency, recency, T)`` as in ``lifetimes``.

        Parameters
        ----------
        X : table (pandas, polars, PyArrow, DuckDB, dict of arrays, path of Parquet files) with columns
            ``frequency``, ``recency`` and ``T``, as :func:`ltv.btyd.summary` makes them, others may be there as well;
            or the first one alone
        y : beside a table, not used; else ``recency``
        T : beside ``frequency`` and ``recency``; they have these names as keywords

        Raises
        ------
        InputError, DataError
            When a column is missing, or a history is none that a customer can have; column and row are named.
        ModelError
            When nobody came back, or the likelihood has no maximum.
        """
        if frequency is not None or recency is not None:
            given = (frequency, recency if recency is not None else y, T)
        else:
            given = (X, None, None) if T is None and _inputs.is_table(X) else (X, y, T)
        histories = Histories.read(*given)
        self._learn(_ltv.fit_counts(self._kind, *histories.arrow(), self._penalty()))
        return self

    def predict(self, X: Any) -> _tables.Floats:
        """Expected purchases in the time of each horizon after the observation: ``[customers, horizons]``, or
        ``[customers]`` of a model with one horizon.

        Parameters
        ----------
        X : table with columns ``frequency``, ``recency`` and ``T``
        """
        horizons = self._horizons()
        found = self.expected_purchases(horizons, _inputs.table_of(X, HISTORY))
        return cast(_tables.Floats, found[:, 0] if len(horizons) == 1 else found)

    def expected_purchases(self, t: Any, frequency: Any = None, recency: Any = None, T: Any = None) -> Any:
        """Expected purchases in ``(T, T + t]`` of customers with a history.

        In ``lifetimes``: ``conditional_expected_number_of_purchases_up_to_time``.

        Parameters
        ----------
        t : time ahead, 0 or more, in the unit of ``T``; or a list of such
        frequency, recency, T : numbers or arrays of one shape; or a table in place of all three

        Returns
        -------
        numpy.ndarray or float
            Of one ``t`` in the shape of the customers, of a list ``[..., t]``. Unlike there, a list of times does not
            stand for one time for each customer.
        """
        parameters = self._parameters()
        times, shape = _inputs.times_ahead(t)
        histories = Histories.read(frequency, recency, T)
        found = _ltv.expected_after(self._kind, parameters, times, *histories.arrow()).to_numpy()
        return _inputs.shaped(found, histories.shape + shape)

    def expected_new(self, t: Any) -> Any:
        """Expected repeat purchases in the first ``t`` of a customer of whom nothing is known yet; a float, or an array
        where ``t`` is one.

        In ``lifetimes``: ``expected_number_of_purchases_up_to_time``.
        """
        parameters = self._parameters()
        times, shape = _inputs.times_ahead(t)
        return _inputs.shaped(_ltv.expected(self._kind, parameters, times), shape)

    def probability_alive(self, frequency: Any = None, recency: Any = None, T: Any = None) -> Any:
        """P(alive at ``T``): that a customer has not left for good.

        In ``lifetimes``: ``conditional_probability_alive``.

        Parameters
        ----------
        frequency, recency, T : numbers or arrays of one shape; or a table in place of all three

        Returns
        -------
        numpy.ndarray or float
            In the shape of the customers.
        """
        parameters = self._parameters()
        histories = Histories.read(frequency, recency, T)
        return _inputs.shaped(_ltv.alive(self._kind, parameters, *histories.arrow()).to_numpy(), histories.shape)

    def predict_quantiles(self, X: Any, levels: Sequence[float] = LEVELS) -> _tables.Floats:
        """Quantiles of the number of purchases: ``[customers, horizons, levels]``, whole numbers: the smallest ``n``
        with ``P(N <= n)`` of at least the level. Of more than a million purchases, a million count.

        Parameters
        ----------
        X : table with columns ``frequency``, ``recency`` and ``T``
        levels : between 0 and 1
        """
        self._parameters()
        wanted = np.atleast_1d(_inputs.numbers(levels, "levels"))
        if len(wanted) == 0 or not ((wanted > 0) & (wanted < 1)).all():
            raise InputError(f"levels: {levels}; give quantiles between 0 and 1, such as 0.5")

        def look(shares: _tables.Floats) -> _Look:
            reached = shares[:, None, :] >= wanted[None, :, None] - _ROUNDING
            found = reached.argmax(axis=2)
            # The last share holds all that is left.
            return found.astype(np.float64), (found >= shares.shape[1] - 1).any(axis=1)

        return self._from_shares(X, len(wanted), _MOST, look)

    def predict_distribution(self, X: Any, at: npt.ArrayLike | None = None) -> Distribution:
        """Distributions of the number of purchases ``N``: ``P(N <= at)``, ``[customers, horizons, at]``.

        Parameters
        ----------
        X : table with columns ``frequency``, ``recency`` and ``T``
        at : numbers of purchases; 0, 1, ..., 10 if not given
        """
        self._parameters()
        values = np.arange(11.0) if at is None else np.unique(_tables.floats(at, "at"))
        if len(values) == 0 or not np.isfinite(values).all():
            raise InputError("at: give finite numbers of purchases at which the distributions are wanted")
        whole = np.floor(values)
        limit = int(min(max(whole[-1], 0), _MOST - 1)) + 1

        def look(shares: _tables.Floats) -> _Look:
            most = shares.shape[1] - 1
            reach = np.clip(whole, 0, most).astype(np.intp)
            return np.where(whole < 0, 0.0, shares[:, reach]), shares[:, most - 1] < 1 - _ROUNDING

        found = self._from_shares(X, len(values), limit, look)
        return Distribution(values, found, cast("list[int]", self._horizons()))

    def _from_shares(self, X: Any, width: int, limit: int, look: Callable[[_tables.Floats], _Look]) -> _tables.Floats:
        """``[customers, horizons, width]``, what ``look`` finds in ``P(N <= n)``, ``[customers, n]``, the last one 1.

        It is shown few purchases first, then more, up to ``limit``, of customers of whom it needs them.
        """
        horizons = self._horizons()
        distinct, of = Histories.read(_inputs.table_of(X, HISTORY)).distinct()
        found = np.zeros((len(distinct.T), len(horizons), width))
        for i, t in enumerate(horizons):
            rows, most = np.arange(len(distinct.T)), min(64, limit)
            while len(rows):
                open_ = []
                for part, shares in self._shares(distinct, rows, t, most):
                    found[part, i], more = look(shares)
                    open_.append(part[more])
                rows = np.concatenate(open_) if most < limit else rows[:0]
                most = min(8 * most, limit)
        return found[of]

    def _shares(
        self, histories: Histories, rows: npt.NDArray[np.intp], t: float, most: int
    ) -> Iterator[tuple[npt.NDArray[np.intp], _tables.Floats]]:
        """Some customers at a time, and their ``P(N <= n)`` of ``n = 0 ..= most``, the last one 1."""
        step = max(1, _CELLS // (most + 1))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            some = histories.some(part).arrow()
            found = _ltv.purchase_shares(self._kind, self._parameters(), t, most, *some).to_numpy()
            yield part, found.reshape(-1, most + 1)

    def score(self, X: Any, y: Any = None) -> float:
        """How well the model describes customers, higher is better.

        Parameters
        ----------
        X : table with columns ``frequency``, ``recency`` and ``T``
        y : purchases seen later, a column for each horizon, NaN where not yet known

        Returns
        -------
        float
            Without ``y`` the mean log-likelihood of a customer; with it how well customers are ordered: the
            normalised Gini coefficient, mean over horizons, as of the other estimators.
        """
        parameters = self._parameters()
        table = _inputs.table_of(X, HISTORY)
        if y is None:
            histories = Histories.read(table)
            if len(histories.T) == 0:
                raise InputError("X has no rows; give one customer at least")
            return _ltv.counts_log_likelihood(self._kind, parameters, *histories.arrow()) / len(histories.T)
        seen = _inputs.later(y, len(self._horizons()))
        predicted = np.asarray(self.predict(table)).reshape(-1, seen.shape[1])
        if len(seen) != len(predicted):
            raise InputError(f"X has {len(predicted)} rows, y {len(seen)}; give as many")
        return float(np.mean([normalized_gini(seen[:, i], predicted[:, i]) for i in range(seen.shape[1])]))

    def _horizons(self) -> list[float]:
        self._parameters()
        found = np.atleast_1d(_inputs.numbers(self.horizons, "horizons"))
        good = len(found) > 0 and np.isfinite(found).all() and (found > 0).all() and (np.diff(found) > 0).all()
        if not good:
            raise InputError(f"horizons: {self.horizons}; give times above 0, ascending, in the unit of T")
        return [int(t) if t == int(t) else float(t) for t in found]
