"""Buy-till-you-die models: BG/NBD, Pareto/NBD and Gamma-Gamma, for those who come from the package ``lifetimes``.

They know three numbers of a customer, all in one unit of time (days, weeks, ...): ``frequency``, the periods with a
purchase after the first one; ``recency``, the time from the first purchase to the last; ``T``, the time from the
first purchase to the end of the observation. :func:`summary` makes them from transactions.

==========================================================  ======================================================
``lifetimes``                                               here
==========================================================  ======================================================
``summary_data_from_transaction_data``                      :func:`summary`
``calibration_and_holdout_data``                            :func:`calibration_holdout`
``BetaGeoFitter``                                           :class:`BGNBD`
``ParetoNBDFitter``                                         :class:`ParetoNBD`
``GammaGammaFitter``                                        :class:`GammaGamma`
``conditional_expected_number_of_purchases_up_to_time``     ``expected_purchases``, ``predict``
``expected_number_of_purchases_up_to_time``                 ``expected_new``
``conditional_probability_alive``                           ``probability_alive``
``conditional_expected_average_profit``                     ``expected_spend``, ``predict``
``customer_lifetime_value``                                 ``customer_lifetime_value``
==========================================================  ======================================================

The models are the ones of the program ``ltv`` (crate ``ltv-baselines``). What differs from ``lifetimes`` 0.11.3:
parameters are a dict, predictions NumPy arrays; customers have no weights (equal ones are counted once, so that
repeating rows costs little); histories that no customer can have are refused, ``frequency`` above 0 with ``recency``
0 among them; ``penalizer_coef`` above 0 weighs ``alpha`` (and ``beta``) on a clock whose largest ``T`` is 10, as
versions of ``lifetimes`` before 0.11 did, where 0.11.3 has 1; and there are numbers where ``lifetimes`` has nan: of
BG/NBD for many customers without a repeat purchase where ``a + b < 1``, and at ``a = 1``; of Pareto/NBD for frequent
customers who bought at the very end, and at ``s = 1``. Standard errors are not computed.
"""

from __future__ import annotations

from ltv.btyd.counts import BGNBD, ParetoNBD
from ltv.btyd.spend import GammaGamma
from ltv.btyd.transactions import calibration_holdout, summary

__all__ = ["BGNBD", "GammaGamma", "ParetoNBD", "calibration_holdout", "summary"]
