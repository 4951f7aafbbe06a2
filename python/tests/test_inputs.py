"""Tables from wherever they are."""

from __future__ import annotations

import importlib.util
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ltv


def _tables(dataset: ltv.Dataset, tmp_path) -> dict[str, object]:  # type: ignore[no-untyped-def]
    table = dataset.to_arrow()
    path = tmp_path / "table.parquet"
    pq.write_table(table, path)
    found: dict[str, object] = {
        "dataset": dataset,
        "folder": dataset.folders[0],
        "pyarrow": table,
        "batches": table.to_reader(max_chunksize=777),
        "parquet": path,
        "dict": {name: table.column(name) for name in table.column_names},
    }
    if importlib.util.find_spec("pandas"):
        found["pandas"] = table.to_pandas()
    return found


def test_every_table_gives_the_same_predictions(dataset, odmn, tmp_path) -> None:  # type: ignore[no-untyped-def]
    expected = odmn.predict(dataset)
    assert expected.shape == (len(dataset), 2)
    for name, table in _tables(dataset, tmp_path).items():
        np.testing.assert_array_equal(odmn.predict(table), expected, err_msg=name)


def test_polars_and_duckdb(dataset, odmn) -> None:  # type: ignore[no-untyped-def]
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.DataFrame(dataset)
    expected = odmn.predict(dataset)
    np.testing.assert_array_equal(odmn.predict(frame), expected)
    np.testing.assert_array_equal(odmn.predict(frame.lazy()), expected)
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    rows = dataset.to_arrow()
    relation = duckdb.sql("SELECT * FROM rows")
    np.testing.assert_array_equal(odmn.predict(relation), expected)
    assert len(rows) == len(expected)


def test_rows_that_are_computed_are_computed_once(dataset, odmn) -> None:  # type: ignore[no-untyped-def]
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.DataFrame(dataset)
    shuffled = frame.lazy().map_batches(lambda f: f.sample(fraction=1.0, shuffle=True))
    table = odmn.predict_table(shuffled)
    own = dict(zip(frame["user_id"], odmn.predict(frame)[:, 0]))
    assert [own[user] for user in table.column("user_id").to_pylist()] == table.column("ltv_30").to_pylist()
    assert odmn.score(shuffled) == pytest.approx(odmn.score(frame), abs=1e-12)


def test_chunks_decide_no_bit(dataset, odmn) -> None:  # type: ignore[no-untyped-def]
    table = dataset.to_arrow()
    expected = odmn.predict(table)
    for rows in (1, 2, 7, 2999):
        np.testing.assert_array_equal(odmn.predict(table.to_reader(max_chunksize=rows)), expected)
    empty = odmn.predict_table(table.slice(0, 0))
    assert len(empty) == 0 and empty.column_names == odmn.predict_table(table).column_names


def test_infinite_features_are_refused(dataset, odmn) -> None:  # type: ignore[no-untyped-def]
    table = dataset.to_arrow()
    place = table.column_names.index("recency")
    values = table.column("recency").to_numpy().copy()
    values[4321 % len(values)] = np.inf
    with pytest.raises(ltv.InputError, match=f"'recency' is infinite in row {4321 % len(values) + 1}"):
        odmn.predict(table.set_column(place, "recency", pa.array(values)))


def test_shards_are_one_dataset(dataset, odmn, tmp_path) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(dataset.folders[0], tmp_path / "shards" / "only")
    (tmp_path / "shards" / "notes.txt").write_text("mine")
    shards = ltv.Dataset(tmp_path / "shards")
    assert len(shards) == len(dataset) and shards.to_arrow().equals(dataset.to_arrow())
    one, other = (odmn.predict_table(data).column("ltv_90") for data in (shards, dataset))
    assert one.equals(other)


def test_every_table_trains_the_same_model(dataset, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ids = {}
    for name, table in _tables(dataset, tmp_path).items():
        if name in ("dataset", "folder"):
            continue
        ids[name] = ltv.ODMN(epochs=1, label="active_days", verbose=False).fit(table).model_id_
    assert len(set(ids.values())) == 1, ids


def test_labels_beside_the_table(dataset) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = dataset.to_pandas()
    features, labels = frame.drop(columns=["ltv_30", "ltv_90"]), frame[["ltv_30", "ltv_90"]]
    beside = ltv.ODMN(epochs=1, label="active_days", verbose=False).fit(features, labels)
    within = ltv.ODMN(epochs=1, label="active_days", verbose=False).fit(frame)
    assert beside.model_id_ == within.model_id_
    assert beside.horizons_ == [30, 90]
    one = ltv.ODMN([90], epochs=1, verbose=False).fit(features, labels["ltv_90"])
    assert one.predict(features).shape == (len(frame),)


def test_columns_are_found_by_name(dataset, odmn) -> None:  # type: ignore[no-untyped-def]
    table = dataset.to_arrow()
    turned = table.select(table.column_names[::-1]).append_column("more", pa.nulls(len(table)))
    np.testing.assert_array_equal(odmn.predict(turned), odmn.predict(table))
    with pytest.raises(ltv.InputError, match="no column 'recency', which the model reads"):
        odmn.predict(table.drop_columns(["recency"]))


def test_days_of_sequences_and_categories_are_known() -> None:
    rng = np.random.default_rng(1)
    days = {f"visits_d{day}": rng.poisson(1.0, 500) for day in range(3)}
    others = {"odd_d1": rng.normal(size=500), "plan": rng.choice(["a", "b"], 500), "zip": rng.integers(0, 9, 500)}
    table = pa.table({**days, **others})
    y = rng.poisson(0.5, 500)
    model = ltv.ODMN(epochs=1, categorical=["zip"], verbose=False).fit(table, y)
    import json

    document = json.loads(model.model_.document())["document"]
    found = {f["name"]: (list(f["cells"]), len(f["columns"])) for f in document["encoding"]["features"]}
    assert found == {
        "visits": (["bins"], 3),
        "odd_d1": (["bins"], 1),
        "plan": (["vocabulary"], 1),
        "zip": (["vocabulary"], 1),
    }


@pytest.mark.parametrize(
    ("columns", "y", "message"),
    [
        ({"x": [1.0, 2.0]}, [1.0, -1.0], r"'ltv_365'.*-1.* row 2|-1.*row 2"),
        ({"x": [1.0, float("inf")]}, [1.0, 1.0], "'x' is inf in row 2"),
        ({"x": [1.0, 2.0]}, [1.0, float("inf")], "row 2"),
        ({"x": [[1], [2]]}, [1.0, 1.0], "'x' is list"),
        ({"x": [1.0, 2.0], "user_id": [1, None]}, [1.0, 1.0], "'user_id' is null in row 2"),
        ({"user_id": [1, 2]}, [1.0, 1.0], "no column that could be a feature"),
    ],
)
def test_what_cannot_be_is_named(columns, y, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ltv.InputError, match=message):
        ltv.ODMN(epochs=1, verbose=False).fit(pa.table(columns), np.array(y))


def test_what_is_no_table_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = ltv.ODMN(epochs=1, verbose=False)
    with pytest.raises(ltv.InputError, match="no such file or folder"):
        model.fit(tmp_path / "nowhere.parquet")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ltv.DataError, match="broken.parquet: not a whole Parquet file"):
        model.fit(broken)
    with pytest.raises(ltv.InputError, match="no labels"):
        model.fit(pa.table({"x": [1.0, 2.0]}))
    with pytest.raises(ltv.InputError, match="ltv_60"):
        ltv.ODMN([60], epochs=1, verbose=False).fit(pa.table({"x": [1.0, 2.0], "ltv_30": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="2 rows, y 3"):
        model.fit(pa.table({"x": [1.0, 2.0]}), np.ones(3))
    with pytest.raises(ltv.InputError, match="leave y out"):
        data = tmp_path / "data"
        data.mkdir()
        (data / "manifest.json").write_text("{}")
        model.fit(data, np.ones(3))


def test_an_index_of_pandas_is_no_column(arrays) -> None:  # type: ignore[no-untyped-def]
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = arrays
    frame, labels = pandas.DataFrame(X, columns=list("abcd")), pandas.Series(y)
    some = np.random.default_rng(2).permutation(len(frame))
    model = ltv.ODMN(epochs=1, verbose=False).fit(frame.iloc[some], labels.iloc[some])
    assert list(model.feature_names_in_) == list("abcd")
    plain = ltv.ODMN(epochs=1, verbose=False).fit(frame.iloc[some].reset_index(drop=True), y[some])
    assert plain.model_id_ == model.model_id_
    frame.index = pandas.date_range("2024-01-01", periods=len(frame), freq="h")
    assert model.predict(frame).shape == y.shape
    with pytest.raises(ltv.InputError, match="two columns 'a'"):
        ltv.ODMN(verbose=False).fit(pandas.concat([frame, frame], axis=1), y)


def test_labels_in_any_kind_of_column(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    columns = [y, list(y), pa.array(y), pa.chunked_array([y[:10], y[10:]])]
    for name in ("pandas", "polars"):
        if importlib.util.find_spec(name):
            columns.append(importlib.import_module(name).Series(y))
    ids = {ltv.ODMN(epochs=1, verbose=False).fit(X, column).model_id_ for column in columns}
    assert len(ids) == 1
    if importlib.util.find_spec("pandas"):
        named = importlib.import_module("pandas").Series(y, name="ltv_30")
        assert ltv.ODMN(epochs=1, verbose=False).fit(X, named).horizons_ == [30]
    model = ltv.ODMN(epochs=1, verbose=False)
    for wrong, message in [
        (y.astype("datetime64[s]"), "dates or times"),
        (np.full(len(y), np.nan), "NaN"),
        (["much"] * len(y), "not numbers"),
    ]:
        with pytest.raises(ltv.InputError, match=message):
            model.fit(X, wrong)


def test_a_registration_may_be_a_time(dataset) -> None:  # type: ignore[no-untyped-def]
    table = dataset.to_arrow()
    place = table.column_names.index("reg_day")
    times = table.column("reg_day").cast(pa.timestamp("us")).cast(pa.timestamp("us", "Asia/Tokyo"))
    timed = table.set_column(place, "reg_day", times)
    model = ltv.ODMN(epochs=1, label="active_days", verbose=False).fit(timed)
    assert model.model_id_ == ltv.ODMN(epochs=1, label="active_days", verbose=False).fit(table).model_id_
    np.testing.assert_array_equal(model.predict(timed), model.predict(table))


def test_categories_that_came_as_numbers(arrays) -> None:  # type: ignore[no-untyped-def]
    X, y = arrays
    zips = (np.arange(len(y)) % 7).astype(float)
    zips[3] = np.nan
    floats = pa.table({"a": X[:, 0], "zip": zips})
    parameters = {"epochs": 1, "categorical": ["zip"], "verbose": False}
    model = ltv.ODMN(**parameters).fit(floats, y)
    known = pa.table({"a": X[:, 0], "zip": pa.array([None if np.isnan(z) else int(z) for z in zips])})
    assert ltv.ODMN(**parameters).fit(known, y).model_id_ == model.model_id_
    np.testing.assert_array_equal(model.predict(known), model.predict(floats))
    numbered = known.set_column(1, "zip", known.column("zip").dictionary_encode())
    assert ltv.ODMN(epochs=1, verbose=False).fit(numbered, y).model_id_ == model.model_id_
    with pytest.raises(ltv.InputError, match="'zip' is .*whole numbers"):
        ltv.ODMN(**parameters).fit(floats.set_column(1, "zip", pa.array(zips + 0.5)), y)
