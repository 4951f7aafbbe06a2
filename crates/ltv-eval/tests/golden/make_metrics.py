#!/usr/bin/env python3
"""Makes metrics.json: cases and their metrics, slowly and exactly, from the definitions.

    python3 make_metrics.py > metrics.json

Nothing but the standard library. Every number is a fraction until the last step, so that there is
no rounding to argue about; ties, curves and ranks are counted pair by pair. The definitions are
those in the documentation of `ltv_eval::Metric`.
"""

import json
import random
from fractions import Fraction
from math import isqrt

EPS = Fraction(1e-6)  # a horizon predicted lower by no more than this does not cross


def exact(values):
    return [Fraction(v) for v in values]


def root(x):
    """The square root of a fraction, to far more digits than a double has."""
    scale = 10**60
    return Fraction(isqrt(x.numerator * scale // x.denominator), 10**30)


def lorenz(x):
    """Share of the total held by the first 0, 1, ..., n, sorted descending."""
    total = sum(x)
    if total == 0:
        return None
    ordered = sorted(x, reverse=True)
    return [sum(ordered[:i]) / total for i in range(len(x) + 1)]


def area_between(a, b):
    """Integral over [0, 1] of |a - b|, both straight between i / n; crossings cut a piece in two."""
    area = Fraction(0)
    for i in range(len(a) - 1):
        left, right = a[i] - b[i], a[i + 1] - b[i + 1]
        if left * right < 0:
            cut = left / (left - right)
            area += abs(left) * cut / 2 + abs(right) * (1 - cut) / 2
        else:
            area += (abs(left) + abs(right)) / 2
    return area / (len(a) - 1)


def gini(x):
    """Mean absolute difference of all pairs over twice the mean."""
    if sum(x) == 0:
        return None
    return sum(abs(a - b) for a in x for b in x) / (2 * len(x) * sum(x))


def gain(y, p):
    """Mean over i = 1..n of the share of y held by the i rows predicted highest: each row with its
    share of the first i places, a tie spread evenly over the places that it covers."""
    n, total = len(y), Fraction(0)
    for row in range(n):
        above = sum(q > p[row] for q in p)
        tied = sum(q == p[row] for q in p)
        shares = (min(max(Fraction(i - above, tied), 0), 1) for i in range(1, n + 1))
        total += y[row] * sum(shares)
    return total / sum(y) / n


def ranks(x):
    """Places among all, from 1, ties sharing the mean of theirs."""
    return [sum(b < a for b in x) + Fraction(sum(b == a for b in x) + 1, 2) for a in x]


def spearman(y, p):
    n = len(y)
    a, b = ranks(y), ranks(p)
    mean = Fraction(n + 1, 2)
    joint = sum((u - mean) * (v - mean) for u, v in zip(a, b))
    spread = sum((u - mean) ** 2 for u in a) * sum((v - mean) ** 2 for v in b)
    return joint / root(spread) if spread else None


def auc(y, p):
    """How often a row with value is predicted above one without, ties half, over all pairs."""
    positive = [q for v, q in zip(y, p) if v > 0]
    zero = [q for v, q in zip(y, p) if v == 0]
    if not positive or not zero:
        return None
    wins = sum(Fraction(2 * (a > b) + (a == b), 2) for a in positive for b in zero)
    return wins / (len(positive) * len(zero))


def metrics(labels, predictions):
    y, p = exact(labels), exact(predictions)
    n = len(y)
    mean = sum(y) / n
    errors = [b - a for a, b in zip(y, p)]
    bias = sum(errors) / n
    curves = lorenz(y), lorenz(p)
    return {
        "NRMSE": root(sum(e * e for e in errors) / n) / mean,
        "NMAE": sum(abs(e) for e in errors) / n / mean,
        "AMBE": abs(bias),
        "bias": bias,
        "BiasSE": root(sum((e - bias) ** 2 for e in errors) / n / n),
        "MutualGini": None if None in curves else area_between(*curves),
        "LabelGini": gini(y),
        "PredGini": gini(p),
        "NormGini": (2 * gain(y, p) - 1) / (2 * gain(y, y) - 1),
        "Spearman": spearman(y, p),
        "calibration": sum(p) / sum(y),
        "AUC": auc(y, p),
    }


def cases():
    rng = random.Random(20221017)
    draw = rng.random

    def revenue(n, share):
        return [round(rng.lognormvariate(2, 1.3), 2) if draw() < share else 0.0 for _ in range(n)]

    y = revenue(120, 0.3)
    p = [round(0.4 * v + rng.expovariate(1 / 4), 4) for v in y]
    yield "zero heavy revenue, continuous predictions", y, p

    y = [float(max(0, int(rng.gauss(-1, 3)))) for _ in range(150)]
    p = [float(min(5, max(0, int(v / 2 + rng.gauss(1, 1))))) for v in y]
    yield "counts, predictions with many ties", y, p

    y = [10.0] * 10 + [0.0] * 90
    p = [2.0] * 20 + [1.0] * 50 + [0.25] * 30
    rng.shuffle(p)
    yield "crossing curves, blocks of ties", y, p

    y = [round(rng.paretovariate(1.1), 3) for _ in range(101)]
    p = [round(v**0.6 * rng.uniform(0.5, 1.5), 4) for v in y]
    yield "heavy tail, crossing curves", y, p

    yield "three rows that cross", [3.0, 1.0, 0.0], [2.0, 2.0, 0.0]

    y = [float(rng.randrange(5)) for _ in range(60)]
    yield "constant predictions", y, [1.75] * 60

    y = [float(rng.randrange(5)) for _ in range(40)]
    yield "all zero predictions", y, [0.0] * 40

    y = [float(rng.randrange(12)) if draw() < 0.6 else 0.0 for _ in range(80)]
    p = y[:]
    rng.shuffle(p)
    yield "a permutation of the labels", y, p
    yield "perfect", y, y[:]

    y = sorted(float(rng.randrange(20)) for _ in range(30))
    yield "reversed order", y, y[::-1]

    y = [1e6 + round(draw(), 3) for _ in range(70)]
    p = [1e6 + round(draw() + 0.1, 3) for _ in range(70)]
    yield "large offset", y, p

    y = [float(rng.randrange(1, 8)) for _ in range(50)]
    p = [float(max(0, int(v + rng.gauss(-2, 2)))) for v in y]
    yield "positive labels only", y, p

    yield "two rows", [4.0, 1.0], [1.5, 1.5]


def order():
    """Fifty rows of four horizons, mostly rising; the first falls by less than anybody should mind."""
    rng = random.Random(7)
    rows = [[1.0, 0.9999995, 0.9999991, 0.999997]]
    while len(rows) < 50:
        row = [round(rng.expovariate(1), 3) for _ in range(4)]
        rows.append(row if rng.random() < 0.15 else sorted(row))
    falls = [[a - b > EPS for a, b in zip(exact(r), exact(r[1:]))] for r in rows]
    return {
        "horizons": 4,
        "predictions": [v for row in rows for v in row],
        "adjacent": [sum(column) / len(rows) for column in zip(*falls)],
        "any": sum(map(any, falls)) / len(rows),
    }


def case(name, y, p):
    found = {name: None if v is None else float(v) for name, v in metrics(y, p).items()}
    return {"name": name, "labels": y, "predictions": p, "metrics": found}


def main():
    lines = ",\n".join(json.dumps(case(*c)) for c in cases())
    print(f'{{"source": "make_metrics.py", "cases": [\n{lines}\n], "order": {json.dumps(order())}}}')


if __name__ == "__main__":
    main()
