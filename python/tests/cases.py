"""Values, customers and models that several test files share."""

from __future__ import annotations

import math

import numpy as np

from ltv import btyd

# --- metrics ---


def some_values(rng, rows, ties):
    """Labels with many zeros and a heavy tail, and predictions that know something of them."""
    y = np.round(rng.lognormal(1.0, 1.5, rows), 2) * (rng.random(rows) < 0.4)
    y[rng.integers(rows)] += 3.25
    p = y * rng.random(rows) + rng.gamma(0.5, size=rows)
    return y, np.round(p, 0) if ties else p


# --- buy till you die ---


BG = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
PARETO = {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}
GAMMA = {"p": 6.25, "q": 3.74, "v": 15.44}
COUNTS = [(btyd.BGNBD, BG), (btyd.ParetoNBD, PARETO)]
CUSTOMERS = {
    "frequency": [2, 0, 1, 7, 0, 3],
    "recency": [30.0, 0.0, 2.0, 37.0, 0.0, 9.0],
    "T": [39.0, 39.0, 38.0, 38.0, 37.0, 37.0],
}


def simulated(model, customers=4000, seed=1):
    """Histories drawn from the model's own story, purchase by purchase."""
    rng = np.random.default_rng(seed)
    frequency, recency = np.zeros(customers), np.zeros(customers)
    age = rng.integers(20, 60, size=customers).astype(float)
    p = model.params_
    rate = rng.gamma(p["r"], 1 / p["alpha"], size=customers)
    for i in range(customers):
        if isinstance(model, btyd.BGNBD):
            leaving, end = rng.beta(p["a"], p["b"]), age[i]
        else:
            leaving, end = 0.0, min(age[i], rng.exponential(1 / rng.gamma(p["s"], 1 / p["beta"])))
        at = 0.0
        while True:
            at += rng.exponential(1 / rate[i]) if rate[i] > 0 else math.inf
            if at > end or at == recency[i]:
                break
            frequency[i] += 1
            recency[i] = at
            if rng.random() < leaving:
                break
    return {"frequency": frequency, "recency": recency, "T": age}


def random_histories(seed, customers=60):
    rng = np.random.default_rng(seed)
    x = rng.poisson(rng.choice([0.3, 3, 30], size=customers)).astype(float)
    age = rng.uniform(1, 200, size=customers)
    recency = np.where(x > 0, age * rng.uniform(0.01, 1, size=customers), 0)
    return {"frequency": x, "recency": recency, "T": age}


def random_models(seed):
    rng = np.random.default_rng(seed)
    draw = lambda low, high: float(np.exp(rng.uniform(np.log(low), np.log(high))))  # noqa: E731
    bg = {"r": draw(0.1, 5), "alpha": draw(1, 50), "a": draw(0.1, 5), "b": draw(0.2, 10)}
    pareto = {"r": draw(0.1, 5), "alpha": draw(1, 50), "s": draw(0.1, 5), "beta": draw(1, 50)}
    return btyd.BGNBD.from_params(**bg), btyd.ParetoNBD.from_params(**pareto)
