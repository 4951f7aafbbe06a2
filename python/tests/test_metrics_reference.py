"""The names of google/lifetime_value against its definitions, written anew."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from cases import some_values
from ltv import metrics
from ltv.errors import InputError, MetricError


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
