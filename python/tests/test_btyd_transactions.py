"""From transactions to histories, against a slow second way."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest

from ltv import btyd
from ltv.errors import InputError


def slow_summary(log, end, freq, first, with_value):
    """Customer by customer, with dicts."""
    seconds = {"D": 86_400, "h": 3600, "W": 604_800, "min": 60, "s": 1}[freq]
    # 1970-01-01 was a Thursday; weeks begin on Monday.
    shift = 3 * 86_400 if freq == "W" else 0
    start = datetime.datetime(1970, 1, 1)
    period = lambda time: math.floor(((time - start).total_seconds() + shift) / seconds)  # noqa: E731
    last = period(max(time for _, time, _ in log) if end is None else end)
    totals: dict[int, dict[int, float]] = {}
    for who, time, value in log:
        if period(time) <= last:
            of = totals.setdefault(who, {})
            of[period(time)] = of.get(period(time), 0.0) + value
    found = {}
    for who, of in sorted(totals.items()):
        days = sorted(of)
        counted = days if first else days[1:]
        mean = sum(of[day] for day in counted) / len(counted) if counted else 0.0
        row = [len(counted), days[-1] - days[0], last - days[0]]
        found[who] = [*row, mean] if with_value else row
    return found


def random_log(seed):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 80))
    start = datetime.datetime(2023, 12, 1)
    times = [start + datetime.timedelta(seconds=int(s)) for s in rng.integers(0, 60 * 86_400, size=rows)]
    values = np.round(rng.normal(20, 30, size=rows), 2)
    return list(zip(rng.integers(0, 12, size=rows).tolist(), times, values.tolist()))


def columns_of(log):
    who, times, values = zip(*log)
    return {"customer_id": list(who), "date": list(times), "value": list(values)}


def test_summary_customer_by_customer():
    pytest.importorskip("pandas", reason="the result is a data frame of pandas")
    for seed in range(60):
        log = random_log(seed)
        freq = ["D", "W", "h", "min", "s"][seed % 5]
        end = [None, datetime.datetime(2024, 1, 10, 15, 30), datetime.datetime(2025, 1, 1)][seed % 3]
        first, with_value = seed % 2 == 0, seed % 7 < 4
        expected = slow_summary(log, end, freq, first, with_value)
        if not expected:
            continue
        found = btyd.summary(
            columns_of(log),
            value="value" if with_value else None,
            observation_end=end,
            freq=freq,
            include_first=first,
        )
        assert list(found.index) == list(expected)
        names = ["frequency", "recency", "T", "monetary_value"]
        assert list(found.columns) == names[: 3 + with_value]
        np.testing.assert_allclose(found.to_numpy(), list(expected.values()), rtol=1e-12, atol=1e-12)


def test_holdout_customer_by_customer():
    pytest.importorskip("pandas", reason="the result is a data frame of pandas")
    for seed in range(20):
        log = random_log(seed)
        cut, end = datetime.datetime(2023, 12, 20), datetime.datetime(2024, 1, 15, 12)
        day = lambda time: time.date().toordinal()  # noqa: E731
        known = {who for who, time, _ in log if day(time) <= day(cut)}
        later = [one for one in log if day(cut) < day(one[1]) <= day(end)]
        if not known or not later:
            continue
        found = btyd.calibration_holdout(columns_of(log), value="value", calibration_end=cut, observation_end=end)
        before = btyd.summary(columns_of(log), value="value", observation_end=cut)
        assert set(found.index) == known
        np.testing.assert_array_equal(found.iloc[:, :4].to_numpy(), before.to_numpy())
        assert (found["duration_holdout"] == 26).all()
        for who, row in found.iterrows():
            of = [(day(time), value) for other, time, value in later if other == who]
            assert row["frequency_holdout"] == len({date for date, _ in of})
            mean = sum(value for _, value in of) / len(of) if of else 0.0
            assert row["monetary_value_holdout"] == pytest.approx(mean, abs=1e-9)


def test_transactions_of_every_kind():
    pandas = pytest.importorskip("pandas", reason="the result is a data frame of pandas")
    import pyarrow

    log = columns_of(random_log(5))
    frame = pandas.DataFrame(log)
    expected = btyd.summary(frame, value="value")
    midnight = frame.assign(date=frame["date"].dt.floor("D"))
    kinds = [
        log,
        frame.sample(frac=1, random_state=1),
        pyarrow.table(log),
        frame.assign(date=frame["date"].astype(str)),
        frame.assign(date=frame["date"].dt.tz_localize("Asia/Tokyo")),
        frame.assign(other=[object()] * len(frame)),
        frame.assign(customer_id=frame["customer_id"].astype("int16")),
        midnight,
        midnight.assign(date=midnight["date"].dt.date),
        midnight.assign(date=midnight["date"].dt.to_period("D")),
        pyarrow.table({**log, "date": pyarrow.array(log["date"]).cast(pyarrow.date32(), safe=False)}),
    ]
    for table in kinds:
        found = btyd.summary(table, value="value")
        pandas.testing.assert_frame_equal(found, expected, check_index_type=False)
    # Customers who are text, or a category with someone who never bought.
    text = frame.assign(customer_id=[f"c{who:02}" for who in frame["customer_id"]])
    category = pandas.Categorical(text["customer_id"], categories=[f"c{who:02}" for who in range(20)])
    for table in (text, text.assign(customer_id=category)):
        for found in (
            btyd.summary(table, value="value"),
            btyd.calibration_holdout(table, value="value", calibration_end="2024-01-15"),
        ):
            of = btyd.summary(table, value="value") if "T" in found else btyd.summary(
                table, value="value", observation_end="2024-01-15"
            )
            assert list(found.index) == [f"c{who:02}" for who in range(20) if f"c{who:02}" in set(of.index)]
            np.testing.assert_array_equal(found.iloc[:, :4].to_numpy(), of.to_numpy())
        np.testing.assert_array_equal(btyd.summary(table, value="value").to_numpy(), expected.to_numpy())


def test_transactions_of_other_packages(tmp_path):
    pandas = pytest.importorskip("pandas", reason="the result is a data frame of pandas")
    frame = pandas.DataFrame(columns_of(random_log(6)))
    expected = btyd.summary(frame, value="value")
    frame.to_parquet(tmp_path / "log.parquet")
    pandas.testing.assert_frame_equal(btyd.summary(tmp_path / "log.parquet", value="value"), expected)
    polars = pytest.importorskip("polars", reason="no polars")
    pandas.testing.assert_frame_equal(btyd.summary(polars.from_pandas(frame), value="value"), expected)
    pandas.testing.assert_frame_equal(btyd.summary(polars.from_pandas(frame).lazy(), value="value"), expected)


LOG = {"customer_id": ["a", "b", "a"], "date": ["2024-01-01", "2024-01-02", "2024-01-03"], "value": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"customer": "who"}, "no column 'who'; its columns are customer_id, date, value"),
        ({}, {"freq": "M"}, "'M'"),
        ({}, {"observation_end": "2020-01-01"}, "later than the end"),
        ({}, {"observation_end": "tomorrow?"}, "observation_end: 'tomorrow\\?' is no date"),
        ({}, {"observation_end": 20240101}, "observation_end: 20240101 is no date"),
        ({"customer_id": ["a", None, "b"]}, {}, "'customer_id' is empty in row 2"),
        ({"date": ["2024-01-01", None, "2024-01-03"]}, {}, "'date' is empty in row 2"),
        ({"date": ["2024-01-01", "2024-01-02", "soon"]}, {}, "'date' is 'soon' in row 3"),
        ({"date": [1, 2, 3]}, {}, "'date' is int64, no dates"),
        ({"date": ["2024-01-01"]}, {}, "3, 1, 3 rows"),
        ({"value": [1.0, math.nan, 2.0]}, {}, "'value' is nan in row 2"),
        ({"value": ["x", "y", "z"]}, {}, "value: not numbers"),
        ({"customer_id": [], "date": [], "value": []}, {}, "no transactions"),
    ],
)
def test_transactions_that_are_refused(change, options, message):
    pytest.importorskip("pandas", reason="the result is a data frame of pandas")
    with pytest.raises(InputError, match=message):
        btyd.summary({**LOG, **change}, value="value", **options)


def test_holdouts_that_are_refused():
    pytest.importorskip("pandas", reason="the result is a data frame of pandas")
    with pytest.raises(InputError, match="no transaction lies between"):
        btyd.calibration_holdout(LOG, calibration_end="2024-01-03")
    with pytest.raises(InputError, match="calibration_end: None"):
        btyd.calibration_holdout(LOG, calibration_end=None)
    with pytest.raises(InputError, match="no table"):
        btyd.summary([1, 2, 3])
