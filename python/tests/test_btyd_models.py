"""Buy-till-you-die models against closed forms, integrals and what customers were drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special

from cases import BG, COUNTS, CUSTOMERS, GAMMA, PARETO, random_histories, random_models, simulated
from ltv import btyd


def test_where_lifetimes_has_no_number():
    """Closed forms where lifetimes 0.11.3 divides 0 by 0, or has the difference of two numbers that are the same."""
    # A last purchase on the last day: alive for certain, and the integral over times of leaving is empty, so that
    # the likelihood is (r)_x alpha^r beta^s / ((alpha+T)^(r+x) (beta+T)^s). lifetimes: nan.
    cases = [(PARETO, 300, 300), (PARETO, 1000, 365), ({"r": 50.0, "alpha": 1000.0, "s": 40.0, "beta": 1.0}, 3, 38)]
    for params, x, age in cases:
        model = btyd.ParetoNBD.from_params(**params)
        one = {"frequency": [x], "recency": [age], "T": [age]}
        r, alpha, s, beta = params.values()
        closed = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        closed -= (r + x) * np.log(alpha + age) + s * np.log(beta + age)
        assert model.score(one) == pytest.approx(closed, rel=1e-10)
        assert model.probability_alive(one)[0] == pytest.approx(1.0, abs=1e-9)
        ratio = ((beta + age) / (beta + age + 365)) ** (s - 1)
        ahead = (r + x) / (alpha + age) * (beta + age) / (s - 1) * (1 - ratio)
        assert model.expected_purchases(365, one)[0] == pytest.approx(ahead, rel=1e-9)
    # a = 1: 0 / 0 in the closed form of BG/NBD; a + b = 1 without repeats: a pole. Neither is one of the model.
    for at, near in (({"a": 1.0}, {"a": 1.0 + 1e-6}), ({"a": 0.4, "b": 0.6}, {"a": 0.4, "b": 0.6 + 1e-6})):
        here, beside = (btyd.BGNBD.from_params(**{**BG, **more}) for more in (at, near))
        found, almost = here.expected_purchases(39, CUSTOMERS), beside.expected_purchases(39, CUSTOMERS)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, almost, rtol=1e-5)
    # a + b < 1 without repeats: the closed form, whose hypergeometric function may be negative. lifetimes: nan, as it
    # takes the logarithm.
    negative = 0
    for a, b in ((0.12, 0.21), (0.3, 0.6), (0.5, 0.4)):
        r, alpha = BG["r"], BG["alpha"]
        for age, t in ((15.0, 50.0), (38.0, 39.0)):
            hyper = special.hyp2f1(r, b, a + b - 1, t / (alpha + age + t))
            negative += hyper < 0
            ahead = (a + b - 1) / (a - 1) * (1 - hyper * ((alpha + age) / (alpha + age + t)) ** r)
            found = btyd.BGNBD.from_params(r=r, alpha=alpha, a=a, b=b).expected_purchases(t, 0, 0, age)
            assert found == pytest.approx(ahead, rel=1e-9)
    assert negative >= 3
    # s = 1, likewise.
    here, beside = (btyd.ParetoNBD.from_params(**{**PARETO, "s": s}) for s in (1.0, 1.0 + 1e-7))
    found, almost = here.expected_purchases(39, CUSTOMERS), beside.expected_purchases(39, CUSTOMERS)
    np.testing.assert_allclose(found, almost, rtol=1e-5)


def test_expectations_by_quadrature():
    """Expected purchases and P(alive) by integrals over what a customer is like."""
    # Given lambda and p, BG/NBD: alive with weight (1-p)^x lambda^x e^(-lambda T), gone with p (1-p)^(x-1) lambda^x
    # e^(-lambda t_x); the expected purchases of one alive in t are (1 - e^(-lambda p t)) / p.
    r, alpha, a, b = BG.values()
    gamma_nodes, gamma_weights = np.polynomial.legendre.leggauss(200)
    # lambda over (0, 8), p over (0, 1), by substitutions that flatten the ends.
    lam = 8.0 * ((gamma_nodes + 1) / 2) ** 6
    lam_weight = gamma_weights / 2 * 6 * 8.0 * ((gamma_nodes + 1) / 2) ** 5
    u = (gamma_nodes + 1) / 2
    p = u**3 * (10 - 15 * u + 6 * u**2)
    p_weight = gamma_weights / 2 * 30 * u**2 * (1 - u) ** 2
    prior = np.outer(
        lam ** (r - 1) * np.exp(-alpha * lam) * lam_weight, p ** (a - 1) * (1 - p) ** (b - 1) * p_weight
    )
    lam, p = lam[:, None], p[None, :]
    model = btyd.BGNBD.from_params(**BG)
    for x, last, age in ((2, 30.0, 39.0), (7, 37.0, 38.0), (3, 9.0, 37.0), (0, 0.0, 20.0)):
        alive = prior * (1 - p) ** x * lam**x * np.exp(-lam * age)
        gone = prior * p * (1 - p) ** (x - 1) * lam**x * np.exp(-lam * last) if x else 0 * prior
        whole = (alive + gone).sum()
        assert model.probability_alive(x, last, age) == pytest.approx(alive.sum() / whole, rel=1e-6)
        ahead = (alive * -np.expm1(-lam * p * 26.0) / p).sum() / whole
        assert model.expected_purchases(26, x, last, age) == pytest.approx(ahead, rel=1e-6)


def test_likelihood_of_pareto_by_quadrature():
    # Over the time of leaving: s beta^s / (beta+y)^(s+1) alpha^r / (alpha+y)^(r+x) (r)_x.
    for seed in range(5):
        _, model = random_models(seed)
        table = random_histories(seed, customers=8)
        r, alpha, s, beta = model.params_.values()
        total = 0.0
        for x, last, age in zip(table["frequency"], table["recency"], table["T"]):
            # Times (alpha + t_x)^(r+x), so that nothing vanishes.
            since = lambda y: ((alpha + last) / (alpha + y)) ** (r + x)  # noqa: B023, E731
            gone = lambda y: s / (beta + y) * (beta / (beta + y)) ** s * since(y)  # noqa: B023, E731
            left = integrate.quad(gone, last, age, epsabs=0, epsrel=1e-11)[0]
            chance = left + (beta / (beta + age)) ** s * since(age)
            start = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + last)
            total += start + np.log(chance)
        assert model.score(table) == pytest.approx(total / 8, rel=1e-8)


def test_likelihood_of_spend_by_quadrature():
    # The mean of x purchases is Gamma(p x, rate x nu), and nu is Gamma(q, rate v).
    p, q, v = GAMMA.values()
    model = btyd.GammaGamma.from_params(**GAMMA)
    for x, mean in ((1, 12.0), (3, 40.0), (12, 31.5)):
        density = lambda nu: np.exp(  # noqa: E731
            p * x * np.log(x * nu) + (p * x - 1) * np.log(mean) - x * nu * mean - special.gammaln(p * x)  # noqa: B023
            + q * np.log(v) + (q - 1) * np.log(nu) - v * nu - special.gammaln(q)
        )
        found = integrate.quad(density, 0, 3, points=[p / mean], epsabs=0, epsrel=1e-11, limit=200)[0]
        assert model.score({"frequency": [x], "monetary_value": [mean]}) == pytest.approx(np.log(found), rel=1e-8)
        worth = integrate.quad(
            lambda nu: density(nu) * p / nu, 0, 3, points=[p / mean], epsabs=0, epsrel=1e-11, limit=200  # noqa: B023
        )
        assert model.expected_spend(x, mean) == pytest.approx(worth[0] / found, rel=1e-8)


def test_spend_fits_find_what_values_were_drawn_from():
    rng = np.random.default_rng(2)
    p, q, v = 5.0, 4.0, 20.0
    days = rng.integers(0, 12, size=5000)
    rate = rng.gamma(q, 1 / v, size=5000)
    means = rng.gamma(p * np.maximum(days, 1)) / np.maximum(days, 1) / rate
    means[days == 0] = 0
    means[days == 11] *= np.where(rng.random((days == 11).sum()) < 0.1, -1, 1)
    model = btyd.GammaGamma().fit(days, means)
    assert model.n_skipped_ == (means <= 0).sum() > (days == 0).sum()
    for name, value in {"p": p, "q": q, "v": v}.items():
        assert model.params_[name] == pytest.approx(value, rel=0.2), name
    truth = btyd.GammaGamma.from_params(p=p, q=q, v=v).score({"frequency": days, "monetary_value": means})
    assert 0 <= model.log_likelihood_ - truth * model.n_customers_ <= 10


@pytest.mark.parametrize("kind", [0, 1])
def test_fits_find_what_customers_were_drawn_from(kind):
    params = ({"r": 0.8, "alpha": 6.0, "a": 1.2, "b": 3.0}, {"r": 0.8, "alpha": 6.0, "s": 0.7, "beta": 8.0})[kind]
    truth = (btyd.BGNBD, btyd.ParetoNBD)[kind].from_params(**params)
    table = simulated(truth)
    found = type(truth)().fit(table)
    for name, value in params.items():
        assert found.params_[name] == pytest.approx(value, rel=0.25), name
    assert found.log_likelihood_ >= truth.score(table) * 4000
    # Two more than the truth's at most: half a chi-square of four parameters.
    assert found.log_likelihood_ <= truth.score(table) * 4000 + 12


@pytest.mark.parametrize(("kind", "params"), COUNTS)
def test_distributions_are_whole(kind, params):
    model = kind.from_params(**params, horizons=[4, 52, 300])
    found = model.predict_distribution(CUSTOMERS, at=np.arange(-1, 1500))
    assert found.cdf.shape == (6, 3, 1501)
    assert (found.cdf[:, :, 0] == 0).all()
    assert (np.diff(found.cdf, axis=2) >= 0).all()
    # The mean of a whole number is the sum of P(N > n).
    np.testing.assert_allclose(found.sf[:, :, 1:].sum(axis=2), model.predict(CUSTOMERS), rtol=1e-6)
    # Between whole numbers nothing happens, and repeats or order do not matter.
    again = model.predict_distribution(CUSTOMERS, at=[2.5, 0.5, 0.5])
    np.testing.assert_array_equal(again.at, [0.5, 2.5])
    np.testing.assert_array_equal(again.cdf, found.cdf[:, :, [1, 3]])
    if kind is btyd.BGNBD:
        r, alpha, _, _ = params.values()
        x, age = np.array(CUSTOMERS["frequency"]), np.array(CUSTOMERS["T"])
        nothing = 1 - model.probability_alive(CUSTOMERS) * (1 - ((alpha + age) / (alpha + age + 52)) ** (r + x))
        np.testing.assert_allclose(found.cdf[:, 1, 1], nothing, rtol=1e-10)


@pytest.mark.parametrize("kind", [0, 1])
def test_quantiles_invert_distributions(kind):
    levels = [0.01, 0.5, 0.9, 0.999, 0.3]
    for seed in range(4):
        model = random_models(seed)[kind].set_params(horizons=[5, 400])
        table = random_histories(seed, customers=12)
        found = model.predict_quantiles(table, levels)
        assert found.shape == (12, 2, 5)
        cdf = model.predict_distribution(table, at=np.arange(int(found.max()) + 1)).cdf
        reached = np.take_along_axis(cdf, found.astype(int), axis=2)
        assert (reached >= np.array(levels) - 1e-9).all()
        before = np.take_along_axis(cdf, np.maximum(found.astype(int) - 1, 0), axis=2)
        assert ((before < np.array(levels) + 1e-9) | (found == 0)).all()


def test_many_purchases_are_counted_to_the_end():
    # More than 64 purchases, where the first look ends, and more than 512, where the second does.
    table = {"frequency": [3000, 0], "recency": [364.0, 0.0], "T": [365.0, 365.0]}
    model = btyd.BGNBD.from_params(r=1.0, alpha=1.0, a=0.001, b=10.0, horizons=[365])
    low, high = model.predict_quantiles(table, [0.1, 0.9])[0, 0]
    mean = model.predict(table)[0]
    # About negative binomial: a rate of 3001 in 366 days, so a spread of some 77.
    assert 2700 < low < mean < high < 3200
    found = model.predict_distribution(table, at=[low - 1, low, 10_000]).cdf[0, 0]
    assert found[0] < 0.1 <= found[1]
    assert found[2] == pytest.approx(1)
    assert model.predict_quantiles(table, 0.5).shape == (2, 1, 1)


def test_lifetime_value_month_by_month():
    table = {**CUSTOMERS, "monetary_value": [20.0, 0.0, 35.0, 12.0, 0.0, 80.0]}
    counts, spend = btyd.ParetoNBD.from_params(**PARETO), btyd.GammaGamma.from_params(**GAMMA)
    worth = np.zeros(6)
    for month in (1, 2, 3):
        bought = counts.expected_purchases(4.345 * month, table) - counts.expected_purchases(4.345 * (month - 1), table)
        worth += bought * spend.predict(table) / 1.01**month
    found = spend.customer_lifetime_value(counts, table, months=3, freq="W")
    np.testing.assert_allclose(found, worth, rtol=1e-12)
    whole = spend.customer_lifetime_value(counts, table, months=3, discount_rate=0, freq="W")
    np.testing.assert_allclose(whole, counts.expected_purchases(3 * 4.345, table) * spend.predict(table), rtol=1e-12)


def test_spend_of_those_without_purchases_is_the_mean():
    model = btyd.GammaGamma.from_params(**GAMMA)
    p, q, v = GAMMA.values()
    assert model.expected_spend(0, 0) == pytest.approx(p * v / (q - 1), rel=1e-12)
    # Equation 5 of the paper.
    assert model.expected_spend(4, 50.0) == pytest.approx(p * (v + 4 * 50.0) / (p * 4 + q - 1), rel=1e-12)
