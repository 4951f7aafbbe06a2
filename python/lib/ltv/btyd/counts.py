"""How often customers will buy: BG/NBD and Pareto/NBD."""

from __future__ import annotations

from typing import Any, cast

from ltv.btyd._counts import Counts

_COUNTS = """
    Parameters
    ----------
    penalizer_coef : weight of the sum of squared parameters, which is added to minus the mean log-likelihood; 0 for
        none. ``alpha`` (and ``beta``) are then counted on a clock whose largest ``T`` is 10
    horizons : times after the observation that :meth:`predict` is about, ascending, in the unit of the data

    Attributes
    ----------
    params_ : the parameters, as a dict; times in the unit of the data
    log_likelihood_ : of all customers, without the penalty; in the unit of the data, like ``params_``
    n_customers_ : how many it was fitted to
    at_limit_ : whether a parameter ran off to where the likelihood is flat: its value means nothing then, predictions
        hold

    Notes
    -----
    scikit-learn's conventions hold: ``get_params``, ``set_params``, ``clone``, pickles, model selection. Of its
    estimator checks those apply that fit nothing, and pass. All others fit a matrix of any numbers without names, and
    are refused: columns must be named, and their rows histories that customers can have.
"""


class BGNBD(Counts):
    __doc__ = f"""BG/NBD (Fader, Hardie and Lee 2005): customers buy at a rate of their own, and may leave after each of
    their repeat purchases. ``BetaGeoFitter`` of ``lifetimes``.

    Rates are Gamma with shape ``r`` and rate parameter ``alpha``, chances to leave Beta with ``a`` and ``b``. "Counting
    your customers" the easy way: an alternative to the Pareto/NBD model, Marketing Science 24 (2).
{_COUNTS}
    A customer without a repeat purchase is alive for certain: that is the model's, not this package's.

    Examples
    --------
    >>> from ltv import btyd
    >>> customers = {{"frequency": [2, 0, 1, 7, 0, 3], "recency": [30, 0, 2, 37, 0, 9], "T": [39, 39, 38, 38, 37, 37]}}
    >>> model = btyd.BGNBD(penalizer_coef=0.01, horizons=[4, 52]).fit(customers)
    >>> sorted(model.params_)
    ['a', 'alpha', 'b', 'r']
    >>> model.predict(customers).shape
    (6, 2)

    With parameters from elsewhere, the paper's here, in weeks:

    >>> model = btyd.BGNBD.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426)
    >>> round(model.expected_purchases(39, frequency=2, recency=30.43, T=38.86), 3)
    1.226
    >>> model.probability_alive(customers).round(2)
    array([0.72, 1.  , 0.23, 0.9 , 1.  , 0.13])
    >>> model.predict_distribution(customers, at=[0, 5]).cdf.shape
    (6, 4, 2)
    """

    _kind = "bg_nbd"
    _names = ("r", "alpha", "a", "b")

    @classmethod
    def from_params(cls, r: float, alpha: float, a: float, b: float, **options: Any) -> BGNBD:
        """A model with these parameters, as if fitted; ``options`` are those of the class. It has ``params_`` alone."""
        return cast(BGNBD, cls._with({"r": r, "alpha": alpha, "a": a, "b": b}, options))


class ParetoNBD(Counts):
    __doc__ = f"""Pareto/NBD (Schmittlein, Morrison and Colombo 1987): customers buy at a rate of their own for a
    lifetime that may end at any moment. ``ParetoNBDFitter`` of ``lifetimes``.

    Rates are Gamma with shape ``r`` and rate parameter ``alpha``, lifetimes exponential with rates that are Gamma with
    ``s`` and ``beta``. Formulas of Fader and Hardie, "A note on deriving the Pareto/NBD model" (2005), in a form that
    loses no digits where customers bought on the last day or very often.
{_COUNTS}
    ``lifetimes`` 0.11.3 adds the penalty to the sum of all customers' log-likelihoods, where it hardly weighs, and not
    to their mean as here and as its own ``BetaGeoFitter`` does.

    Examples
    --------
    >>> from ltv import btyd
    >>> customers = {{"frequency": [2, 0, 1, 7, 0, 3], "recency": [30, 0, 2, 37, 0, 9], "T": [39, 39, 38, 38, 37, 37]}}
    >>> model = btyd.ParetoNBD(penalizer_coef=0.01, horizons=[4, 52]).fit(customers)
    >>> sorted(model.params_)
    ['alpha', 'beta', 'r', 's']
    >>> model.predict_quantiles(customers, levels=[0.5, 0.9]).shape
    (6, 2, 2)

    With parameters from elsewhere, in weeks:

    >>> model = btyd.ParetoNBD.from_params(r=0.553, alpha=10.578, s=0.606, beta=11.669, horizons=[39])
    >>> model.predict(customers).round(2)
    array([1.43, 0.11, 0.19, 4.96, 0.11, 0.38])
    """

    _kind = "pareto_nbd"
    _names = ("r", "alpha", "s", "beta")

    @classmethod
    def from_params(cls, r: float, alpha: float, s: float, beta: float, **options: Any) -> ParetoNBD:
        """A model with these parameters, as if fitted; ``options`` are those of the class. It has ``params_`` alone."""
        return cast(ParetoNBD, cls._with({"r": r, "alpha": alpha, "s": s, "beta": beta}, options))
