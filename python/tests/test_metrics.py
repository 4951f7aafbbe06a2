"""Our own metrics against definitions written anew, slow second ways, and closed forms."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from cases import some_values
from ltv import _ltv, metrics
from ltv.errors import InputError, MetricError
from ltv.metrics.values import REASONS

# --- slow ways ---


def slow_lorenz(values):
    """Points of the curve, sorted descending, as fractions."""
    total = sum(map(Fraction, values))
    points = [Fraction(0)]
    for value in sorted(map(Fraction, values), reverse=True):
        points.append(points[-1] + value / total)
    return points


def slow_mutual_gini(y, p):
    """Eq. 16 of the paper with crossings found one by one, in exact fractions."""
    gaps = [a - b for a, b in zip(slow_lorenz(y), slow_lorenz(p))]
    area = Fraction(0)
    for start, end in zip(gaps, gaps[1:]):
        if start * end < 0:
            crossing = start / (start - end)
            area += crossing * abs(start) / 2 + (1 - crossing) * abs(end) / 2
        else:
            area += (abs(start) + abs(end)) / 2
    return float(area / len(y))


def slow_ranks(values):
    return np.array([np.sum(values < x) + (np.sum(values == x) + 1) / 2 for x in values])


def slow_auc(y, p):
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in p[y > 0] for b in p[y == 0]]
    return np.mean(pairs)


def slow_capture(y, p, share):
    """Labels of the highest predictions, tied ones averaged, a part of a row as such."""
    averaged = np.array([y[p == x].mean() for x in p])[np.argsort(-p)]
    taken = np.clip(share * len(y) - np.arange(len(y)), 0, 1)
    return taken @ averaged / y.sum()


def slow_decile_mape(y, p):
    averaged, order = np.array([y[p == x].mean() for x in p]), np.argsort(-p, kind="stable")
    edges = [d * len(y) // 10 for d in range(11)]
    found = []
    for a, b in zip(edges, edges[1:]):
        if b > a and averaged[order[a:b]].mean() > 0:
            found.append(abs(p[order[a:b]].mean() / averaged[order[a:b]].mean() - 1))
    return np.mean(found)


def slow_score(y, p):
    e, n = p - y, len(y)
    area = lambda values: float(sum((a + b) / 2 for a, b in itertools.pairwise(slow_lorenz(values))) / n)  # noqa: E731
    gain = np.mean([np.sum([y[p == x].mean() for x in np.sort(p)[::-1][: i + 1]]) for i in range(n)]) / y.sum()
    ideal = np.mean(np.cumsum(np.sort(y)[::-1])) / y.sum()
    found = {
        "NRMSE": np.sqrt(np.mean(e**2)) / y.mean(),
        "NMAE": np.mean(abs(e)) / y.mean(),
        "AMBE": abs(e.mean()),
        "Bias": e.mean(),
        "BiasSE": e.std() / np.sqrt(n),
        "CalibrationRatio": p.sum() / y.sum(),
        "DecileMAPE": slow_decile_mape(y, p),
        "MutualGini": slow_mutual_gini(y, p),
        "NormGini": (2 * gain - 1) / (2 * ideal - 1),
        "Spearman": np.corrcoef(slow_ranks(y), slow_ranks(p))[0, 1],
        "AUC": slow_auc(y, p),
        "LabelGini": 2 * area(y) - 1,
        "PredGini": 2 * area(p) - 1,
    }
    for percent in (1, 5, 10, 20):
        found[f"Capture{percent}"] = slow_capture(y, p, percent / 100)
        found[f"IdealCapture{percent}"] = slow_capture(y, y, percent / 100)
    return found


# --- each of them ---


FUNCTIONS = {
    "NRMSE": metrics.normalized_rmse,
    "NMAE": metrics.normalized_mae,
    "AMBE": metrics.absolute_mean_bias_error,
    "Bias": metrics.bias,
    "CalibrationRatio": metrics.calibration_ratio,
    "DecileMAPE": metrics.decile_mape,
    "MutualGini": metrics.mutual_gini,
    "NormGini": metrics.normalized_gini,
    "Spearman": metrics.spearman,
    "AUC": metrics.auc,
    "LabelGini": metrics.label_gini,
    "PredGini": metrics.prediction_gini,
    **{f"Capture{k}": lambda y, p, k=k: metrics.top_capture(y, p, k / 100) for k in (1, 5, 10, 20)},
}


@pytest.mark.parametrize("ties", [False, True])
def test_every_metric_agrees_with_numpy(ties):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y, p = some_values(rng, int(rng.integers(8, 90)), ties)
        y[0], p[0], y[1] = 0.0, p[0] + 1, 5.0
        found = metrics.score(y, p)
        expected = slow_score(y, p)
        assert list(found) == list(metrics.METRICS) == list(_ltv.metrics(pa.array(y), pa.array(p)))
        assert set(expected) == set(found)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-10, abs=1e-12), name
        for name, function in FUNCTIONS.items():
            assert function(y, p) == found[name]
        # Nothing depends on the order of rows; a label not yet known does not count.
        mixed = rng.permutation(len(y))
        again = metrics.score(np.r_[y[mixed], np.nan], np.r_[p[mixed], 1e9])
        assert again == pytest.approx(found, rel=1e-12)


def test_mutual_gini_by_hand_and_its_blindness():
    # Two triangles of a crossing-free pair, and a pair that crosses between the second and third row.
    assert metrics.mutual_gini([3, 1, 0], [2, 2, 0]) == pytest.approx(0.25 / 3, abs=1e-15)
    assert metrics.mutual_gini([5, 2, 2, 1], [4, 4, 1, 1]) == pytest.approx(0.15 / 4, abs=1e-15)
    rng = np.random.default_rng(1)
    for _ in range(20):
        y, p = rng.gamma(0.3, size=40), rng.gamma(0.6, size=40)
        assert metrics.mutual_gini(y, rng.permutation(y)) == pytest.approx(0, abs=1e-15)
        assert metrics.mutual_gini(y, p) == pytest.approx(metrics.mutual_gini(7 * p, y), abs=1e-14)
        # The area between two curves is no less than the difference of the areas under them.
        gap = abs(metrics.label_gini(y) - metrics.prediction_gini(y, p)) / 2
        assert metrics.mutual_gini(y, p) >= gap - 1e-15


def test_rank_metrics_agree_with_scipy_and_scikit_learn():
    stats = pytest.importorskip("scipy.stats", reason="compared with scipy's spearmanr")
    from sklearn.metrics import roc_auc_score

    for seed in range(10):
        y, p = some_values(np.random.default_rng(seed), 400, ties=seed % 2 == 1)
        assert metrics.spearman(y, p) == pytest.approx(stats.spearmanr(y, p).statistic, abs=1e-12)
        assert metrics.auc(y, p) == pytest.approx(roc_auc_score(y > 0, p), abs=1e-12)


def test_top_capture_takes_any_share():
    rng = np.random.default_rng(2)
    for seed in range(6):
        y, p = some_values(rng, 57, ties=seed % 2 == 1)
        for share in (0.003, 0.01, 0.05, 0.1, 0.2, 0.37, 0.999, 1.0, 1, np.float32(0.5)):
            expected = slow_capture(y, p, float(share))
            assert metrics.top_capture(y, p, share) == pytest.approx(expected, abs=1e-12)
            held_out = metrics.top_capture(np.r_[np.nan, y], np.r_[99.0, p], share)
            assert held_out == pytest.approx(expected, abs=1e-12)
    for share in (0, -0.1, 1.01, np.nan, "a", None):
        with pytest.raises(MetricError, match="share"):
            metrics.top_capture([1, 2], [1, 2], share)


@pytest.mark.parametrize(
    ("y", "p", "names", "why"),
    [
        ([], [], set(FUNCTIONS), "no row has a known label"),
        ([np.nan, np.nan], [1, 2], set(FUNCTIONS), "no row has a known label"),
        (
            [0, 0],
            [1, 2],
            set(FUNCTIONS) - {"AMBE", "Bias", "PredGini", "Spearman", "AUC"},
            "the labels sum to zero",
        ),
        ([1, 2, 0], [0, 0, 0], {"MutualGini", "PredGini"}, "the predictions sum to zero"),
        ([2, 2], [1, 3], {"NormGini", "Spearman"}, "all labels are equal"),
        ([1, 2, 0], [1, 1, 1], {"Spearman"}, "all predictions are equal"),
        ([0, 0], [1, 2], {"AUC"}, "all zero or all positive"),
        ([1, 2], [1, 2], {"AUC"}, "all zero or all positive"),
        ([1e308, 1e308, 0], [1e308, 0, 1e308], {"NRMSE"}, "too large"),
    ],
)
def test_a_metric_without_a_value_says_why(y, p, names, why):
    found = metrics.score(y, p)
    for name in names:
        assert np.isnan(found[name])
        with pytest.raises(MetricError, match=f"(?s)has no value: .*{why}"):
            FUNCTIONS[name](y, p)
    if not any(np.isnan(y)) and y:
        for name in set(FUNCTIONS) - names:
            if not np.isnan(found[name]):
                assert FUNCTIONS[name](y, p) == found[name]


def test_every_reason_of_the_library_has_words():
    source = {"no_rows", "zero_labels", "zero_predictions", "constant_labels", "constant_predictions", "one_class"}
    assert set(REASONS) == source | {"overflow"}
    with pytest.raises(MetricError, match="no row"):
        metrics.top_capture([np.nan], [1], 0.37)
    with pytest.raises(MetricError, match="sum to zero"):
        metrics.top_capture([0.0], [1], 0.37)


@pytest.mark.parametrize("function", [metrics.score, *FUNCTIONS.values()])
def test_bad_input_is_named(function):
    with pytest.raises(MetricError, match=r"y_true, row 2 \(counted from 0\): -1 "):
        function([1, 2, -1], [1, 2, 3])
    with pytest.raises(MetricError, match="y_true, row 0 .*inf"):
        function([np.inf, 2], [1, 2])
    with pytest.raises(MetricError, match="y_pred, row 1 .*nan is no usable prediction"):
        function([1, 2], [1, np.nan])
    with pytest.raises(MetricError, match="y_pred, row 1 .*-3"):
        function([1, np.nan], [1, -3])
    with pytest.raises(MetricError, match="y_true has 2 rows, y_pred 3"):
        function([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="y_pred: not numbers"):
        function([1, 2], ["x", "y"])
    with pytest.raises(InputError, match="y_true: 2 dimensions"):
        function(np.ones((3, 2)), np.ones((3, 2)))


def test_columns_of_any_library_are_taken():
    y, p = [0.0, 2.0, None, 5.0], [1, 2, 3, 4]
    expected = metrics.score([0, 2, 5], [1, 2, 4])
    kinds = [(pa.array(y), pa.array(p)), (pa.chunked_array([y[:2], y[2:]]), np.float32(p)), (y, range(1, 5))]
    for name in ("pandas", "polars"):
        try:
            library = __import__(name)
        except ImportError:
            continue
        kinds.append((library.Series(y), library.Series(p)))
        kinds.append((library.DataFrame({"y": y}), library.DataFrame({"p": p})))
    try:
        import duckdb
    except ImportError:
        pass
    else:
        rows = duckdb.connect().sql("from (values (0.0, 1), (2.0, 2), (null, 3), (5.0, 4)) t(y, p)")
        kinds.append((rows.project("y"), rows.project("p")))
        with pytest.raises(MetricError, match="y_true: a table of 2 columns"):
            metrics.score(rows, p)
    kinds.append((pa.table({"y": y}), pa.table({"p": p})))
    for labels, predictions in kinds:
        assert metrics.score(labels, predictions) == expected


def test_ties_of_real_customers_are_means_over_random_orders(shared_data):
    """Purchases in the first half of cdnow predict spending in the second: few values, thousands of ties."""
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "cdnow.parquet", columns=["user_id", "timestamp", "value"])
    early = table["timestamp"].to_numpy() < np.datetime64("1997-10-01")
    users, at = np.unique(table["user_id"].to_numpy(), return_inverse=True)
    p = np.bincount(at[early], minlength=len(users)).astype(float)
    y = np.bincount(at[~early], weights=table["value"].to_numpy()[~early], minlength=len(users))
    assert len(set(p)) < 100 < len(users)
    rng, ideal = np.random.default_rng(1), np.cumsum(np.sort(y)[::-1]) / y.sum()
    ginis, charts = [], []
    for _ in range(100):
        order = np.lexsort((rng.random(len(y)), -p))
        charts.append((np.cumsum(y[order]) / y.sum())[::500])
        ginis.append((2 * np.mean(np.cumsum(y[order]) / y.sum()) - 1) / (2 * ideal.mean() - 1))
    error = np.std(ginis) / np.sqrt(len(ginis))
    assert 0 < error < 0.001
    assert abs(metrics.normalized_gini(y, p) - np.mean(ginis)) < 4 * error
    off = np.abs(metrics.cumulative_true(y, p)[::500] - np.mean(charts, axis=0))
    assert (off <= 5 * np.std(charts, axis=0) / np.sqrt(len(charts)) + 1e-12).all()
