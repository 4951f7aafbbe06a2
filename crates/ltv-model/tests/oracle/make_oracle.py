"""Writes odmn.json: an independent, slow ODMN in NumPy (float64) with its losses and gradients.

Run: python3 make_oracle.py (needs numpy only). Gradients are complex-step derivatives, exact to
rounding, with every stopped gradient (the upstream distribution, the soft labels) held at its
value. Formulas: paper equations 2 to 14 and the design's open points; nothing here comes from the
Rust code. The case is made to be awkward: null labels, a sub-distribution of one single value, one
of one wide bucket, single-value buckets among wide ones, an empty sub-distribution in the batch, a
chain in paper or strict mode, calibration scales that are not one.
"""
import json
import pathlib

import numpy as np

RNG = np.random.default_rng(20260801)
ROWS, VOCAB, DIM, BOTTOM, TOWER, MONO = 11, [4, 3, 5], 3, [6, 5], 4, 3
NUMBERS = 2
BETA, GAMMA, ALPHA = 0.5, 0.25, 0.75
# horizons: list of sub-distributions: list of (left, width)
HORIZONS = [
    [[(0.0, 0.0)], [(1.0, 0.0), (2.0, 3.0), (6.0, 4.0)]],
    [[(0.0, 0.0), (1.0, 2.0)], [(4.0, 5.0)]],
    [[(0.0, 1.0), (1.5, 0.0), (2.0, 1.0)], [(3.5, 1.0), (5.0, 2.5)]],
]
SCALE = [1.0, 2.0, 1.7]  # training means; a pair is divided by its longer horizon's


def parameters(strict):
    p = {}

    def linear(name, k, n, gain=1.0):
        p[name + ".w"] = RNG.normal(size=(n, k)) * gain / np.sqrt(k)
        p[name + ".b"] = RNG.normal(size=n) * 0.2

    for i, v in enumerate(VOCAB):
        p[f"emb{i}"] = RNG.normal(size=(v, DIM))
    linear("l1", len(VOCAB) * DIM + NUMBERS, BOTTOM[0], 1.5)
    linear("l2", BOTTOM[0], BOTTOM[1], 1.5)
    upstream = None
    for t, segments in enumerate(HORIZONS):
        outputs = {"dct": len(segments), "dot": len(segments) - 1}
        units = {"dct": len(segments)}
        for k, buckets in enumerate(segments):
            m, r = len(buckets), sum(w > 0 for _, w in buckets)
            if m > 1:
                outputs[f"bct{k}"], outputs[f"bot{k}"] = m, m - 1
                units[f"bct{k}"] = m
            if r > 0:
                outputs[f"bbt{k}"] = r
        for name, n in outputs.items():
            linear(f"t{t}.{name}.1", BOTTOM[1], TOWER, 1.5)
            linear(f"t{t}.{name}.2", TOWER, n, 2.0)
        if upstream:
            for name, n in units.items():
                linear(f"t{t}.mono_{name}.1", upstream - strict, MONO)
                linear(f"t{t}.mono_{name}.2", MONO, n - strict)
        upstream = sum(len(b) for b in segments)
    return p


IDS = np.stack([RNG.integers(0, v, ROWS) for v in VOCAB], 1)
NUM = RNG.normal(size=(ROWS, NUMBERS))
SUB = np.full((ROWS, 3), -1)
BUCKET = np.zeros((ROWS, 3), int)
BIAS = np.zeros((ROWS, 3))
for t, segments in enumerate(HORIZONS):
    for r in range(ROWS):
        if t == 2 and r in (0, 4, 7):
            continue  # immature: null
        s = int(RNG.integers(0, 2)) if t != 1 else 0  # horizon 1: the second one stays empty
        b = int(RNG.integers(0, len(segments[s])))
        SUB[r, t], BUCKET[r, t] = s, b
        BIAS[r, t] = RNG.random() if segments[s][b][1] > 0 else 0.0


def relu(x):
    return np.where(x.real > 0, x, 0)


def log_softmax(z):
    z = z - z.real.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def softplus(z):
    return np.where(z.real > 0, z, 0) + np.log1p(np.exp(np.where(z.real > 0, -z, z)))


def masked(x, m):
    return (x * m).sum() / max(m.sum(), 1)


def soft_label(z):
    p = 1 / (1 + np.exp(-z.real))
    up = np.concatenate([np.ones((len(p), 1)), p], 1)
    down = np.concatenate([p, np.zeros((len(p), 1))], 1)
    c = np.maximum(up - down, 0)
    return c / c.sum(1, keepdims=True)


def forward(p, strict, frozen, terms=None):
    """The total; stopped gradients are read from `frozen`, or stored there when missing."""
    def hold(key, value):
        return frozen.setdefault(key, np.array(value.real))

    def affine(name, x):
        return x @ p[name + ".w"].T + p[name + ".b"]

    def tower(name, x):
        return affine(name + ".2", relu(affine(name + ".1", x)))

    def mono(name, o):
        x = o[:, ::-1].cumsum(1)[:, ::-1][:, 1:] if strict else o
        h = relu(x @ softplus(p[name + ".1.w"]).T + p[name + ".1.b"])
        y = h @ softplus(p[name + ".2.w"]).T + p[name + ".2.b"]
        if not strict:
            return y
        y = relu(y).cumsum(1)
        return np.concatenate([np.zeros((ROWS, 1)), y], 1)

    terms = {} if terms is None else terms
    total = 0

    def term(name, weight, value):
        nonlocal total
        terms[name] = value.real
        total = total + weight * value

    def classes(prefix, ce, ordinal, logits, label, weight):
        m = (label >= 0) * 1.0
        y = np.maximum(label, 0)
        ln = log_softmax(logits)
        term(f"{prefix}{ce}_ce", 1, masked(-ln[np.arange(ROWS), y], m))
        z = tower(f"{prefix}{ordinal}", v)
        hit = (y[:, None] > np.arange(z.shape[1])) * 1.0
        loss = (hit * softplus(-z) + (1 - hit) * softplus(z)).sum(1)
        term(f"{prefix}{ordinal}_ord", 1, masked(loss, m))
        c = hold(f"{prefix}{ordinal}", soft_label(z))
        term(f"{prefix}{ce}_dis", weight, masked(-(c * ln).sum(1), m))

    e = np.concatenate([p[f"emb{i}"][IDS[:, i]] for i in range(len(VOCAB))] + [NUM], 1)
    v = relu(affine("l2", relu(affine("l1", e))))
    o, expected = None, []
    for t, segments in enumerate(HORIZONS):
        prefix = f"t{t}."
        def logits(name):
            z = tower(prefix + name, v)
            return z if o is None else z + mono(f"{prefix}mono_{name}", hold(f"o{t}", o))
        dct = logits("dct")
        classes(prefix, "dct", "dot", dct, SUB[:, t], BETA)
        share = np.exp(log_softmax(dct))
        parts, value = [], 0
        for k, buckets in enumerate(segments):
            label = np.where(SUB[:, t] == k, BUCKET[:, t], -1)
            q = np.ones((ROWS, 1))
            if len(buckets) > 1:
                bct = logits(f"bct{k}")
                classes(prefix, f"bct{k}", f"bot{k}", bct, label, GAMMA)
                q = np.exp(log_softmax(bct))
            part = share[:, k:k + 1] * q
            slots = [i for i, (_, w) in enumerate(buckets) if w > 0]
            if slots:
                s = 1 / (1 + np.exp(-tower(f"{prefix}bbt{k}", v)))
                own = np.array([slots.index(max(y, 0)) if max(y, 0) in slots else 0 for y in label])
                wide = np.array([max(y, 0) in slots for y in label]) * 1.0
                error = (s[np.arange(ROWS), own] - BIAS[:, t]) ** 2 * wide
                term(f"{prefix}bbt{k}_mse", 1, masked(error, (label >= 0) * 1.0))
            for i, (left, width) in enumerate(buckets):
                bias = s[:, slots.index(i)] if width > 0 else 0.0
                value = value + part[:, i] * (left + bias * width)
            parts.append(part)
        o = np.concatenate(parts, 1)
        frozen.setdefault(f"out{t}", np.array(o.real))
        expected.append(value)
    cali = 0
    for t in range(len(HORIZONS) - 1):
        gap = expected[t] - expected[t + 1]
        cali = cali + (relu(gap)).mean() / SCALE[t + 1]
    term("cali", ALPHA, cali)
    return total, np.stack([x.real for x in expected], 1)


def case(strict):
    p = parameters(strict)
    frozen, terms = {}, {}
    total, expected = forward(p, strict, frozen, terms)
    gradients = {}
    for name, value in p.items():
        g = np.zeros(value.shape)
        for i in np.ndindex(value.shape):
            q = dict(p)
            q[name] = value.astype(complex)
            q[name][i] += 1e-30j
            g[i] = forward(q, strict, frozen)[0].imag / 1e-30
        gradients[name] = g
    assert terms["t1.bbt1_mse"] == 0 and terms["cali"] > 0
    shape = lambda d: {k: np.asarray(x).ravel().tolist() for k, x in d.items()}
    return dict(
        strict=strict, weights=shape(p), gradients=shape(gradients), total=float(total.real),
        terms={k: float(x) for k, x in terms.items()}, expected=expected.ravel().tolist(),
    )


if __name__ == "__main__":
    document = dict(
        rows=ROWS, vocabulary=VOCAB, embedding=DIM, bottom=BOTTOM, tower=TOWER, mono=MONO,
        numbers=NUMBERS, beta=BETA, gamma=GAMMA, alpha=ALPHA, horizons=HORIZONS, scale=SCALE,
        ids=IDS.ravel().tolist(), inputs=NUM.ravel().tolist(), segment=SUB.ravel().tolist(),
        bucket=BUCKET.ravel().tolist(), bias=BIAS.ravel().tolist(),
        cases=[case(False), case(True)],
    )
    path = pathlib.Path(__file__).with_name("odmn.json")
    path.write_text(json.dumps(document) + "\n")
    print(path, path.stat().st_size, [c["total"] for c in document["cases"]])
