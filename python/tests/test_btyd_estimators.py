"""Buy-till-you-die models as estimators: tables in, refusals, scikit-learn."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from cases import BG, COUNTS, CUSTOMERS, GAMMA, simulated
from ltv import btyd
from ltv.errors import DataError, InputError, ModelError


def test_tables_of_every_kind(tmp_path):
    import pyarrow
    import pyarrow.parquet

    model = btyd.BGNBD.from_params(**BG)
    expected = model.predict(CUSTOMERS)
    assert expected.shape == (6, 4)
    table = pyarrow.table(CUSTOMERS)
    pyarrow.parquet.write_table(table, tmp_path / "customers.parquet")
    # Whatever else lies in a folder is not read.
    (tmp_path / "manifest.json").write_text("{}")
    kinds = [
        {name: np.array(values) for name, values in CUSTOMERS.items()},
        table,
        table.to_batches()[0],
        table.to_reader(),
        tmp_path / "customers.parquet",
        str(tmp_path / "customers.parquet"),
        tmp_path,
    ]
    for name in ("pandas", "polars"):
        try:
            package = __import__(name)
        except ImportError:
            continue
        kinds += [package.DataFrame(CUSTOMERS)]
    try:
        import duckdb

        kinds += [duckdb.from_arrow(table)]
    except ImportError:
        pass
    for kind in kinds:
        np.testing.assert_array_equal(model.predict(kind), expected)


@pytest.mark.parametrize(("kind", "params"), COUNTS)
def test_columns_one_by_one(kind, params):
    columns = [np.array(CUSTOMERS[name]) for name in ("frequency", "recency", "T")]
    model = kind.from_params(**params)
    whole = kind(penalizer_coef=0.01).fit(CUSTOMERS)
    for way in (
        kind(penalizer_coef=0.01).fit(*columns),
        kind(penalizer_coef=0.01).fit(*map(list, columns)),
        kind(penalizer_coef=0.01).fit(frequency=columns[0], recency=columns[1], T=columns[2]),
        # What cross validation gives is not looked at.
        kind(penalizer_coef=0.01).fit(CUSTOMERS, [1, 2, 3, 4, 5, 6]),
    ):
        assert way.params_ == whole.params_
    alive = model.probability_alive(*columns)
    np.testing.assert_array_equal(alive, model.probability_alive(CUSTOMERS))
    np.testing.assert_array_equal(model.probability_alive(*(c.reshape(2, 3) for c in columns)), alive.reshape(2, 3))
    assert model.probability_alive(2, 30, 39) == alive[0]
    assert isinstance(model.probability_alive(2, 30, 39), float)
    assert model.probability_alive([1, 2], 5, 20).shape == (2,)
    assert model.expected_purchases(4, CUSTOMERS).shape == (6,)
    assert model.expected_purchases([4, 8], CUSTOMERS).shape == (6, 2)
    assert model.expected_purchases([4], 1, 5, 20).shape == (1,)
    assert isinstance(model.expected_purchases(4, 1, 5, 20), float)
    assert isinstance(model.expected_new(4), float)
    assert model.expected_new([4, 8]).shape == (2,)
    assert model.expected_purchases(0, 1, 5, 20) == 0
    assert model.set_params(horizons=7).predict(CUSTOMERS).shape == (6,)


def change(name, row, value):
    column = list(CUSTOMERS[name])
    column[row] = value
    return {**CUSTOMERS, name: column}


@pytest.mark.parametrize("kind", [btyd.BGNBD, btyd.ParetoNBD])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"frequency": [1], "T": [2]}, "no column 'recency'; its columns are frequency, T"),
        (change("recency", 2, math.nan), "'recency' is nan in row 3"),
        (change("T", 4, math.inf), "'T' is inf in row 5"),
        (change("T", 0, 20.0), "recency is 30, T 20 in row 1"),
        (change("frequency", 1, -1), "'frequency' is -1 in row 2"),
        (change("frequency", 3, 1.5), "'frequency' is 1.5 in row 4"),
        (change("recency", 3, -1), "'recency' is -1 in row 4"),
        (change("recency", 4, 3.0), "frequency is 0, recency 3 in row 5"),
        (change("recency", 5, 0.0), "frequency is 3, recency 0 in row 6"),
        (change("recency", 2, 0.0), "frequency is 1, recency 0 in row 3"),
        ({**CUSTOMERS, "T": [40.0, 40.0]}, "6, 6, 2 rows"),
        ({**CUSTOMERS, "T": ["long"] * 6}, "T: not numbers"),
        ({**CUSTOMERS, "T": np.array([40] * 6, dtype="timedelta64[D]")}, "is a time, no number"),
        (np.ones((6, 3)), "give a table with columns 'frequency', 'recency', 'T'"),
        (None, "given: nothing"),
    ],
)
def test_histories_that_are_refused(kind, table, message):
    with pytest.raises(InputError, match=message):
        kind().fit(table)
    params = dict(COUNTS)[kind]
    with pytest.raises(InputError):
        kind.from_params(**params).predict(table)
    with pytest.raises(InputError, match=message):
        kind.from_params(**params).probability_alive(table)


@pytest.mark.parametrize("kind", [btyd.BGNBD, btyd.ParetoNBD])
def test_what_cannot_be_fitted(kind):
    with pytest.raises(ModelError, match="no customers"):
        kind().fit([], [], [])
    with pytest.raises(ModelError, match="none of 2 customers has a repeat purchase"):
        kind().fit([0, 0], [0, 0], [30, 40])
    with pytest.raises(ModelError, match="no maximum"):
        kind().fit([1, 1], [2, 2], [3, 3])
    with pytest.raises(InputError, match="penalizer_coef: -1"):
        kind(penalizer_coef=-1).fit(CUSTOMERS)
    with pytest.raises(InputError, match="given: list"):
        kind().fit([1, 2], [3, 4])


@pytest.mark.parametrize(("kind", "params"), COUNTS)
def test_what_cannot_be_predicted(kind, params):
    model = kind.from_params(**params)
    with pytest.raises(InputError, match="t: -1"):
        model.expected_purchases(-1, CUSTOMERS)
    with pytest.raises(InputError, match="t: nan"):
        model.expected_new([1, math.nan])
    for levels in ([], [0.0], [1.0], [math.nan]):
        with pytest.raises(InputError, match="levels"):
            model.predict_quantiles(CUSTOMERS, levels)
    for at in ([], [math.inf]):
        with pytest.raises(InputError, match="at: give finite"):
            model.predict_distribution(CUSTOMERS, at)
    for horizons in ([], [30, 10], [0, 10], "soon"):
        with pytest.raises(InputError, match="horizons"):
            model.set_params(horizons=horizons).predict(CUSTOMERS)
    with pytest.raises(InputError, match="r: -1"):
        kind.from_params(**{**params, "r": -1})


def test_spend_that_is_refused():
    for table, message in (
        ({"frequency": [1]}, "no column 'monetary_value'"),
        ({"frequency": [1, 2], "monetary_value": [1.0, math.nan]}, "'monetary_value' is nan in row 2"),
        ({"frequency": [1, 2.5], "monetary_value": [1.0, 2.0]}, "'frequency' is 2.5 in row 2"),
        ({"frequency": [1, 2, 3], "monetary_value": [1.0, 2.0]}, "3, 2 rows"),
    ):
        with pytest.raises(InputError, match=message):
            btyd.GammaGamma().fit(table)
    with pytest.raises(ModelError, match="no customer has a purchase day of positive mean value"):
        btyd.GammaGamma().fit([0, 1, 2], [5.0, 0.0, -3.0])
    with pytest.raises(ModelError, match="no maximum"):
        btyd.GammaGamma().fit([1, 2, 3], [5.0, 5.0, 5.0])
    heavy = btyd.GammaGamma.from_params(p=6.0, q=0.9, v=15.0)
    with pytest.raises(ModelError, match="row 2"):
        heavy.predict({"frequency": [3, 0], "monetary_value": [20.0, 0.0]})
    counts, spend = btyd.BGNBD.from_params(**BG), btyd.GammaGamma.from_params(**GAMMA)
    table = {**CUSTOMERS, "monetary_value": [1.0] * 6}
    for options, message in (
        ({"months": 1.5}, "months"),
        ({"months": 0}, "months"),
        ({"freq": "Q"}, "freq"),
        ({"discount_rate": -1}, "discount_rate"),
    ):
        with pytest.raises(InputError, match=message):
            spend.customer_lifetime_value(counts, table, **options)
    with pytest.raises(InputError, match="no model of purchases"):
        spend.customer_lifetime_value(spend, table)
    with pytest.raises(DataError, match="no column 'monetary_value'"):
        spend.customer_lifetime_value(counts, CUSTOMERS)


def test_conventions_of_scikit_learn():
    spend = {"frequency": [2, 1, 0, 4, 3, 1], "monetary_value": [22.3, 11.8, 0.0, 45.0, 30.5, 60.0]}
    cases = [(btyd.BGNBD, CUSTOMERS), (btyd.ParetoNBD, CUSTOMERS), (btyd.GammaGamma, spend)]
    for kind, table in cases:
        model = kind(penalizer_coef=0.02)
        for use in (lambda: model.predict(table), lambda: model.score(table)):
            with pytest.raises(NotFittedError, match=kind.__name__):
                use()
        assert not model.__sklearn_is_fitted__()
        assert model.fit(table) is model
        assert model.__sklearn_is_fitted__()
        assert model.get_params()["penalizer_coef"] == 0.02
        copy = clone(model)
        assert not copy.__sklearn_is_fitted__()
        assert copy.fit(table).params_ == model.params_
        again = pickle.loads(pickle.dumps(model))
        assert again.params_ == model.params_
        if kind is btyd.GammaGamma:
            assert model.params_["q"] < 1, "so strong a penalty leaves no mean"
            table = {name: values[:2] + values[3:] for name, values in table.items()}
        np.testing.assert_array_equal(again.predict(table), model.predict(table))
        assert model.score(table) == pytest.approx(model.log_likelihood_ / model.n_customers_, rel=1e-12)
        # Neither order nor company matters.
        back = {name: values[::-1] for name, values in table.items()}
        np.testing.assert_array_equal(model.predict(back)[::-1], model.predict(table))
        assert kind(penalizer_coef=0.02).fit(back).params_ == pytest.approx(model.params_, rel=1e-6)
        kept = {name: list(values) for name, values in table.items()}
        one = {name: values[:1] for name, values in table.items()}
        np.testing.assert_array_equal(model.predict(one), model.predict(table)[:1])
        model.fit(table).predict(table)
        assert table == kept


@pytest.mark.filterwarnings("ignore")
def test_estimator_checks_that_apply():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    if not hasattr(checks, "estimator_checks_generator"):
        pytest.skip("scikit-learn before 1.6 has no list of results")
    apply = {
        "check_estimator_cloneable",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_estimators_unfitted",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_mixin_order",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_fit1d",
    }
    for model in (btyd.BGNBD(), btyd.ParetoNBD(), btyd.GammaGamma()):
        found = checks.check_estimator(model, on_fail=None, on_skip=None)
        failed = {one["check_name"] for one in found if one["status"] == "failed"}
        assert not failed & apply
        for one in found:
            # All others give columns without names, and hear so.
            if one["status"] == "failed" and isinstance(one["exception"], InputError):
                assert "table with columns" in str(one["exception"])


def test_model_selection():
    pandas = pytest.importorskip("pandas", reason="rows are picked from a data frame")
    table = pandas.DataFrame(simulated(btyd.BGNBD.from_params(r=0.8, alpha=6.0, a=1.2, b=3.0), customers=600))
    scores = cross_val_score(btyd.BGNBD(), table, cv=3)
    assert np.isfinite(scores).all()
    search = GridSearchCV(btyd.BGNBD(), {"penalizer_coef": [0.0, 10.0]}, cv=3).fit(table)
    assert search.best_params_ == {"penalizer_coef": 0.0}
    # Against what came later: here its own expectations, which it orders perfectly.
    model = search.best_estimator_.set_params(horizons=[10, 50])
    later = model.predict(table)
    assert model.score(table, later) == pytest.approx(1)
    assert model.score(table, -later + later.max()) < 0
    later[5, 1] = np.nan
    assert model.score(table, pandas.DataFrame(later)) == pytest.approx(1)
    with pytest.raises(InputError, match="1 columns for 2 horizons"):
        model.score(table, later[:, 0])
    with pytest.raises(InputError, match="600 rows, y 5"):
        model.score(table, later[:5])
