"""The conventions of scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import ltv

#: Checks that do not apply, and why.
NOT_OURS = {
    "check_regressor_multioutput": "columns of y are horizons, in order: they are named by horizons=[...]",
}


def _quick(kind: type) -> object:
    return kind(epochs=8, verbose=False)


def _expected(estimator: object) -> dict[str, str]:
    if isinstance(estimator, ltv.LogNormalMixture):
        rounding = "a single row is computed in another order than a batch, in single precision: 1.5e-7 apart here"
        return NOT_OURS | {"check_methods_subset_invariance": rounding}
    return NOT_OURS


@parametrize_with_checks(
    [_quick(ltv.ODMN), _quick(ltv.ZILN), _quick(ltv.LogNormalMixture)], expected_failed_checks=_expected
)
def test_estimator_checks(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


def test_several_horizons_are_named(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    both = np.column_stack([y, 2 * y])
    with pytest.raises(ltv.InputError, match="which days they are of"):
        ltv.ODMN(epochs=1, verbose=False).fit(X, both)
    with pytest.raises(ltv.InputError, match="2 columns for 3 horizons"):
        ltv.ODMN([30, 90, 180], epochs=1, verbose=False).fit(X, both)
    model = ltv.ODMN([30, 90], epochs=1, verbose=False).fit(X, both)
    assert model.predict(X[:5]).shape == (5, 2)
    assert (np.diff(model.predict(X), axis=1) >= 0).all()


def test_a_pipeline_and_cross_validation(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    pipeline = make_pipeline(StandardScaler(), ltv.ODMN(epochs=3, verbose=False))
    scores = cross_val_score(pipeline, X, y, cv=3)
    # A label is a feature times noise: ordering by it is far better than chance.
    assert scores.shape == (3,) and scores.min() > 0.2
    squared = cross_val_score(pipeline, X, y, cv=3, scoring="r2")
    assert np.isfinite(squared).all()


def test_a_grid_of_options(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    grid = {"epochs": [1, 2], "options": [None, {"model": {"buckets": 5}}]}
    search = GridSearchCV(ltv.ODMN(verbose=False), grid, cv=2).fit(X, y)
    assert search.best_params_["epochs"] in (1, 2)
    assert len(search.cv_results_["params"]) == 4


def test_a_clone_is_as_new_and_a_pickle_is_as_fitted(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    model = ltv.ODMN(epochs=1, decoding="median", verbose=False).fit(X, y)
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    again = pickle.loads(pickle.dumps(model))
    assert again.model_id_ == model.model_id_
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.set_params(decoding="expectation").predict(X).mean() > model.predict(X).mean()


def test_the_same_seed_gives_the_same_model(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    one = ltv.ODMN(epochs=1, random_state=5, n_jobs=1, verbose=False).fit(X, y)
    other = ltv.ODMN(epochs=1, random_state=5, n_jobs=2, verbose=False).fit(X, y)
    third = ltv.ODMN(epochs=1, random_state=6, verbose=False).fit(X, y)
    assert one.model_id_ == other.model_id_ != third.model_id_


def test_the_score_orders_and_leaves_out_what_is_not_known(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    model = ltv.ODMN([30, 90], epochs=3, verbose=False)
    late = np.column_stack([y, np.where(np.arange(len(y)) % 2, np.nan, 2 * y)])
    model.fit(X, late)
    known = ~np.isnan(late[:, 1])
    each = [
        ltv.metrics.normalized_gini(y, model.predict(X)[:, 0]),
        ltv.metrics.normalized_gini(2 * y[known], model.predict(X)[known, 1]),
    ]
    assert model.score(X, late) == pytest.approx(np.mean(each), abs=1e-12)


def test_predictions_do_not_depend_on_the_batch(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    for kind in (ltv.ODMN, ltv.ZILN, ltv.LogNormalMixture):
        model = kind(epochs=1, verbose=False).fit(X, y)
        whole = model.predict(X)
        for rows in (2, 3, 64, 65, 127, 129, 257, 1025):
            np.testing.assert_array_equal(model.predict(X[7 : 7 + rows]), whole[7 : 7 + rows])
        # A single row takes a way of its own, to single precision.
        np.testing.assert_allclose(model.predict(X[7:8]), whole[7:8], rtol=1e-5)
