"""What their purchases will be worth: Gamma-Gamma, and lifetime value from it and a model of counts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ltv import _ltv, _tables
from ltv.btyd import _inputs
from ltv.btyd._base import Fitted
from ltv.btyd._counts import Counts
from ltv.btyd._customers import HISTORY, SPEND, spend_of
from ltv.errors import InputError, ModelError

#: A month in the units of ``T``, as ``lifetimes`` has it.
_MONTH = {"W": 4.345, "M": 1.0, "D": 30.0, "H": 720.0, "h": 720.0}


class GammaGamma(Fitted):
    """Gamma-Gamma (Fader and Hardie 2013): what a customer's purchases are worth. ``GammaGammaFitter`` of
    ``lifetimes``.

    Values of purchases are Gamma with shape ``p`` and a rate parameter of the customer's own, which is Gamma with shape
    ``q`` and rate parameter ``v`` (``gamma`` in the paper). How much customers spend has nothing to do with how often
    they buy: check that it is so.

    Parameters
    ----------
    penalizer_coef : weight of the sum of squared parameters, which is added to minus the mean log-likelihood; 0 for
        none

    Attributes
    ----------
    params_ : ``p``, ``q`` and ``v``, as a dict
    log_likelihood_ : of the customers who count, without the penalty
    n_customers_ : how many they are
    n_skipped_ : how many did not count: without a repeat purchase, or with a mean value that is not above 0
    at_limit_ : whether a parameter ran off to where the likelihood is flat

    Notes
    -----
    Of scikit-learn's estimator checks those apply that fit nothing, and pass; the others fit columns without names.

    Examples
    --------
    >>> from ltv import btyd
    >>> spend = {"frequency": [2, 1, 0, 4, 3, 1], "monetary_value": [22.3, 11.8, 0.0, 45.0, 30.5, 60.0]}
    >>> model = btyd.GammaGamma(penalizer_coef=0.001).fit(spend)
    >>> model.n_customers_, model.n_skipped_
    (5, 1)
    >>> model.predict(spend).shape
    (6,)

    With parameters from elsewhere, the paper's here:

    >>> model = btyd.GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
    >>> model.predict({"frequency": [0, 2], "monetary_value": [0.0, 22.345]}).round(2)
    array([35.22, 24.66])
    """

    _names = ("p", "q", "v")

    n_skipped_: int

    def __init__(self, penalizer_coef: float = 0.0) -> None:
        self.penalizer_coef = penalizer_coef

    @classmethod
    def from_params(cls, p: float, q: float, v: float, **options: Any) -> GammaGamma:
        """A model with these parameters, as if fitted; ``options`` are those of the class. It has ``params_`` alone."""
        return cast(GammaGamma, cls._with({"p": p, "q": q, "v": v}, options))

    def fit(self, X: Any = None, y: Any = None, *, frequency: Any = None, monetary_value: Any = None) -> Any:
        """Fits the model by maximum likelihood: ``fit(table)``, or ``fit(frequency, monetary_value)`` as in
        ``lifetimes``.

        Customers without a repeat purchase, or whose mean is not above 0, do not count: a Gamma distribution has no
        place for them (``lifetimes`` refuses them).

        Parameters
        ----------
        X : table (pandas, polars, PyArrow, DuckDB, dict of arrays, path of Parquet files) with columns
            ``frequency`` and ``monetary_value``, as :func:`ltv.btyd.summary` makes them, others may be there as well;
            or the first one alone
        y : beside a table, not used; else ``monetary_value``; they have these names as keywords

        Raises
        ------
        InputError, DataError
            When a column is missing, or a cell is empty or no number; column and row are named.
        ModelError
            When nobody counts, or the likelihood has no maximum (all values alike, say).
        """
        if frequency is not None or monetary_value is not None:
            days, means, _ = spend_of(frequency, monetary_value if monetary_value is not None else y)
        else:
            days, means, _ = spend_of(X, None if _inputs.is_table(X) else y)
        self._learn(_ltv.fit_spend(_tables.arrow(days), _tables.arrow(means), self._penalty()))
        self.n_skipped_ = len(days) - self.n_customers_
        return self

    def predict(self, X: Any) -> _tables.Floats:
        """Expected mean value of a purchase of each customer: ``[customers]``.

        Parameters
        ----------
        X : table with columns ``frequency`` and ``monetary_value``
        """
        self._parameters()
        return cast(_tables.Floats, self.expected_spend(_inputs.table_of(X, SPEND)))

    def expected_spend(self, frequency: Any = None, monetary_value: Any = None) -> Any:
        """Expected mean value of a purchase, given those that were seen.

        In ``lifetimes``: ``conditional_expected_average_profit``. Who has no repeat purchase, or a mean that is not
        above 0, gets the mean of all customers, ``p v / (q - 1)``.

        Parameters
        ----------
        frequency, monetary_value : numbers or arrays of one shape; or a table in place of both

        Returns
        -------
        numpy.ndarray or float
            In the shape of the customers.

        Raises
        ------
        ModelError
            When ``q`` is 1 or less, so that a customer who is not yet known has no mean.
        """
        p, q, v = self._parameters()
        days, means, shape = spend_of(frequency, monetary_value)
        found = _ltv.expected_spend([p, q, v], _tables.arrow(days), _tables.arrow(means)).to_numpy()
        if not np.isfinite(found).all():
            row = int(np.argmin(np.isfinite(found))) + 1
            raise ModelError(
                f"with q = {q:g} a customer who is not yet known, as in row {row}, has no mean, which needs q > 1; "
                "cap the largest values and fit again, or leave such customers out"
            )
        return _inputs.shaped(found, shape)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood of the customers who count, higher is better.

        Parameters
        ----------
        X : table with columns ``frequency`` and ``monetary_value``
        y : not used
        """
        p, q, v = self._parameters()
        days, means, _ = spend_of(X)
        counts = int(((days > 0) & (means > 0)).sum())
        if counts == 0:
            raise InputError("nobody has a repeat purchase of a mean value above 0; give customers who have")
        return _ltv.spend_log_likelihood([p, q, v], _tables.arrow(days), _tables.arrow(means)) / counts

    def customer_lifetime_value(
        self, counts: Any, X: Any, months: int = 12, discount_rate: float = 0.01, freq: str = "D"
    ) -> _tables.Floats:
        """What customers will be worth in the months ahead, discounted month by month to today.

        The sum over months of expected purchases in the month, times the expected value of one, over
        ``(1 + discount_rate)`` to the power of the month, counted from 1.

        Parameters
        ----------
        counts : fitted :class:`ltv.btyd.BGNBD` or :class:`ltv.btyd.ParetoNBD`
        X : table with columns ``frequency``, ``recency``, ``T`` and ``monetary_value``
        months : how far ahead, 1 or more
        discount_rate : for one month; 0.01 is about 12.7% a year
        freq : unit of ``T`` and of ``counts``: ``"D"``, ``"W"``, ``"M"`` or ``"h"``. A month is 30 days, 4.345 weeks or
            720 hours, as in ``lifetimes``

        Returns
        -------
        numpy.ndarray
            ``[customers]``, in units of value. ``GammaGammaFitter.customer_lifetime_value`` of ``lifetimes``.

        Examples
        --------
        >>> from ltv import btyd
        >>> customers = {"frequency": [2, 0], "recency": [30, 0], "T": [39, 39], "monetary_value": [22.345, 0.0]}
        >>> counts = btyd.BGNBD.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426)
        >>> spend = btyd.GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
        >>> spend.customer_lifetime_value(counts, customers, months=12, freq="W").round(2)
        array([35.84,  8.35])
        """
        self._parameters()
        if freq not in _MONTH:
            raise InputError(f"freq: {freq!r} is none of 'D', 'W', 'M' and 'h'")
        if not 1 <= _inputs.number(months, "months") < np.inf or months != int(months):
            raise InputError(f"months: {months}; give a whole number from 1 on")
        if not -1 < _inputs.number(discount_rate, "discount_rate") < np.inf:
            raise InputError(f"discount_rate: {discount_rate}; give the rate of a month, such as 0.01")
        if not isinstance(counts, Counts):
            kind = _inputs.kind_of(counts)
            raise InputError(f"counts: {kind} is no model of purchases; give a fitted BGNBD or ParetoNBD")
        names = (*HISTORY, "monetary_value")
        (x, recency, age, means), _ = _inputs.given(names, _inputs.table_of(X, names), None, None, None)
        month = np.arange(1, int(months) + 1)
        so_far = counts.expected_purchases(month * _MONTH[freq], x, recency, age)
        purchases = np.diff(so_far, axis=1, prepend=0.0)
        return cast(_tables.Floats, self.expected_spend(x, means) * (purchases @ (1.0 + discount_rate) ** -month))
