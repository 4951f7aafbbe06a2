"""From transactions to what the models know of each customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ltv import _tables
from ltv.btyd._inputs import is_table, kind_of, listed, present, refuse, selected
from ltv.errors import DataError, InputError

if TYPE_CHECKING:
    import pandas as pd

#: Units of time of transactions: those of which each is as long as the other.
_UNITS = {"D": "D", "W": "W", "h": "h", "H": "h", "min": "min", "s": "s"}


def summary(
    transactions: Any,
    customer: str = "customer_id",
    time: str = "date",
    value: str | None = None,
    *,
    observation_end: Any = None,
    freq: str = "D",
    include_first: bool = False,
) -> pd.DataFrame:
    """What buy-till-you-die models know of each customer, from a log of transactions.

    All purchases of a customer within one period count as one. Nothing after the period of ``observation_end``
    counts, and customers who came later are left out. Needs pandas.

    Parameters
    ----------
    transactions : table (pandas, polars, PyArrow, DuckDB, dict of columns, path of Parquet files), one row for each
        transaction, in any order
    customer : column of who bought
    time : column of when: timestamps, dates, or text that pandas reads as such. Of times with a zone, the local
        day counts
    value : column of what it was worth; without it there is no ``monetary_value``
    observation_end : last moment of the observation; the latest time in ``transactions`` if not given
    freq : period and unit of time: ``"D"``, ``"W"`` (from Monday to Sunday), ``"h"``, ``"min"`` or ``"s"``
    include_first : whether the first purchase counts in ``frequency`` and ``monetary_value``. Models want it
        left out

    Returns
    -------
    pandas.DataFrame
        With index ``customer``, in its order, and float columns ``frequency`` (periods with a purchase after the
        first one), ``recency`` (first to last of them), ``T`` (first one to the end), and ``monetary_value``: mean
        total of the periods in ``frequency``, 0 where there is none.

    Raises
    ------
    DataError
        When a column is missing, or a cell is empty or no date or number; row and column are named.
    InputError
        When ``freq`` is none of these, or nothing is left to count.

    Notes
    -----
    The definitions are those of ``summary_data_from_transaction_data`` in ``lifetimes`` 0.11.3, and so are the
    numbers, to the last bit.

    Examples
    --------
    >>> from ltv import btyd
    >>> transactions = {
    ...     "customer_id": ["a", "b", "a", "a"],
    ...     "date": ["2024-01-01", "2024-01-05", "2024-01-08", "2024-01-08"],
    ...     "value": [10.0, 5.0, 3.0, 4.0],
    ... }
    >>> found = btyd.summary(transactions, value="value", observation_end="2024-01-31")
    >>> found.loc["a"].to_dict()
    {'frequency': 1.0, 'recency': 7.0, 'T': 30.0, 'monetary_value': 7.0}
    >>> found.loc["b"].to_dict()
    {'frequency': 0.0, 'recency': 0.0, 'T': 26.0, 'monetary_value': 0.0}
    """
    log = _Log.read(transactions, customer, time, value, freq)
    return _summary(log, log.period(observation_end, "observation_end"), include_first)


def calibration_holdout(
    transactions: Any,
    customer: str = "customer_id",
    time: str = "date",
    value: str | None = None,
    *,
    calibration_end: Any,
    observation_end: Any = None,
    freq: str = "D",
    include_first: bool = False,
) -> pd.DataFrame:
    """:func:`summary` up to a date, and what the same customers did after it: to fit on one and judge on the other.

    Parameters
    ----------
    transactions, customer, time, value, freq, include_first : as for :func:`summary`
    calibration_end : last moment of the calibration; its whole period belongs to it
    observation_end : last moment of the holdout, to the end of its period; the latest time in ``transactions`` if
        not given

    Returns
    -------
    pandas.DataFrame
        With index ``customer`` and float columns ``frequency_cal``, ``recency_cal``, ``T_cal``
        (, ``monetary_value_cal``), ``frequency_holdout`` (periods with a purchase), (``monetary_value_holdout``, the
        mean of single transactions, as ``lifetimes`` has it, not of periods,) and ``duration_holdout`` (periods).
        Who first came in the holdout is left out.

    Raises
    ------
    DataError, InputError
        As :func:`summary`; and when the holdout is empty.

    Notes
    -----
    As ``calibration_and_holdout_data`` in ``lifetimes`` 0.11.3, with one difference: there the end of the calibration
    and of the observation are moments, so that of ``calibration_end="1997-09-30"`` a purchase at noon of that day
    falls into the holdout, and its whole day, by the definition of ``frequency``, into the calibration. Where times
    are whole periods the numbers are the same, to the last bit.

    Examples
    --------
    >>> from ltv import btyd
    >>> transactions = {
    ...     "customer_id": ["a", "b", "a", "a"],
    ...     "date": ["2024-01-01", "2024-01-05", "2024-01-08", "2024-02-08"],
    ... }
    >>> found = btyd.calibration_holdout(transactions, calibration_end="2024-01-31", observation_end="2024-02-29")
    >>> found.loc["a"].to_dict()
    {'frequency_cal': 1.0, 'recency_cal': 7.0, 'T_cal': 30.0, 'frequency_holdout': 1.0, 'duration_holdout': 29.0}
    >>> list(found.index)
    ['a', 'b']
    """
    import pandas as pd

    log = _Log.read(transactions, customer, time, value, freq)
    first, last = log.period(calibration_end, "calibration_end"), log.period(observation_end, "observation_end")
    later = (log.periods > first) & (log.periods <= last)
    if not later.any():
        raise InputError(
            f"no transaction lies between calibration_end ({calibration_end}) and observation_end "
            f"({observation_end if observation_end is not None else 'the latest one'}); give an earlier calibration_end"
        )
    found = _summary(log, first, include_first).add_suffix("_cal")
    known = log.customers.get_indexer(found.index)
    # A period counts once.
    who, periods = log.codes[later], log.periods[later]
    pairs = pd.DataFrame({"who": who, "period": periods}).drop_duplicates()
    counts = np.bincount(pairs["who"], minlength=len(log.customers))
    found["frequency_holdout"] = counts[known].astype(np.float64)
    if log.values is not None:
        means = pd.Series(log.values[later]).groupby(who).mean().reindex(known).fillna(0.0)
        found["monetary_value_holdout"] = means.to_numpy()
    found["duration_holdout"] = float(last - first)
    return found


class _Log(NamedTuple):
    """Transactions, in the order in which they came."""

    #: Who there is, in order.
    customers: Any
    #: Which of them.
    codes: npt.NDArray[np.int64]
    times: Any
    #: Periods since 1970.
    periods: npt.NDArray[np.int64]
    values: _tables.Floats | None
    freq: str

    @classmethod
    def read(cls, transactions: Any, customer: str, time: str, value: str | None, freq: str) -> _Log:
        import pandas as pd

        if freq not in _UNITS:
            raise InputError(f"freq: {freq!r} is none of 'D', 'W', 'h', 'min' and 's'")
        freq = _UNITS[freq]
        names = [customer, time] if value is None else [customer, time, value]
        frame = _frame(transactions, names)
        if len(frame) == 0:
            raise InputError("there are no transactions; give one at least")
        refuse(frame[customer].isna().to_numpy(), lambda row: f"column '{customer}' is empty in row {row}; drop it")
        times = _times(frame[time], time)
        try:
            codes, customers = pd.factorize(frame[customer], sort=True)
        except TypeError as error:
            problem = f"column '{customer}' mixes kinds of values that have no order ({error}); make it text or numbers"
            raise DataError(problem) from error
        values = None
        if value is not None:
            values = _tables.floats(frame[value], value)
            shown = frame[value]
            bad = ~np.isfinite(values)
            refuse(bad, lambda row: f"column '{value}' is {shown.iloc[row - 1]} in row {row}; give a number")
        periods = times.to_period(freq).asi8
        return cls(pd.Index(customers, name=customer), codes.astype(np.int64, copy=False), times, periods, values, freq)

    def period(self, end: Any, name: str) -> int:
        """The period of a moment, of the latest one without it."""
        import pandas as pd

        if end is None and name == "observation_end":
            return int(self.periods.max())
        problem = f"{name}: {end!r} is no date; write '2024-01-31'"
        if end is None or isinstance(end, (bool, int, float, np.number)):
            raise InputError(problem)
        try:
            moment = end.to_timestamp() if isinstance(end, pd.Period) else pd.Timestamp(end)
            if moment.tzinfo is not None:
                moment = moment.tz_localize(None)
        except (TypeError, ValueError) as error:
            raise InputError(problem) from error
        if moment is pd.NaT:
            raise InputError(problem)
        return int(moment.to_period(self.freq).ordinal)


def _summary(log: _Log, end: int, include_first: bool) -> pd.DataFrame:
    import pandas as pd

    kept = np.flatnonzero(log.periods <= end)
    if len(kept) == 0:
        raise InputError("every transaction is later than the end of the observation; give a later end")
    codes, periods = log.codes[kept], log.periods[kept]
    # Values of a period are added in one order, whatever that of the rows, so that sums are the same.
    keys = [log.times.asi8[kept], codes] if log.values is None else [log.values[kept], log.times.asi8[kept], codes]
    order = np.lexsort(keys)
    codes, periods = codes[order], periods[order]
    fresh = np.ones(len(codes), dtype=bool)
    fresh[1:] = (codes[1:] != codes[:-1]) | (periods[1:] != periods[:-1])
    at = np.flatnonzero(fresh)
    who, when = codes[at], periods[at]
    start = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    count = np.diff(np.r_[start, len(who)])
    first, last = when[start], when[start + count - 1]
    columns = {
        "frequency": (count if include_first else count - 1).astype(np.float64),
        "recency": (last - first).astype(np.float64),
        "T": (end - first).astype(np.float64),
    }
    if log.values is not None:
        totals = pd.Series(log.values[kept][order]).groupby(np.cumsum(fresh)).sum().to_numpy(copy=True)
        if not include_first:
            # Left out as NaN, not as a row: pandas then rounds as it does for lifetimes.
            totals[start] = np.nan
        means = pd.Series(totals).groupby(who).mean().fillna(0.0)
        columns["monetary_value"] = means.to_numpy()
    return pd.DataFrame(columns, index=log.customers[who[start]])


def _frame(transactions: Any, names: Sequence[str]) -> pd.DataFrame:
    """These columns as a data frame of pandas."""
    import pandas as pd

    if isinstance(transactions, pd.DataFrame):
        present(names, [str(name) for name in transactions.columns])
        return transactions[list(dict.fromkeys(names))]
    if isinstance(transactions, Mapping):
        present(names, list(transactions))
        lengths = [len(transactions[name]) for name in names]
        if len(set(lengths)) > 1:
            raise InputError(f"columns {listed(names)} have {listed(lengths)} rows; give as many of each")
        return pd.DataFrame({name: np.asarray(transactions[name]) for name in names})
    if not is_table(transactions):
        raise InputError(f"transactions: {kind_of(transactions)} is no table; give one with columns {listed(names)}")
    return cast("pd.DataFrame", selected(transactions, names).to_pandas(date_as_object=False))


def _times(column: Any, name: str) -> Any:
    """Moments without a zone."""
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufcbm":
        how = "convert it, as by pandas.to_datetime(..., unit='s')"
        raise DataError(f"column '{name}' is {column.dtype}, no dates; {how}")
    refuse(column.isna().to_numpy(), lambda row: f"column '{name}' is empty in row {row}; give a date")
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    try:
        times = pd.to_datetime(column)
    except (TypeError, ValueError, OverflowError):
        try:
            times = pd.to_datetime(column, errors="coerce")
        except (TypeError, ValueError) as error:
            raise DataError(f"column '{name}' cannot be read as dates ({error})") from error
        bad = times.isna().to_numpy()
        what = "which is no date like those before it; write all as in '2024-01-31'"
        refuse(bad, lambda row: f"column '{name}' is {column.iloc[row - 1]!r} in row {row}, {what}")
    if not pd.api.types.is_datetime64_any_dtype(times):
        raise DataError(f"column '{name}' mixes time zones; convert it to one")
    index = pd.DatetimeIndex(times)
    return index if index.tz is None else index.tz_localize(None)
