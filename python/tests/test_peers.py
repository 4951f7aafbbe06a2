"""Estimators that are no networks, and judging models."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import ltv


@pytest.mark.parametrize("kind", [ltv.RFM, ltv.TrivialSort, ltv.TrainMean])
def test_simple_peers(kind, dataset: ltv.Dataset, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = kind(verbose=False).fit(dataset)
    predicted = model.predict(dataset)
    assert predicted.shape == (len(dataset), 2) and (predicted >= 0).all()
    path = tmp_path / "model.json"
    model.save(path)
    loaded = ltv.load(path)
    assert type(loaded) is kind
    for other in (loaded, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(dataset), predicted)
    with pytest.raises(ltv.ModelError, match="no distribution"):
        model.predict_distribution(dataset)


def test_the_mean_is_that_of_the_training_labels(dataset: ltv.Dataset) -> None:
    model = ltv.TrainMean(verbose=False, split={"validation": 0.001}).fit(dataset)
    labels = dataset.to_arrow().column("ltv_30").to_numpy()
    predicted = model.predict(dataset)[:, 0]
    assert np.ptp(predicted) == 0 and predicted[0] == pytest.approx(np.nanmean(labels), rel=0.02)


def test_cells_know_three_quantiles(dataset: ltv.Dataset) -> None:
    model = ltv.RFM(verbose=False).fit(dataset)
    quantiles = model.predict_quantiles(dataset)
    assert quantiles.shape == (len(dataset), 2, 3) and (np.diff(quantiles, axis=2) >= 0).all()
    only = model.predict_quantiles(dataset, levels=[0.9])
    np.testing.assert_array_equal(only[..., 0], quantiles[..., 2])
    with pytest.raises(ltv.InputError, match="0.25"):
        model.predict_quantiles(dataset, levels=[0.25])


def test_buy_till_you_die_reads_the_log(simulation: ltv.Simulation, dataset: ltv.Dataset) -> None:
    with pytest.raises(ltv.InputError, match="event log"):
        ltv.BuyTillYouDie(verbose=False).fit(dataset)
    model = ltv.BuyTillYouDie(verbose=False).fit(dataset, events=simulation.events)
    assert model.score(dataset) > 0.1


@pytest.mark.skipif(ltv.HAS_XGBOOST, reason="this build has XGBoost")
def test_boosting_says_what_it_needs(dataset: ltv.Dataset) -> None:
    with pytest.raises(ltv.ModelError, match="maturin build --release --features xgboost"):
        ltv.TwoStage(verbose=False).fit(dataset)


@pytest.mark.skipif(not ltv.HAS_XGBOOST, reason="this build has no XGBoost")
@pytest.mark.parametrize("kind", [ltv.TwoStage, ltv.XGBoost, ltv.Forest])
def test_boosted_peers(kind, dataset: ltv.Dataset, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = kind(verbose=False).fit(dataset)
    predicted = model.predict(dataset)
    assert predicted.shape == (len(dataset), 2) and model.score(dataset) > 0.5
    model.save(tmp_path / "model.json")
    for other in (ltv.load(tmp_path / "model.json"), pickle.loads(pickle.dumps(model))):
        assert type(other) is kind
        np.testing.assert_array_equal(other.predict(dataset), predicted)


def test_a_table_without_what_a_peer_reads(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    with pytest.raises(ltv.InputError, match="'recency'"):
        ltv.RFM(verbose=False).fit(X, y)


def test_distributions_quantiles_and_values_agree(odmn: ltv.ODMN, dataset: ltv.Dataset) -> None:
    quantiles = odmn.predict_quantiles(dataset, levels=[0.1, 0.5, 0.9, 0.99])
    table = odmn.predict_table(dataset)
    for t, days in enumerate([30, 90]):
        for q, name in enumerate(["p10", "p50", "p90"]):
            np.testing.assert_array_equal(quantiles[:, t, q], table.column(f"ltv_{days}_{name}").to_numpy())
    # No value is below 0, and beyond every edge there is none.
    distribution = odmn.predict_distribution(dataset)
    assert (np.diff(distribution.cdf, axis=2) >= -1e-12).all()
    np.testing.assert_allclose(distribution.cdf[..., -1], 1.0, atol=1e-6)
    np.testing.assert_allclose(distribution.mass.sum(axis=2), distribution.cdf[..., -1])
    # Chances of value are put in order across horizons, distributions are not.
    free = ltv.ODMN(epochs=1, monotone=False, verbose=False).fit(dataset)
    at_zero = free.predict_distribution(dataset, at=[0.0]).sf[..., 0]
    np.testing.assert_allclose(free.predict_positive(dataset), at_zero, atol=1e-12)
    with pytest.raises(ltv.InputError, match="not between 0 and 1"):
        odmn.predict_quantiles(dataset, levels=[1.5])
    with pytest.raises(ltv.InputError, match="finite values"):
        odmn.predict_distribution(dataset, at=[np.nan])


def test_decodings(odmn: ltv.ODMN, dataset: ltv.Dataset) -> None:
    other = copy.deepcopy(odmn).set_params(decoding="quantile:0.9")
    np.testing.assert_array_equal(other.predict(dataset), odmn.predict_quantiles(dataset, levels=[0.9])[..., 0])


def test_evaluation_and_report(odmn: ltv.ODMN, dataset: ltv.Dataset, tmp_path: Path) -> None:
    evaluation = ltv.evaluate(odmn, dataset, bootstrap=0, verbose=False)
    assert {r["horizon"] for r in evaluation.document["results"]} == {30, 90}
    page = tmp_path / "report.html"
    report = ltv.report(odmn, dataset, out=page, bootstrap=20, verbose=False)
    text = page.read_text()
    assert report.path == page and text.startswith("<!") and "http://" not in text.replace("http://www.w3.org", "")
    assert "iframe" in report._repr_html_()
    path = tmp_path / "model.ltv"
    odmn.save(path)
    again = ltv.evaluate(path, dataset.folders[0], bootstrap=0, verbose=False)
    assert again.document["results"] == evaluation.document["results"]


def test_chances_do_not_fall_across_horizons(odmn: ltv.ODMN, dataset: ltv.Dataset) -> None:
    sf = odmn.predict_distribution(dataset, at=[0.0, 1.0, 5.0]).sf
    assert (np.diff(sf, axis=1) >= -1e-12).all() and (np.diff(sf, axis=2) <= 1e-12).all()
    np.testing.assert_allclose(odmn.predict_positive(dataset), sf[..., 0], atol=1e-12)


def test_tables_of_own_features_are_judged(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    model = ltv.ODMN(epochs=1, verbose=False).fit(X, y)
    found = ltv.evaluate(model, X, y, bootstrap=0, verbose=False).document["results"][0]["overall"]["scores"]
    # Its means and its medians. No simple rule stands beside them: nothing says what users did in their first days.
    assert len(found) == 2
    with pytest.raises(ltv.InputError, match="part: a table has none"):
        ltv.evaluate(model, X, y, part="test")
    with pytest.raises(ltv.InputError, match="LinearRegression is no model"):
        from sklearn.linear_model import LinearRegression

        ltv.evaluate(LinearRegression(), X, y)


def test_a_table_is_judged_as_a_dataset_is(odmn: ltv.ODMN, dataset: ltv.Dataset) -> None:
    by_dataset = ltv.evaluate(odmn, dataset, part="all", bootstrap=0, verbose=False)
    by_table = ltv.evaluate(odmn, dataset.to_arrow(), bootstrap=0, verbose=False)
    one, other = (e.document["results"][0]["overall"] for e in (by_dataset, by_table))
    assert one == other
