"""Everything at once, and scorers for scikit-learn, against metrics one by one."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

import ltv
from cases import some_values
from ltv import metrics
from ltv.errors import InputError, LtvError, MetricError

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
        metrics.scorer("NMAE")(DummyRegressor().fit(X, y), X[:3], np.ones((3, 2)))
