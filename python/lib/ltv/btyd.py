"""Buy-till-you-die models: BG/NBD, Pareto/NBD and Gamma-Gamma, for those who come from the package ``lifetimes``.

They know three numbers of a customer, all in one unit of time (days, weeks, ...): ``frequency``, the periods with a
purchase after the first one; ``recency``, the time from the first purchase to the last; ``T``, the time from the
first purchase to the end of the observation. :func:`summary` makes them from transactions.

==========================================================  ======================================================
``lifetimes``                                               here
==========================================================  ======================================================
``summary_data_from_transaction_data``                      :func:`summary`
``calibration_and_holdout_data``                            :func:`calibration_holdout`
``BetaGeoFitter``                                           :class:`BGNBD`
``ParetoNBDFitter``                                         :class:`ParetoNBD`
``GammaGammaFitter``                                        :class:`GammaGamma`
``conditional_expected_number_of_purchases_up_to_time``     ``expected_purchases``, ``predict``
``expected_number_of_purchases_up_to_time``                 ``expected_new``
``conditional_probability_alive``                           ``probability_alive``
``conditional_expected_average_profit``                     ``expected_spend``, ``predict``
``customer_lifetime_value``                                 ``customer_lifetime_value``
==========================================================  ======================================================

The models are the ones of the program ``ltv`` (crate ``ltv-baselines``). What differs from ``lifetimes`` 0.11.3:
parameters are a dict, predictions NumPy arrays; customers have no weights (equal ones are counted once, so that
repeating rows costs little); histories that no customer can have are refused, ``frequency`` above 0 with ``recency``
0 among them; ``penalizer_coef`` above 0 weighs ``alpha`` (and ``beta``) on a clock whose largest ``T`` is 10, as
versions of ``lifetimes`` before 0.11 did, where 0.11.3 has 1; and there are numbers where ``lifetimes`` has nan: of
BG/NBD for many customers without a repeat purchase where ``a + b < 1``, and at ``a = 1``; of Pareto/NBD for frequent
customers who bought at the very end, and at ``s = 1``. Standard errors are not computed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ltv import _ltv, _tables
from ltv._fitted import LEVELS, Distribution
from ltv.errors import DataError, InputError, ModelError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BGNBD", "GammaGamma", "ParetoNBD", "calibration_holdout", "summary"]

#: Units of time of transactions: those of which each is as long as the other.
_UNITS = {"D": "D", "W": "W", "h": "h", "H": "h", "min": "min", "s": "s"}
#: A month in the units of ``T``, as ``lifetimes`` has it.
_MONTH = {"W": 4.345, "M": 1.0, "D": 30.0, "H": 720.0, "h": 720.0}
#: More purchases than this are not told apart.
_MOST = 1_000_000
#: Sums of rounded chances may miss a level that they should reach exactly.
_ROUNDING = 1e-12
#: Chances that are held in memory at a time.
_CELLS = 4_000_000


# --- from transactions to histories ---


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
    #: Name of their column.
    name: str
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
        _refuse(frame[customer].isna().to_numpy(), lambda row: f"column '{customer}' is empty in row {row}; drop it")
        times = _times(frame[time], time)
        try:
            codes, customers = pd.factorize(frame[customer], sort=True)
        except TypeError as error:
            problem = f"column '{customer}' mixes kinds of values that have no order ({error}); make it text or numbers"
            raise DataError(problem) from error
        if len(codes) and codes.dtype != np.int64:
            codes = codes.astype(np.int64)
        values = None
        if value is not None:
            values = _tables.floats(frame[value], value)
            shown = frame[value]
            bad = ~np.isfinite(values)
            _refuse(bad, lambda row: f"column '{value}' is {shown.iloc[row - 1]} in row {row}; give a number")
        periods = times.to_period(freq).asi8
        return cls(pd.Index(customers, name=customer), customer, codes, times, periods, values, freq)

    def period(self, end: Any, name: str) -> int:
        """The period of a moment, of the latest one without it."""
        import pandas as pd

        if end is None and name == "observation_end":
            return int(self.periods.max())
        if end is None or isinstance(end, (bool, int, float, np.number)):
            raise InputError(f"{name}: {end!r} is no date; write '2024-01-31'")
        try:
            moment = end.to_timestamp() if isinstance(end, pd.Period) else pd.Timestamp(end)
            if moment.tzinfo is not None:
                moment = moment.tz_localize(None)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: {end!r} is no date; write '2024-01-31'") from error
        if moment is pd.NaT:
            raise InputError(f"{name}: {end!r} is no date; write '2024-01-31'")
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
        _present(names, [str(name) for name in transactions.columns])
        return transactions[list(dict.fromkeys(names))]
    if isinstance(transactions, Mapping):
        _present(names, list(transactions))
        lengths = [len(transactions[name]) for name in names]
        if len(set(lengths)) > 1:
            raise InputError(f"columns {_listed(names)} have {_listed(lengths)} rows; give as many of each")
        return pd.DataFrame({name: np.asarray(transactions[name]) for name in names})
    if not _is_table(transactions):
        raise InputError(f"transactions: {_kind(transactions)} is no table; give one with columns {_listed(names)}")
    return cast("pd.DataFrame", _selected(transactions, names).to_pandas(date_as_object=False))


def _times(column: Any, name: str) -> Any:
    """Moments without a zone."""
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufcbm":
        how = "convert it, as by pandas.to_datetime(..., unit='s')"
        raise DataError(f"column '{name}' is {column.dtype}, no dates; {how}")
    _refuse(column.isna().to_numpy(), lambda row: f"column '{name}' is empty in row {row}; give a date")
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
        _refuse(bad, lambda row: f"column '{name}' is {column.iloc[row - 1]!r} in row {row}, {what}")
    if not pd.api.types.is_datetime64_any_dtype(times):
        raise DataError(f"column '{name}' mixes time zones; convert it to one")
    index = pd.DatetimeIndex(times)
    return index if index.tz is None else index.tz_localize(None)


# --- columns in ---


def _refuse(bad: npt.NDArray[np.bool_], message: Callable[[int], str]) -> None:
    """Raises for the first row that is bad, counted from 1."""
    if bad.any():
        raise DataError(message(int(bad.ravel().argmax()) + 1))


def _listed(items: Sequence[Any]) -> str:
    return ", ".join(f"'{item}'" if isinstance(item, str) else str(item) for item in items)


def _kind(value: Any) -> str:
    kind = type(value).__name__
    return f"{kind} of shape {value.shape}" if isinstance(value, np.ndarray) else kind


def _present(names: Sequence[str], found: Sequence[str]) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"the table has no column '{missing[0]}'; its columns are {', '.join(map(str, found))}")


def _is_table(value: Any) -> bool:
    """Whether it has named columns, of which Series and arrays have none."""
    if _tables.is_path(value) or isinstance(value, Mapping):
        return True
    if hasattr(value, "collect_schema") or hasattr(value, "columns"):
        return True
    return hasattr(value, "__arrow_c_stream__") and not (hasattr(value, "dtype") or isinstance(value, pa.ChunkedArray))


def _selected(table: Any, names: Sequence[str]) -> pa.Table:
    """Some columns of a table."""
    names = list(dict.fromkeys(names))
    if _tables.is_path(table):
        import pyarrow.dataset as ds

        _present(names, _tables.schema(table).names)
        return ds.dataset(os.fspath(table), format="parquet").to_table(columns=names)
    found = _tables.table(table)
    _present(names, found.column_names)
    return found.select(names)


def _columns(table: Any, names: Sequence[str]) -> list[Any]:
    """Columns of a table, as they are."""
    if isinstance(table, Mapping):
        _present(names, list(table))
        return [table[name] for name in names]
    if hasattr(table, "loc") and hasattr(table, "columns"):
        # Of a data frame of pandas, other columns may be anything.
        _present(names, [str(name) for name in table.columns])
        return [table[name] for name in names]
    found = _selected(table, names)
    return [found.column(name) for name in names]


def _numbers(values: Any, name: str) -> _tables.Floats:
    """Numbers of any shape."""
    kind = getattr(getattr(values, "dtype", None), "kind", "f")
    if kind in "mM":
        how = "divide it by the unit, such as pandas.Timedelta('1D')"
        raise InputError(f"{name}: {values.dtype} is a time, no number; {how}")
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return _tables.floats(values.ravel(), name).reshape(values.shape)
    if np.ndim(values) == 0 and not hasattr(values, "__arrow_c_array__"):
        return _tables.floats([values], name).reshape(())
    return _tables.floats(values, name)


def _number(value: Any, name: str) -> float:
    found = _numbers(value, name)
    if found.size != 1:
        raise InputError(f"{name}: {found.size} values; give one number")
    return float(found.ravel()[0])


def _aligned(columns: Sequence[Any], names: Sequence[str]) -> tuple[list[_tables.Floats], tuple[int, ...]]:
    """Columns as vectors of one length, and the shape they had; single numbers count for every row."""
    found = [_numbers(column, name) for column, name in zip(columns, names)]
    shapes = [column.shape for column in found if column.ndim > 0]
    if any(shape != shapes[0] for shape in shapes):
        told = [str(column.size) if column.ndim < 2 else str(column.shape) for column in found]
        what = f"give as many of each, or one table with columns {_listed(names)}"
        raise InputError(f"{', '.join(names)} have {', '.join(told)} rows; {what}")
    shape = shapes[0] if shapes else ()
    return [np.ascontiguousarray(np.broadcast_to(column, shape)).ravel() for column in found], shape


def _given(names: Sequence[str], *columns: Any) -> tuple[list[_tables.Floats], tuple[int, ...]]:
    """Columns given one by one, or as a table in place of the first one."""
    table, *others = columns
    if _is_table(table) and all(other is None for other in others):
        return _aligned(_columns(table, names), names)
    missing = [name for name, column in zip(names, columns) if column is None]
    if missing or _is_table(table):
        what = "nothing" if table is None else _kind(table)
        raise InputError(f"give a table with columns {_listed(names)}, or these one by one; given: {what}")
    return _aligned(columns, names)


class _Histories(NamedTuple):
    """What customers did, checked."""

    frequency: _tables.Floats
    recency: _tables.Floats
    T: _tables.Floats
    shape: tuple[int, ...]

    @classmethod
    def read(cls, frequency: Any, recency: Any = None, T: Any = None) -> _Histories:
        names = ("frequency", "recency", "T")
        found, shape = _given(names, frequency, recency, T)
        for column, name in zip(found, names):
            _check_finite(column, name)
        histories = cls(found[0], found[1], found[2], shape)
        histories._check()
        return histories

    def _check(self) -> None:
        x, last, age = self.frequency, self.recency, self.T
        _check_counts(x)
        _refuse(last < 0, lambda row: f"column 'recency' is {last[row - 1]:g} in row {row}; times cannot be negative")
        _refuse(age < 0, lambda row: f"column 'T' is {age[row - 1]:g} in row {row}; times cannot be negative")
        wrong = "the last purchase must lie within the observation"
        _refuse(last > age, lambda row: f"recency is {last[row - 1]:g}, T {age[row - 1]:g} in row {row}; {wrong}")
        wrong = "without a repeat purchase the recency is 0"
        _refuse((x == 0) & (last > 0), lambda row: f"frequency is 0, recency {last[row - 1]:g} in row {row}; {wrong}")
        wrong = "a repeat purchase must be later than the first one"
        _refuse((x > 0) & (last == 0), lambda row: f"frequency is {x[row - 1]:g}, recency 0 in row {row}; {wrong}")

    def arrow(self) -> tuple[pa.Array, pa.Array, pa.Array]:
        return _tables.arrow(self.frequency), _tables.arrow(self.recency), _tables.arrow(self.T)

    def distinct(self) -> tuple[_Histories, npt.NDArray[np.intp]]:
        """Histories that differ, and which one each customer has."""
        rows = np.column_stack([self.frequency, self.recency, self.T])
        found, of = np.unique(rows, axis=0, return_inverse=True)
        columns = np.ascontiguousarray(found.T)
        return _Histories(columns[0], columns[1], columns[2], (len(found),)), of.ravel()

    def some(self, rows: npt.NDArray[np.intp]) -> _Histories:
        return _Histories(self.frequency[rows], self.recency[rows], self.T[rows], (len(rows),))


def _check_finite(column: _tables.Floats, name: str) -> None:
    told = "drop the row or fill it in"
    _refuse(~np.isfinite(column), lambda row: f"column '{name}' is {column[row - 1]} in row {row}; {told}")


def _check_counts(x: _tables.Floats) -> None:
    wrong = (x < 0) | (x != np.floor(x)) | (x > 2**32 - 1)
    _refuse(wrong, lambda row: f"column 'frequency' is {x[row - 1]:g} in row {row}; give whole numbers from 0 on")


def _ahead(t: Any) -> tuple[list[float], tuple[int, ...]]:
    """Times ahead, and their shape."""
    times = _numbers(t, "t")
    if times.ndim > 1:
        raise InputError(f"t: {times.ndim} dimensions; give a number or a list of them")
    wrong = ~(np.isfinite(times) & (times >= 0))
    if wrong.any():
        raise InputError(f"t: {times[wrong].flat[0]}; give times of 0 or more, in the unit of T")
    return times.ravel().tolist(), times.shape


def _later(y: Any, horizons: int) -> _tables.Floats:
    """Purchases seen later, a column for each horizon, NaN where not known."""
    if _is_table(y) and not hasattr(y, "loc"):
        names = list(y) if isinstance(y, Mapping) else [str(name) for name in _tables.schema(y).names]
        columns = _columns(y, names)
        found = np.column_stack([_tables.floats(column, name) for column, name in zip(columns, names)])
    else:
        # A list, an array, or pandas, whose columns may have any name.
        found = _numbers(np.asarray(y), "y")
        found = found.reshape(len(found), -1) if found.ndim else found.reshape(1, 1)
    if found.shape[1] != horizons:
        raise InputError(f"y has {found.shape[1]} columns for {horizons} horizons; give one for each")
    return found


# --- estimators ---


class _Fitted(BaseEstimator):  # type: ignore[misc, unused-ignore]
    """What the models share: parameters of theirs, and whether there are any."""

    #: Names of the parameters, in the order of the extension module.
    _names: tuple[str, ...]

    penalizer_coef: float
    params_: dict[str, float]
    log_likelihood_: float
    n_customers_: int
    at_limit_: bool

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "params_")

    def _parameters(self) -> list[float]:
        if not hasattr(self, "params_"):
            kind = type(self).__name__
            raise NotFittedError(f"This {kind} instance is not fitted yet. Call 'fit', or make it by 'from_params'.")
        return [self.params_[name] for name in self._names]

    def _penalty(self) -> float:
        penalty = _number(self.penalizer_coef, "penalizer_coef")
        if not np.isfinite(penalty) or penalty < 0:
            raise InputError(f"penalizer_coef: {self.penalizer_coef}; give a finite number of at least 0")
        return penalty

    def _learn(self, found: tuple[list[float], float, int, bool]) -> None:
        parameters, self.log_likelihood_, self.n_customers_, self.at_limit_ = found
        self.params_ = dict(zip(self._names, parameters))

    @classmethod
    def _with(cls, parameters: Mapping[str, float], options: Mapping[str, Any]) -> Any:
        model = cls(**options)
        model.params_ = {name: _number(value, name) for name, value in parameters.items()}
        for name, value in model.params_.items():
            if not np.isfinite(value) or value <= 0:
                raise InputError(f"{name}: {value}; give a finite number above 0")
        return model


class _Counts(_Fitted):
    """A model of how often customers buy."""

    #: What the extension module calls it.
    _kind: str

    def __init__(self, penalizer_coef: float = 0.0, horizons: Any = (30, 90, 180, 365)) -> None:
        self.penalizer_coef = penalizer_coef
        self.horizons = horizons

    def fit(self, X: Any = None, y: Any = None, T: Any = None, *, frequency: Any = None, recency: Any = None) -> Any:
        """Fits the model by maximum likelihood: ``fit(table)``, or ``fit(frequency, recency, T)`` as in ``lifetimes``.

        Parameters
        ----------
        X : table (pandas, polars, PyArrow, DuckDB, dict of arrays, path of Parquet files) with columns
            ``frequency``, ``recency`` and ``T``, as :func:`summary` makes them, others may be there as well; or the
            first one alone
        y : beside a table, not used; else ``recency``
        T : beside ``frequency`` and ``recency``; they have these names as keywords

        Raises
        ------
        InputError, DataError
            When a column is missing, or a history is none that a customer can have; column and row are named.
        ModelError
            When nobody came back, or the likelihood has no maximum.
        """
        if frequency is not None or recency is not None:
            given = (frequency, recency if recency is not None else y, T)
        else:
            given = (X, None, None) if T is None and _is_table(X) else (X, y, T)
        histories = _Histories.read(*given)
        self._learn(_ltv.fit_counts(self._kind, *histories.arrow(), self._penalty()))
        return self

    def predict(self, X: Any) -> _tables.Floats:
        """Expected purchases in the time of each horizon after the observation: ``[customers, horizons]``, or
        ``[customers]`` of a model with one horizon.

        Parameters
        ----------
        X : table with columns ``frequency``, ``recency`` and ``T``
        """
        horizons = self._horizons()
        found = self.expected_purchases(horizons, _table(X))
        return cast(_tables.Floats, found[:, 0] if len(horizons) == 1 else found)

    def expected_purchases(self, t: Any, frequency: Any = None, recency: Any = None, T: Any = None) -> Any:
        """Expected purchases in ``(T, T + t]`` of customers with a history.

        In ``lifetimes``: ``conditional_expected_number_of_purchases_up_to_time``.

        Parameters
        ----------
        t : time ahead, 0 or more, in the unit of ``T``; or a list of such
        frequency, recency, T : numbers or arrays of one shape; or a table in place of all three

        Returns
        -------
        numpy.ndarray or float
            Of one ``t`` in the shape of the customers, of a list ``[..., t]``. Unlike there, a list of times does not
            stand for one time for each customer.
        """
        parameters = self._parameters()
        times, shape = _ahead(t)
        histories = _Histories.read(frequency, recency, T)
        found = _ltv.expected_after(self._kind, parameters, times, *histories.arrow()).to_numpy()
        return _shaped(found, histories.shape + shape)

    def expected_new(self, t: Any) -> Any:
        """Expected repeat purchases in the first ``t`` of a customer of whom nothing is known yet; a float, or an array
        where ``t`` is one.

        In ``lifetimes``: ``expected_number_of_purchases_up_to_time``.
        """
        parameters = self._parameters()
        times, shape = _ahead(t)
        return _shaped(_ltv.expected(self._kind, parameters, times), shape)

    def probability_alive(self, frequency: Any = None, recency: Any = None, T: Any = None) -> Any:
        """P(alive at ``T``): that a customer has not left for good.

        In ``lifetimes``: ``conditional_probability_alive``.

        Parameters
        ----------
        frequency, recency, T : numbers or arrays of one shape; or a table in place of all three

        Returns
        -------
        numpy.ndarray or float
            In the shape of the customers.
        """
        parameters = self._parameters()
        histories = _Histories.read(frequency, recency, T)
        return _shaped(_ltv.alive(self._kind, parameters, *histories.arrow()).to_numpy(), histories.shape)

    def predict_quantiles(self, X: Any, levels: Sequence[float] = LEVELS) -> _tables.Floats:
        """Quantiles of the number of purchases: ``[customers, horizons, levels]``, whole numbers: the smallest ``n``
        with ``P(N <= n)`` of at least the level. Of more than a million purchases, a million count.

        Parameters
        ----------
        X : table with columns ``frequency``, ``recency`` and ``T``
        levels : between 0 and 1
        """
        self._parameters()
        wanted = np.atleast_1d(_numbers(levels, "levels"))
        if len(wanted) == 0 or not ((wanted > 0) & (wanted < 1)).all():
            raise InputError(f"levels: {levels}; give quantiles between 0 and 1, such as 0.5")
        horizons = self._horizons()
        distinct, of = _Histories.read(_table(X)).distinct()
        found = np.empty((len(distinct.T), len(horizons), len(wanted)))
        for i, t in enumerate(horizons):
            rows, most = np.arange(len(distinct.T)), 64
            while len(rows):
                open_ = []
                for part, shares in self._shares(distinct, rows, t, most):
                    reached = shares[:, None, :] >= wanted[None, :, None] - _ROUNDING
                    found[part, i, :] = reached.argmax(axis=2)
                    # The last share holds all that is left.
                    open_.append(part[(found[part, i, :] >= most).any(axis=1)])
                rows = np.concatenate(open_) if most < _MOST else rows[:0]
                most = min(8 * most, _MOST)
        return found[of]

    def predict_distribution(self, X: Any, at: npt.ArrayLike | None = None) -> Distribution:
        """Distributions of the number of purchases ``N``: ``P(N <= at)``, ``[customers, horizons, at]``.

        Parameters
        ----------
        X : table with columns ``frequency``, ``recency`` and ``T``
        at : numbers of purchases; 0, 1, ..., 10 if not given
        """
        self._parameters()
        values = np.arange(11.0) if at is None else np.unique(_tables.floats(at, "at"))
        if len(values) == 0 or not np.isfinite(values).all():
            raise InputError("at: give finite numbers of purchases at which the distributions are wanted")
        horizons = self._horizons()
        distinct, of = _Histories.read(_table(X)).distinct()
        whole = np.floor(values)
        top = int(min(max(whole[-1], 0), _MOST - 1))
        found = np.zeros((len(distinct.T), len(horizons), len(values)))
        for i, t in enumerate(horizons):
            rows, most = np.arange(len(distinct.T)), min(64, top + 1)
            while len(rows):
                open_ = []
                for part, shares in self._shares(distinct, rows, t, most):
                    reach = np.clip(whole, 0, most).astype(np.intp)
                    found[part, i, :] = np.where(whole < 0, 0.0, shares[:, reach])
                    open_.append(part[shares[:, most - 1] < 1 - _ROUNDING])
                rows = np.concatenate(open_) if most <= top else rows[:0]
                most = min(8 * most, top + 1)
        return Distribution(values, found[of], cast("list[int]", horizons))

    def _shares(
        self, histories: _Histories, rows: npt.NDArray[np.intp], t: float, most: int
    ) -> Iterator[tuple[npt.NDArray[np.intp], _tables.Floats]]:
        """Some customers at a time, and their ``P(N <= n)`` of ``n = 0 ..= most``, the last one 1."""
        step = max(1, _CELLS // (most + 1))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            some = histories.some(part).arrow()
            found = _ltv.purchase_shares(self._kind, self._parameters(), t, most, *some).to_numpy()
            yield part, found.reshape(-1, most + 1)

    def score(self, X: Any, y: Any = None) -> float:
        """How well the model describes customers, higher is better.

        Parameters
        ----------
        X : table with columns ``frequency``, ``recency`` and ``T``
        y : purchases seen later, a column for each horizon, NaN where not yet known

        Returns
        -------
        float
            Without ``y`` the mean log-likelihood of a customer; with it how well customers are ordered: the
            normalised Gini coefficient, mean over horizons, as of the other estimators.
        """
        parameters = self._parameters()
        table = _table(X)
        if y is None:
            histories = _Histories.read(table)
            if len(histories.T) == 0:
                raise InputError("X has no rows; give one customer at least")
            return _ltv.counts_log_likelihood(self._kind, parameters, *histories.arrow()) / len(histories.T)
        from ltv.metrics import normalized_gini

        seen = _later(y, len(self._horizons()))
        predicted = np.asarray(self.predict(table)).reshape(-1, seen.shape[1])
        if len(seen) != len(predicted):
            raise InputError(f"X has {len(predicted)} rows, y {len(seen)}; give as many")
        ginis = []
        for i in range(seen.shape[1]):
            known = ~np.isnan(seen[:, i])
            ginis.append(normalized_gini(seen[known, i], predicted[known, i]))
        return float(np.mean(ginis))

    def _horizons(self) -> list[float]:
        self._parameters()
        found = np.atleast_1d(_numbers(self.horizons, "horizons"))
        good = len(found) > 0 and np.isfinite(found).all() and (found > 0).all() and (np.diff(found) > 0).all()
        if not good:
            raise InputError(f"horizons: {self.horizons}; give times above 0, ascending, in the unit of T")
        return [int(t) if t == int(t) else float(t) for t in found]


def _table(X: Any) -> Any:
    if not _is_table(X):
        raise InputError(f"X: {_kind(X)} is no table; give one with columns 'frequency', 'recency' and 'T'")
    return X


def _shaped(found: Any, shape: tuple[int, ...]) -> Any:
    """Numbers of the extension module, as an array that may be written to, or as a number."""
    return np.array(found).reshape(shape) if shape else float(found[0])


_COUNTS = """
    Parameters
    ----------
    penalizer_coef : weight of the sum of squared parameters, which is added to minus the mean log-likelihood; 0 for
        none. ``alpha`` (and ``beta``) are then counted on a clock whose largest ``T`` is 10
    horizons : times after the observation that :meth:`predict` is about, ascending, in the unit of the data

    Attributes
    ----------
    params_ : the parameters, as a dict; times in the unit of the data
    log_likelihood_ : of all customers, without the penalty; in the unit of the data, like ``params_``
    n_customers_ : how many it was fitted to
    at_limit_ : whether a parameter ran off to where the likelihood is flat: its value means nothing then, predictions
        hold

    Notes
    -----
    scikit-learn's conventions hold: ``get_params``, ``set_params``, ``clone``, pickles, model selection. Of its
    estimator checks those apply that fit nothing, and pass. All others fit a matrix of any numbers without names, and
    are refused: columns must be named, and their rows histories that customers can have.
"""


class BGNBD(_Counts):
    __doc__ = f"""BG/NBD (Fader, Hardie and Lee 2005): customers buy at a rate of their own, and may leave after each of
    their repeat purchases. ``BetaGeoFitter`` of ``lifetimes``.

    Rates are Gamma with shape ``r`` and rate parameter ``alpha``, chances to leave Beta with ``a`` and ``b``. "Counting
    your customers" the easy way: an alternative to the Pareto/NBD model, Marketing Science 24 (2).
{_COUNTS}
    A customer without a repeat purchase is alive for certain: that is the model's, not this package's.

    Examples
    --------
    >>> from ltv import btyd
    >>> customers = {{"frequency": [2, 0, 1, 7, 0, 3], "recency": [30, 0, 2, 37, 0, 9], "T": [39, 39, 38, 38, 37, 37]}}
    >>> model = btyd.BGNBD(penalizer_coef=0.01, horizons=[4, 52]).fit(customers)
    >>> sorted(model.params_)
    ['a', 'alpha', 'b', 'r']
    >>> model.predict(customers).shape
    (6, 2)

    With parameters from elsewhere, the paper's here, in weeks:

    >>> model = btyd.BGNBD.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426)
    >>> round(model.expected_purchases(39, frequency=2, recency=30.43, T=38.86), 3)
    1.226
    >>> model.probability_alive(customers).round(2)
    array([0.72, 1.  , 0.23, 0.9 , 1.  , 0.13])
    >>> model.predict_distribution(customers, at=[0, 5]).cdf.shape
    (6, 4, 2)
    """

    _kind = "bg_nbd"
    _names = ("r", "alpha", "a", "b")

    @classmethod
    def from_params(cls, r: float, alpha: float, a: float, b: float, **options: Any) -> BGNBD:
        """A model with these parameters, as if fitted; ``options`` are those of the class. It has ``params_`` alone."""
        return cast(BGNBD, cls._with({"r": r, "alpha": alpha, "a": a, "b": b}, options))


class ParetoNBD(_Counts):
    __doc__ = f"""Pareto/NBD (Schmittlein, Morrison and Colombo 1987): customers buy at a rate of their own for a
    lifetime that may end at any moment. ``ParetoNBDFitter`` of ``lifetimes``.

    Rates are Gamma with shape ``r`` and rate parameter ``alpha``, lifetimes exponential with rates that are Gamma with
    ``s`` and ``beta``. Formulas of Fader and Hardie, "A note on deriving the Pareto/NBD model" (2005), in a form that
    loses no digits where customers bought on the last day or very often.
{_COUNTS}
    ``lifetimes`` 0.11.3 adds the penalty to the sum of all customers' log-likelihoods, where it hardly weighs, and not
    to their mean as here and as its own ``BetaGeoFitter`` does.

    Examples
    --------
    >>> from ltv import btyd
    >>> customers = {{"frequency": [2, 0, 1, 7, 0, 3], "recency": [30, 0, 2, 37, 0, 9], "T": [39, 39, 38, 38, 37, 37]}}
    >>> model = btyd.ParetoNBD(penalizer_coef=0.01, horizons=[4, 52]).fit(customers)
    >>> sorted(model.params_)
    ['alpha', 'beta', 'r', 's']
    >>> model.predict_quantiles(customers, levels=[0.5, 0.9]).shape
    (6, 2, 2)

    With parameters from elsewhere, in weeks:

    >>> model = btyd.ParetoNBD.from_params(r=0.553, alpha=10.578, s=0.606, beta=11.669, horizons=[39])
    >>> model.predict(customers).round(2)
    array([1.43, 0.11, 0.19, 4.96, 0.11, 0.38])
    """

    _kind = "pareto_nbd"
    _names = ("r", "alpha", "s", "beta")

    @classmethod
    def from_params(cls, r: float, alpha: float, s: float, beta: float, **options: Any) -> ParetoNBD:
        """A model with these parameters, as if fitted; ``options`` are those of the class. It has ``params_`` alone."""
        return cast(ParetoNBD, cls._with({"r": r, "alpha": alpha, "s": s, "beta": beta}, options))


class GammaGamma(_Fitted):
    """Gamma-Gamma (Fader and Hardie 2013): what a customer's purchases are worth. ``GammaGammaFitter`` of
    ``lifetimes``.

    Values of purchases are Gamma with shape ``p`` and a rate parameter of the customer's own, which is Gamma with shape
    ``q`` and rate parameter ``v`` (``gamma`` in the paper). How much customers spend has nothing to do with how often
    they buy: check that it is so.

    Parameters
    ----------
    penalizer_coef : weight of the sum of squared parameters, which is added to minus the mean log-likelihood; 0 for
        none

    Attributes
    ----------
    params_ : ``p``, ``q`` and ``v``, as a dict
    log_likelihood_ : of the customers who count, without the penalty
    n_customers_ : how many they are
    n_skipped_ : how many did not count: without a repeat purchase, or with a mean value that is not above 0
    at_limit_ : whether a parameter ran off to where the likelihood is flat

    Notes
    -----
    Of scikit-learn's estimator checks those apply that fit nothing, and pass; the others fit columns without names.

    Examples
    --------
    >>> from ltv import btyd
    >>> spend = {"frequency": [2, 1, 0, 4, 3, 1], "monetary_value": [22.3, 11.8, 0.0, 45.0, 30.5, 60.0]}
    >>> model = btyd.GammaGamma(penalizer_coef=0.001).fit(spend)
    >>> model.n_customers_, model.n_skipped_
    (5, 1)
    >>> model.predict(spend).shape
    (6,)

    With parameters from elsewhere, the paper's here:

    >>> model = btyd.GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
    >>> model.predict({"frequency": [0, 2], "monetary_value": [0.0, 22.345]}).round(2)
    array([35.22, 24.66])
    """

    _names = ("p", "q", "v")

    n_skipped_: int

    def __init__(self, penalizer_coef: float = 0.0) -> None:
        self.penalizer_coef = penalizer_coef

    @classmethod
    def from_params(cls, p: float, q: float, v: float, **options: Any) -> GammaGamma:
        """A model with these parameters, as if fitted; ``options`` are those of the class. It has ``params_`` alone."""
        return cast(GammaGamma, cls._with({"p": p, "q": q, "v": v}, options))

    def fit(self, X: Any = None, y: Any = None, *, frequency: Any = None, monetary_value: Any = None) -> Any:
        """Fits the model by maximum likelihood: ``fit(table)``, or ``fit(frequency, monetary_value)`` as in
        ``lifetimes``.

        Customers without a repeat purchase, or whose mean is not above 0, do not count: a Gamma distribution has no
        place for them (``lifetimes`` refuses them).

        Parameters
        ----------
        X : table (pandas, polars, PyArrow, DuckDB, dict of arrays, path of Parquet files) with columns
            ``frequency`` and ``monetary_value``, as :func:`summary` makes them, others may be there as well; or the
            first one alone
        y : beside a table, not used; else ``monetary_value``; they have these names as keywords

        Raises
        ------
        InputError, DataError
            When a column is missing, or a cell is empty or no number; column and row are named.
        ModelError
            When nobody counts, or the likelihood has no maximum (all values alike, say).
        """
        if frequency is not None or monetary_value is not None:
            days, means, _ = _spend(frequency, monetary_value if monetary_value is not None else y)
        else:
            days, means, _ = _spend(X, None if _is_table(X) else y)
        self._learn(_ltv.fit_spend(_tables.arrow(days), _tables.arrow(means), self._penalty()))
        self.n_skipped_ = len(days) - self.n_customers_
        return self

    def predict(self, X: Any) -> _tables.Floats:
        """Expected mean value of a purchase of each customer: ``[customers]``.

        Parameters
        ----------
        X : table with columns ``frequency`` and ``monetary_value``
        """
        self._parameters()
        if not _is_table(X):
            raise InputError(f"X: {_kind(X)} is no table; give one with columns 'frequency' and 'monetary_value'")
        return cast(_tables.Floats, self.expected_spend(X))

    def expected_spend(self, frequency: Any = None, monetary_value: Any = None) -> Any:
        """Expected mean value of a purchase, given those that were seen.

        In ``lifetimes``: ``conditional_expected_average_profit``. Who has no repeat purchase, or a mean that is not
        above 0, gets the mean of all customers, ``p v / (q - 1)``.

        Parameters
        ----------
        frequency, monetary_value : numbers or arrays of one shape; or a table in place of both

        Returns
        -------
        numpy.ndarray or float
            In the shape of the customers.

        Raises
        ------
        ModelError
            When ``q`` is 1 or less, so that a customer who is not yet known has no mean.
        """
        p, q, v = self._parameters()
        days, means, shape = _spend(frequency, monetary_value)
        found = _ltv.expected_spend([p, q, v], _tables.arrow(days), _tables.arrow(means)).to_numpy()
        if not np.isfinite(found).all():
            row = int(np.argmin(np.isfinite(found))) + 1
            raise ModelError(
                f"with q = {q:g} a customer who is not yet known, as in row {row}, has no mean, which needs q > 1; "
                "cap the largest values and fit again, or leave such customers out"
            )
        return _shaped(found, shape)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood of the customers who count, higher is better.

        Parameters
        ----------
        X : table with columns ``frequency`` and ``monetary_value``
        y : not used
        """
        p, q, v = self._parameters()
        days, means, _ = _spend(X)
        counts = int(((days > 0) & (means > 0)).sum())
        if counts == 0:
            raise InputError("nobody has a repeat purchase of a mean value above 0; give customers who have")
        return _ltv.spend_log_likelihood([p, q, v], _tables.arrow(days), _tables.arrow(means)) / counts

    def customer_lifetime_value(
        self, counts: Any, X: Any, months: int = 12, discount_rate: float = 0.01, freq: str = "D"
    ) -> _tables.Floats:
        """What customers will be worth in the months ahead, discounted month by month to today.

        The sum over months of expected purchases in the month, times the expected value of one, over
        ``(1 + discount_rate)`` to the power of the month, counted from 1.

        Parameters
        ----------
        counts : fitted :class:`BGNBD` or :class:`ParetoNBD`
        X : table with columns ``frequency``, ``recency``, ``T`` and ``monetary_value``
        months : how far ahead, 1 or more
        discount_rate : for one month; 0.01 is about 12.7% a year
        freq : unit of ``T`` and of ``counts``: ``"D"``, ``"W"``, ``"M"`` or ``"h"``. A month is 30 days, 4.345 weeks or
            720 hours, as in ``lifetimes``

        Returns
        -------
        numpy.ndarray
            ``[customers]``, in units of value. ``GammaGammaFitter.customer_lifetime_value`` of ``lifetimes``.

        Examples
        --------
        >>> from ltv import btyd
        >>> customers = {"frequency": [2, 0], "recency": [30, 0], "T": [39, 39], "monetary_value": [22.345, 0.0]}
        >>> counts = btyd.BGNBD.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426)
        >>> spend = btyd.GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
        >>> spend.customer_lifetime_value(counts, customers, months=12, freq="W").round(2)
        array([35.84,  8.35])
        """
        self._parameters()
        if freq not in _MONTH:
            raise InputError(f"freq: {freq!r} is none of 'D', 'W', 'M' and 'h'")
        if not 1 <= _number(months, "months") < np.inf or months != int(months):
            raise InputError(f"months: {months}; give a whole number from 1 on")
        if not -1 < _number(discount_rate, "discount_rate") < np.inf:
            raise InputError(f"discount_rate: {discount_rate}; give the rate of a month, such as 0.01")
        if not isinstance(counts, _Counts):
            raise InputError(f"counts: {_kind(counts)} is no model of purchases; give a fitted BGNBD or ParetoNBD")
        names = ("frequency", "recency", "T", "monetary_value")
        (x, recency, age, means), _ = _given(names, _table(X), None, None, None)
        month = np.arange(1, int(months) + 1)
        so_far = counts.expected_purchases(month * _MONTH[freq], x, recency, age)
        purchases = np.diff(so_far, axis=1, prepend=0.0)
        return cast(_tables.Floats, self.expected_spend(x, means) * (purchases @ (1.0 + discount_rate) ** -month))


def _spend(frequency: Any, monetary_value: Any = None) -> tuple[_tables.Floats, _tables.Floats, tuple[int, ...]]:
    """Purchases and their mean value, checked, and the shape they had."""
    names = ("frequency", "monetary_value")
    (days, means), shape = _given(names, frequency, monetary_value)
    for column, name in zip((days, means), names):
        _check_finite(column, name)
    _check_counts(days)
    return days, means, shape
