"""Metrics against definitions written anew, slow second ways, and closed forms."""

from __future__ import annotations

import itertools
import json
import pickle
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

import ltv
from ltv import _ltv, metrics
from ltv.errors import InputError, LtvError, MetricError

# --- the definitions of google/lifetime_value, written anew ---


def their_cumulative_true(y_true, y_pred, order=None):
    """Share of the labels by descending prediction; `order` says how ties are broken."""
    order = np.argsort(-np.asarray(y_pred, float), kind="stable") if order is None else order
    labels = np.asarray(y_true, float)[order]
    running = list(itertools.accumulate(map(Fraction, labels)))
    return np.array([held / running[-1] for held in running], float)


def their_gini(chart):
    return 2.0 * float(sum(map(Fraction, chart)) / len(chart)) - 1.0


def their_decile_stats(y_true, y_pred):
    pd = pytest.importorskip("pandas", reason="the definition cuts with pandas.qcut")
    y_true, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    part = np.asarray(pd.qcut(y_pred, q=10, labels=False))
    rows = {}
    for k in np.unique(part):
        y, p = y_true[part == k], y_pred[part == k]
        label, prediction = y.mean(), p.mean()
        rows[str(k)] = {
            "label_mean": label,
            "pred_mean": prediction,
            "normalized_rmse": np.sqrt(np.mean(np.square(y - p))) / label,
            "normalized_mae": np.mean(np.abs(y - p)) / label,
            "decile_mape": np.abs(prediction - label) / label,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def orders_of_ties(y_pred):
    """All descending orders of the rows that differ in how ties are broken."""
    groups = [np.flatnonzero(np.asarray(y_pred) == value) for value in sorted(set(y_pred), reverse=True)]
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield np.array([row for part in parts for row in part])


def some_values(rng, rows, ties):
    """Labels with many zeros and a heavy tail, and predictions that know something of them."""
    y = np.round(rng.lognormal(1.0, 1.5, rows), 2) * (rng.random(rows) < 0.4)
    y[rng.integers(rows)] += 3.25
    p = y * rng.random(rows) + rng.gamma(0.5, size=rows)
    return y, np.round(p, 0) if ties else p


# --- the drop-in names ---


@pytest.mark.parametrize("rows", [1, 2, 7, 50, 333])
def test_cumulative_true_is_theirs_without_ties(rows):
    for seed in range(5):
        y, p = some_values(np.random.default_rng(seed), rows, ties=False)
        np.testing.assert_allclose(metrics.cumulative_true(y, p), their_cumulative_true(y, p), rtol=0, atol=1e-12)


def test_cumulative_true_keeps_twelve_digits_over_many_rows():
    rng = np.random.default_rng(3)
    y = rng.lognormal(0, 2, 300_000)
    p = rng.permutation(len(y)).astype(float)
    pd = pytest.importorskip("pandas", reason="the definition sums with pandas")
    frame = pd.DataFrame({"y": y, "p": p}).sort_values("p", ascending=False)
    theirs = (frame["y"].cumsum() / frame["y"].sum()).to_numpy()
    np.testing.assert_allclose(metrics.cumulative_true(y, p), theirs, rtol=0, atol=1e-12)


def test_cumulative_true_of_negative_values_is_theirs():
    rng = np.random.default_rng(4)
    y, p = rng.normal(1, 2, 60), rng.normal(0, 1, 60)
    np.testing.assert_allclose(metrics.cumulative_true(y, p), their_cumulative_true(y, p), rtol=0, atol=1e-12)


def test_with_ties_the_chart_and_its_gini_are_means_over_all_orders():
    pytest.importorskip("pandas", reason="gini_from_gain returns a data frame of pandas")
    rng = np.random.default_rng(5)
    some = 0
    for _ in range(25):
        rows = int(rng.integers(2, 8))
        y = rng.integers(0, 6, rows).astype(float)
        y[0] += 1
        p = rng.integers(0, 3, rows).astype(float)
        orders = list(orders_of_ties(p))
        charts = [their_cumulative_true(y, p, order) for order in orders]
        ideal = their_cumulative_true(y, y)
        ours = metrics.cumulative_true(y, p)
        np.testing.assert_allclose(ours, np.mean(charts, axis=0), rtol=0, atol=1e-12)
        found = metrics.gini_from_gain({"labels": metrics.cumulative_true(y, y), "model": ours})
        ginis = np.array([their_gini(chart) for chart in charts])
        assert found.loc["model", "raw"] == pytest.approx(ginis.mean(), abs=1e-12)
        assert found.loc["model", "normalized"] == pytest.approx((ginis / their_gini(ideal)).mean(), abs=1e-12)
        if len(set(y)) > 1:
            assert metrics.normalized_gini(y, p) == pytest.approx(found.loc["model", "normalized"], abs=1e-12)
        some += ginis.std() > 1e-6
    assert some > 10, "the orders must matter in enough cases"


def test_gini_from_gain_is_theirs():
    pd = pytest.importorskip("pandas", reason="it takes a data frame of pandas")
    rng = np.random.default_rng(6)
    y, p = some_values(rng, 200, ties=False)
    q = rng.random(200)
    charts = pd.DataFrame({name: metrics.cumulative_true(y, by) for name, by in {"label": y, "p": p, "q": q}.items()})
    found = metrics.gini_from_gain(charts)
    assert list(found.columns) == ["raw", "normalized"]
    assert list(found.index) == ["label", "p", "q"]
    raw = np.array([their_gini(charts[name]) for name in charts])
    np.testing.assert_allclose(found["raw"], raw, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["normalized"], raw / raw[0], rtol=0, atol=1e-12)
    pd.testing.assert_frame_equal(metrics.gini_from_gain(pa.table(charts)), found)
    # Columns may have numbers for names, as pandas gives them.
    assert list(metrics.gini_from_gain(charts.to_numpy()).index) == [0, 1, 2]


def test_gini_from_gain_says_what_is_wrong():
    pd = pytest.importorskip("pandas", reason="it takes a data frame of pandas")
    with pytest.raises(MetricError, match="no rows"):
        metrics.gini_from_gain(pd.DataFrame({"a": []}))
    with pytest.raises(MetricError, match="column 'b', row 1 .*not finite"):
        metrics.gini_from_gain({"a": [0.5, 1.0], "b": [0.5, np.nan]})
    with pytest.raises(MetricError, match="column 'a'.*Gini is 0"):
        metrics.gini_from_gain({"a": [0.0, 1.0], "b": [0.5, 1.0]})
    with pytest.raises(MetricError, match="not numbers"):
        metrics.gini_from_gain({"a": ["x", "y"]})


@pytest.mark.parametrize("rows", [*range(2, 45), 100, 101, 999])
def test_decile_stats_is_theirs_without_ties(rows):
    pd = pytest.importorskip("pandas", reason="decile_stats returns a data frame of pandas")
    for seed in range(3):
        y, p = some_values(np.random.default_rng(seed), rows, ties=False)
        y += 0.125
        found, theirs = metrics.decile_stats(y, p), their_decile_stats(y, p)
        assert list(found.columns) == list(theirs.columns)
        assert found.index.name == "decile"
        assert list(found.index) == list(theirs.index)
        assert isinstance(found.index, pd.CategoricalIndex)
        np.testing.assert_allclose(found.to_numpy(), theirs.to_numpy(), rtol=1e-12, atol=1e-12)
        # The order of rows does not matter.
        mixed = np.random.default_rng(seed).permutation(rows)
        np.testing.assert_allclose(metrics.decile_stats(y[mixed], p[mixed]), found, rtol=1e-12)


def test_decile_stats_with_zero_labels_divides_as_theirs_does():
    pytest.importorskip("pandas", reason="decile_stats returns a data frame of pandas")
    y, p = np.r_[np.zeros(10), np.ones(10)], np.arange(20.0)
    found = metrics.decile_stats(y, p)
    assert np.isinf(found.loc["0", "decile_mape"]) and np.isinf(found.loc["4", "normalized_rmse"])
    assert found.loc["9", "decile_mape"] == 17.5


def test_with_ties_the_means_of_tenths_are_means_over_all_orders():
    pytest.importorskip("pandas", reason="decile_stats returns a data frame of pandas")
    rng = np.random.default_rng(8)
    cut = 0
    for _ in range(12):
        rows = int(rng.integers(10, 15))
        y = rng.integers(1, 9, rows).astype(float)
        # Pairs and a triple of equal predictions, so that all orders can be tried.
        p = np.sort(rng.random(rows))
        p[1] = p[0]
        p[4] = p[5] = p[3]
        p[8] = p[7]
        p = rng.permutation(p)
        edges = [k * (rows - 1) // 10 + 1 for k in range(11)]
        edges[0] = 0
        sums = []
        for order in orders_of_ties(p):
            ascending = order[::-1]
            parts = [ascending[a:b] for a, b in zip(edges, edges[1:])]
            error = [(p[part] - y[part]) for part in parts]
            sums.append(
                [(y[part].mean(), p[part].mean(), np.mean(e**2), np.mean(abs(e))) for part, e in zip(parts, error)]
            )
        label, prediction, square, absolute = np.mean(sums, axis=0).T
        cut += np.std(sums, axis=0).max() > 0.1
        found = metrics.decile_stats(y, p)
        np.testing.assert_allclose(found["label_mean"], label, rtol=1e-12)
        np.testing.assert_allclose(found["pred_mean"], prediction, rtol=1e-12)
        np.testing.assert_allclose(found["normalized_rmse"], np.sqrt(square) / label, rtol=1e-12)
        np.testing.assert_allclose(found["normalized_mae"], absolute / label, rtol=1e-12)
        np.testing.assert_allclose(found["decile_mape"], abs(prediction - label) / label, rtol=1e-12)
    assert cut > 6, "edges must cut through ties in enough cases"


def test_decile_stats_where_their_edges_coincide():
    pd = pytest.importorskip("pandas", reason="decile_stats returns a data frame of pandas")
    y, p = np.arange(1.0, 41.0), np.r_[np.zeros(30), np.arange(1.0, 11.0)]
    with pytest.raises(ValueError, match="unique"):
        pd.qcut(p, q=10)
    found = metrics.decile_stats(y, p)
    np.testing.assert_allclose(found["label_mean"].iloc[:7], np.arange(1.0, 31.0).mean())
    assert found.loc["9", "label_mean"] == 38.5


def test_tenths_of_reports_cut_at_the_same_places_of_most_sizes():
    """What the documentation of decile_stats says of the two tables."""
    for rows in range(10, 400):
        theirs = [k * (rows - 1) // 10 + 1 for k in range(1, 10)]
        ours = sorted(rows - d * rows // 10 for d in range(1, 10))
        if rows % 10 in (0, 1):
            assert theirs == ours
        assert max(abs(a - b) for a, b in zip(theirs, ours)) <= 1
    assert [k * 11 // 10 + 1 for k in range(1, 10)] != sorted(12 - d * 12 // 10 for d in range(1, 10))


@pytest.mark.parametrize("function", [metrics.cumulative_true, metrics.decile_stats])
def test_drop_ins_refuse_what_they_cannot_use(function):
    pytest.importorskip("pandas", reason="decile_stats returns a data frame of pandas")
    with pytest.raises(MetricError, match="y_true, row 1 .*label is not yet known"):
        function([1.0, np.nan], [1, 2])
    with pytest.raises(MetricError, match="y_pred, row 0"):
        function([1.0, 2.0], [np.inf, 2])
    with pytest.raises(MetricError, match="no rows"):
        function([], [])
    with pytest.raises(MetricError, match="2 rows, y_pred 1"):
        function([1, 2], [1])
    with pytest.raises(InputError, match="y_true: not numbers"):
        function(["a", "b"], [1, 2])


def test_a_chart_of_nothing_is_refused():
    with pytest.raises(MetricError, match="sums to zero"):
        metrics.cumulative_true([0, 0], [1, 2])


# --- our own, against NumPy ---


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
    assert set(metrics._REASONS) == source | {"overflow"}
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


# --- evaluate ---


def three_sets(rows=120, horizons=2, seed=1):
    rng = np.random.default_rng(seed)
    y = np.cumsum(rng.gamma(0.3, 10, (rows, horizons)) * (rng.random((rows, horizons)) < 0.5), axis=1)
    return y, {"noisy": y * rng.random(y.shape) + 0.5, "mean": np.broadcast_to(y.mean(axis=0), y.shape)}


def test_evaluate_agrees_with_score_at_each_horizon():
    pytest.importorskip("pandas", reason="to_frame returns a data frame of pandas")
    y, sets = three_sets()
    y[:7, 1] = np.nan
    found = metrics.evaluate(y, sets, [30, 90], bootstrap=0)
    assert found.horizons == [30, 90] and found.sets == ["noisy", "mean"]
    frame = found.to_frame()
    assert list(frame.columns) == ["horizon", "set", "metric", "value", "low", "high"]
    assert len(frame) == 2 * 2 * len(metrics.METRICS)
    assert frame["low"].isna().all() and frame["high"].isna().all()
    for (days, name), part in frame.groupby(["horizon", "set"]):
        t = [30, 90].index(days)
        expected = metrics.score(y[:, t], sets[name][:, t])
        assert dict(zip(part["metric"], part["value"])) == pytest.approx(expected, nan_ok=True)
    assert found.document["results"][1]["immature"] == 7
    assert found.differences().empty and list(found.differences().columns) == list(frame.columns)


def test_evaluate_takes_tables_and_one_set():
    y, sets = three_sets()
    expected = metrics.evaluate(y, {"predictions": sets["noisy"]}, [30, 90], bootstrap=0).document
    columns = {"ltv_90": y[:, 1], "user_id": np.arange(len(y)), "ltv_30": y[:, 0]}
    other = {"ltv_30": sets["noisy"][:, 0], "ltv_90": sets["noisy"][:, 1]}
    assert metrics.evaluate(pa.table(columns), pa.table(other), bootstrap=0).document == expected
    assert metrics.evaluate(columns, sets["noisy"], bootstrap=0).document == expected
    for name in ("pandas", "polars"):
        try:
            library = __import__(name)
        except ImportError:
            continue
        frame = library.DataFrame(columns)
        assert metrics.evaluate(frame, library.DataFrame(other), bootstrap=0).document == expected
        assert metrics.evaluate(frame, {"predictions": sets["noisy"]}, bootstrap=0).document == expected
        # Columns of other names count in their order.
        named = library.DataFrame({"a": other["ltv_30"], "b": other["ltv_90"]})
        assert metrics.evaluate(frame, named, bootstrap=0).document == expected
    long = metrics.evaluate(pa.table(columns), pa.table(other), [90], bootstrap=0).document
    assert long["results"][0] == expected["results"][1]
    alone = metrics.evaluate(y[:, 0], sets["noisy"][:, 0], bootstrap=0).document
    assert alone["horizons"] == [365]
    assert alone["results"][0]["overall"] == expected["results"][0]["overall"]


def test_intervals_hold_the_value_and_repeat_with_the_seed():
    pytest.importorskip("pandas", reason="to_frame returns a data frame of pandas")
    y, sets = three_sets()
    frame = metrics.evaluate(y, sets, [30, 90], bootstrap=40, seed=3).to_frame()
    known = frame[frame["low"].notna()]
    assert len(known) > len(frame) / 2
    assert (known["low"] <= known["high"]).all()
    inside = (known["low"] <= known["value"]) & (known["value"] <= known["high"])
    assert inside.mean() > 0.9
    again = metrics.evaluate(y, sets, [30, 90], bootstrap=40, seed=3).to_frame()
    assert again.equals(frame)
    assert not metrics.evaluate(y, sets, [30, 90], bootstrap=40, seed=4).to_frame().equals(frame)


def test_the_interval_of_the_bias_is_as_wide_as_theory_says():
    """The bias is a mean: its interval is about the mean, 1.96 standard errors either side."""
    pytest.importorskip("pandas", reason="to_frame returns a data frame of pandas")
    rng = np.random.default_rng(5)
    y = rng.gamma(4, size=2000)
    frame = metrics.evaluate(y, y + rng.normal(3, 1, 2000).clip(0), bootstrap=400).to_frame().set_index("metric")
    width = frame.loc["Bias", "high"] - frame.loc["Bias", "low"]
    assert width == pytest.approx(2 * 1.96 * frame.loc["BiasSE", "value"], rel=0.15)


def test_differences_are_to_the_reference():
    pytest.importorskip("pandas", reason="differences returns a data frame of pandas")
    y, sets = three_sets()
    found = metrics.evaluate(y, sets, [30, 90], bootstrap=20, reference="mean")
    values = found.to_frame().set_index(["horizon", "set", "metric"])["value"]
    differences = found.differences()
    assert set(differences["set"]) == {"noisy"}
    for row in differences.itertuples():
        expected = values[row.horizon, "noisy", row.metric] - values[row.horizon, "mean", row.metric]
        assert row.value == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_segments_are_measured_by_themselves():
    pd = pytest.importorskip("pandas", reason="by_segment returns a data frame of pandas")
    y, sets = three_sets(rows=180)
    country = ["de"] * 70 + ["fr"] * 60 + [None] * 50
    found = metrics.evaluate(y, sets, [30, 90], bootstrap=0, segments={"country": country}).by_segment()
    assert set(found["label"]) == {"de", "fr", "(none)"}
    mean = found[(found["horizon"] == 90) & (found["set"] == "noisy") & (found["label"] == "fr")]
    expected = metrics.score(y[70:130, 1], sets["noisy"][70:130, 1])
    assert dict(zip(mean["metric"], mean["value"])) == pytest.approx(expected, nan_ok=True)
    tables = [
        pd.DataFrame({"country": pd.Categorical(country)}),
        pd.DataFrame({"country": pd.Series(country, dtype="string")}),
        pa.table({"country": country}),
    ]
    try:
        import polars as pl
    except ImportError:
        pass
    else:
        tables += [pl.DataFrame({"country": country}), {"country": pl.Series(country)}]
    for table in tables:
        assert metrics.evaluate(y, sets, [30, 90], bootstrap=0, segments=table).by_segment().equals(found)
    # Numbers are text too; fewer than 50 rows are not measured.
    plan = np.r_[np.ones(175, int), np.zeros(5, int)]
    few = metrics.evaluate(y, sets, [30, 90], bootstrap=0, segments={"plan": plan})
    assert set(few.by_segment()["label"]) == {"1"}


def test_deciles_of_an_evaluation():
    pytest.importorskip("pandas", reason="deciles returns a data frame of pandas")
    y = np.arange(1.0, 21.0)
    table = metrics.evaluate(y, 2 * y, [30], bootstrap=0).deciles()
    assert table["decile"].tolist() == list(range(1, 11))
    assert table["mean_label"].tolist() == [19.5 - 2 * k for k in range(10)]
    assert (table["ratio"] == 2.0).all()


def test_an_evaluation_shows_itself():
    y, sets = three_sets()
    y[:3, 0] = np.nan
    found = metrics.evaluate(y, {"<b>": sets["noisy"], "mean": sets["mean"]}, [30, 90], bootstrap=20)
    text, page = repr(found), found._repr_html_()
    value = metrics.normalized_gini(y[:, 0], sets["noisy"][:, 0])
    for shown in (text, page):
        assert "30 days: 117 rows" in shown and "3 not yet known" in shown
        assert f"{value:.4g}" in shown and "20 resamples" in shown
        # All predictions of the mean are equal: it has no rank correlation.
        assert "none" in shown
    assert "<b>" in text and "<b>" not in page and "&lt;b&gt;" in page
    lines = text.splitlines()
    assert len(lines) > 30 and all(line == line.rstrip() for line in lines)
    assert json.loads(json.dumps(found.document)) == found.document
    assert pickle.loads(pickle.dumps(found)).document == found.document


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"horizons": None}, "say which days"),
        ({"horizons": [30]}, "2 columns for 1 horizons"),
        ({"horizons": [90, 30]}, "ascending order"),
        ({"horizons": [0, 30]}, "at least 1"),
        ({"horizons": ["a", "b"]}, "no days"),
        ({"predictions": {}}, "nothing to evaluate"),
        ({"predictions": {"a": np.ones((120, 1))}}, "predictions 'a': shape"),
        ({"predictions": {"a": np.full((120, 2), np.nan)}}, "predictions 'a', column 'ltv_30', row 0"),
        ({"predictions": pa.table({"ltv_30": np.ones(120)})}, "no column 'ltv_90'"),
        ({"predictions": "file.parquet"}, "not numbers"),
        ({"predictions": {"a": np.ones((2, 2, 2))}}, "shape"),
        ({"y_true": {"a": [1]}}, "no column ltv_<N>"),
        ({"y_true": {"ltv_30": [1], "ltv_90": [1, 2]}}, "different lengths"),
        ({"y_true": np.full((120, 2), -1.0)}, "y_true, column 'ltv_30', row 0"),
        ({"bootstrap": -1}, "bootstrap"),
        ({"bootstrap": 5}, "use 20 to"),
        ({"bootstrap": 2**40}, "bootstrap"),
        ({"bootstrap": 2.5}, "bootstrap: 2.5"),
        ({"seed": -1}, "seed"),
        ({"seed": "a"}, "seed: 'a'"),
        ({"reference": "nobody"}, "reference 'nobody'"),
        ({"segments": [1, 2]}, "segments"),
        ({"segments": {"a": ["x"]}}, "1 values for 120 rows"),
        ({"segments": {"a": [[1]] * 120}}, "cannot be made text"),
    ],
)
def test_evaluate_says_what_is_wrong(change, match):
    y, sets = three_sets()
    given = {"y_true": y, "predictions": sets, "horizons": [30, 90], "bootstrap": 0, **change}
    with pytest.raises(InputError, match=match):
        metrics.evaluate(**given)


def test_a_dataset_is_a_table_of_labels(dataset, odmn):
    pytest.importorskip("pandas", reason="to_frame returns a data frame of pandas")
    p = odmn.predict(dataset)
    found = metrics.evaluate(dataset, {"odmn": p}, bootstrap=0)
    labels = dataset.to_pandas(["ltv_30", "ltv_90"])
    assert found.horizons == [30, 90]
    assert found.document == metrics.evaluate(labels, {"odmn": p}, bootstrap=0).document
    assert labels["ltv_90"].isna().any()
    frame = found.to_frame().set_index(["horizon", "metric"])["value"]
    known = labels["ltv_90"].notna().to_numpy()
    expected = metrics.normalized_gini(labels["ltv_90"][known], p[known, 1])
    assert frame[90, "NormGini"] == pytest.approx(expected, rel=1e-12)


def test_what_the_program_evaluates_reads_the_same(dataset, odmn):
    pytest.importorskip("pandas", reason="to_frame returns a data frame of pandas")
    found = ltv.evaluate(odmn, dataset, part="all", bootstrap=20, verbose=False)
    assert isinstance(found, metrics.Evaluation)
    ours = metrics.evaluate(dataset, {found.sets[0]: odmn.predict(dataset)}, bootstrap=0)
    theirs = found.to_frame()
    theirs = theirs[theirs["set"] == found.sets[0]]
    np.testing.assert_allclose(ours.to_frame()["value"], theirs["value"], rtol=1e-9)
    assert "90 days" in repr(found) and "<table>" in found._repr_html_()


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


# --- scikit-learn ---


def test_scorers_are_greater_when_better():
    from sklearn.dummy import DummyRegressor

    rng = np.random.default_rng(1)
    y, p = some_values(rng, 100, ties=False)

    class Known(DummyRegressor):
        def predict(self, X):
            return X[:, 0]

    model, X = Known().fit(p[:, None], y), p[:, None]
    found = metrics.score(y, p)
    expected = {
        **{name: -found[name] for name in ("NRMSE", "NMAE", "AMBE", "DecileMAPE", "MutualGini")},
        **{name: found[name] for name in ("NormGini", "Spearman", "AUC", "Capture1", "Capture10", "Capture20")},
        "Bias": -abs(found["Bias"]),
        "CalibrationRatio": -abs(found["CalibrationRatio"] - 1),
        "PredGini": -abs(found["PredGini"] - found["LabelGini"]),
    }
    for name, value in expected.items():
        assert metrics.scorer(name)(model, X, y) == pytest.approx(value, rel=1e-12), name
        assert metrics.scorer(name)(model, y[:, None], y) >= metrics.scorer(name)(model, X, y) - 1e-12
    for name in ("BiasSE", "LabelGini", "IdealCapture1", "r2"):
        with pytest.raises(MetricError, match="choose one of"):
            metrics.scorer(name)
    again = pickle.loads(pickle.dumps(metrics.scorer("NormGini")))
    assert again(model, X, y) == found["NormGini"]


def test_scorers_in_cross_validation_with_several_horizons_and_unknown_labels():
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import KFold, cross_val_score

    class Known(LinearRegression):
        """Fits known rows only, predicts values."""

        def fit(self, X, y):
            known = ~np.isnan(np.asarray(y)).any(axis=1)
            return super().fit(np.asarray(X)[known], np.asarray(y)[known])

        def predict(self, X):
            return super().predict(X).clip(0)

    rng = np.random.default_rng(2)
    X = rng.gamma(1.0, size=(150, 3))
    y = np.column_stack([X[:, 0] * rng.poisson(1.0, 150), 2 * X[:, 1] * rng.poisson(2.0, 150)])
    y[::10, 1] = np.nan
    cuts = KFold(3)
    found = cross_val_score(Known(), X, y, cv=cuts, scoring=metrics.scorer("NormGini"))
    for value, (train, test) in zip(found, cuts.split(X)):
        p = Known().fit(X[train], y[train]).predict(X[test])
        known = ~np.isnan(y[test, 1])
        each = [metrics.normalized_gini(y[test, 0], p[:, 0]), metrics.normalized_gini(y[test][known, 1], p[known, 1])]
        assert value == pytest.approx(np.mean(each), rel=1e-12)
    pd = pytest.importorskip("pandas", reason="labels as a data frame of pandas")
    frame = pd.DataFrame(y, columns=["ltv_30", "ltv_90"])
    again = cross_val_score(Known(), X, frame, cv=cuts, scoring=metrics.scorer("NormGini"))
    np.testing.assert_allclose(again, found)


def test_a_scorer_without_a_value_raises_and_cross_validation_goes_on():
    from sklearn.dummy import DummyRegressor
    from sklearn.model_selection import cross_val_score

    X, y = np.ones((30, 1)), np.tile([0.0, 1.0], 15)
    model = DummyRegressor().fit(X, y)
    with pytest.raises(LtvError, match="Spearman has no value: all predictions are equal"):
        metrics.scorer("Spearman")(model, X, y)
    with pytest.warns(UserWarning, match="all predictions are equal"):
        found = cross_val_score(model, X, y, cv=2, scoring=metrics.scorer("Spearman"))
    assert np.isnan(found).all()
    with pytest.raises(MetricError, match="one for each horizon"):
        metrics._judged(np.ones((3, 2)), np.ones(3), metric="NMAE")
