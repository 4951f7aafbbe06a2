"""Tables from wherever they are: pandas, polars, PyArrow, DuckDB, NumPy or Parquet.

Data frames are read through the Arrow PyCapsule interface, which copies nothing that is in Arrow's
layout already.
"""

from __future__ import annotations

import numbers
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltv.errors import DataError, InputError

PathLike = Union[str, "os.PathLike[str]"]
Floats = npt.NDArray[np.float64]

_LABEL = re.compile(r"ltv_([1-9][0-9]*)$")
_DAY = re.compile(r"(.+)_d([0-9]+)$")
#: Columns that are no features.
RESERVED = ("user_id", "reg_day", "status")
#: As many as the program takes.
MOST_THREADS = 1024


def is_path(value: object) -> bool:
    """Whether it names a file or folder."""
    return isinstance(value, (str, os.PathLike))


def is_dataset(path: PathLike) -> bool:
    """Whether a path names a dataset rather than a table: a folder with a manifest, or of shards, or an address."""
    text = os.fspath(path)
    if text.startswith("s3://"):
        return True
    folder = Path(text)
    if (folder / "manifest.json").is_file():
        return True
    return folder.is_dir() and any((child / "manifest.json").is_file() for child in folder.iterdir())


def threads(n_jobs: int | None) -> int:
    """Threads, as scikit-learn counts jobs: all cores for None and -1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is None:
        return cores
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, numbers.Integral):
        raise InputError(f"n_jobs: {n_jobs!r} is no number of threads; give a whole one, or None for all cores")
    if n_jobs < 0:
        return max(1, cores + 1 + int(n_jobs))
    if not 1 <= n_jobs <= MOST_THREADS:
        raise InputError(f"n_jobs: {n_jobs} threads; give 1 to {MOST_THREADS}, or -1 for all cores")
    return int(n_jobs)


def is_frame(value: object) -> bool:
    """Whether it is a table with named columns."""
    if is_column(value):
        return False
    if type(value) is dict or hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__"):
        return True
    # A lazy frame of polars; a pandas before 2.2.
    return hasattr(value, "collect_schema") or (hasattr(value, "columns") and hasattr(value, "dtypes"))


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Errors of PyArrow, of files and of conversions as ours."""
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, OverflowError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        advice = "see that it is whole, and each column of one type"
        raise DataError(f"{what}: cannot be read ({problem}); {advice}") from error


def stream(value: Any) -> Any:
    """A table as something with ``__arrow_c_stream__``: a Parquet file or folder batch by batch, data frames without a
    copy where they are in Arrow's layout. An index of pandas is no column."""
    if is_path(value):
        return scan(value)
    with reading("the table"):
        if hasattr(value, "collect_schema") and hasattr(value, "collect"):
            # A lazy frame of polars.
            return value.collect()
        if _module(value) == "pandas":
            return _of_pandas(value)
        if hasattr(value, "__arrow_c_stream__") and not is_column(value):
            return value
        if hasattr(value, "__arrow_c_array__") and not is_column(value):
            return pa.table(pa.record_batch(value))
        if type(value) is dict:
            return pa.table(value)
    kind = type(value).__name__
    raise InputError(
        f"{kind} is no table: give a data frame (pandas, polars, PyArrow, DuckDB), a NumPy array, or a path of Parquet "
        "files"
    )


def _module(value: Any) -> str:
    return type(value).__module__.split(".")[0]


def _of_pandas(frame: Any) -> pa.Table:
    if not hasattr(frame, "columns"):
        raise InputError("a Series is one column: give a table, such as series.to_frame()")
    names = [str(name) for name in frame.columns]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise InputError(f"the table has two columns '{twice[0]}'; rename one")
    return pa.Table.from_pandas(frame, preserve_index=False)


def is_column(value: Any) -> bool:
    """Whether it is one column: of pandas, polars or PyArrow."""
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return not isinstance(value, pa.StructArray)
    return type(value).__name__ == "Series" and _module(value) in ("pandas", "polars")


def scan(path: PathLike) -> pa.RecordBatchReader:
    """A Parquet file, or a folder of them, batch by batch."""
    import pyarrow.dataset as ds

    text = os.fspath(path)
    if not os.path.exists(text):
        raise InputError(f"{text}: no such file or folder; give a Parquet file, a folder of them, or a dataset")
    try:
        return ds.dataset(parquet_files(text), format="parquet").scanner(batch_size=65_536).to_reader()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{text}: not a whole Parquet file ({error}); write it again") from error


def parquet_files(path: PathLike) -> list[str]:
    """The Parquet files of a folder, by name; a file as it is."""
    text = os.fspath(path)
    if not os.path.isdir(text):
        return [text]
    found = sorted(str(file) for file in Path(text).rglob("*.parquet"))
    if not found:
        raise InputError(f"{text}: no Parquet file in this folder (*.parquet); give the files, or another folder")
    return found


def table(value: Any) -> pa.Table:
    """The whole table, without a copy where it is in Arrow's layout."""
    found = stream(value)
    with reading(os.fspath(value) if is_path(value) else "the table"):
        return pa.table(found)


def opened(value: Any) -> pa.Table | pa.RecordBatchReader:
    """A table whose columns are known and whose rows are read once, whatever it takes to make them."""
    found = stream(value)
    if isinstance(found, (pa.Table, pa.RecordBatchReader)):
        return found
    if isinstance(found, pa.RecordBatch):
        return pa.table(found)
    with reading("the table"):
        return pa.RecordBatchReader.from_stream(found)


def held(value: Any) -> Any:
    """A table that gives the same rows in the same order each time that it is read: what has to be computed, or can be
    read only once, is read now."""
    if is_path(value) or type(value) is dict or isinstance(value, (pa.Table, pa.RecordBatch)):
        return value
    if hasattr(value, "collect_schema") and hasattr(value, "collect"):
        return value.collect()
    if not is_frame(value) or _has_rows(value):
        return value
    return table(value)


def _has_rows(value: Any) -> bool:
    """Whether it is a data frame in memory: of pandas or polars."""
    return _module(value) in ("pandas", "polars")


def names(value: Any) -> list[str] | None:
    """The columns of a table, where they are known without reading it."""
    if is_path(value):
        reader = scan(value)
        reader.close()
        return list(reader.schema.names)
    if type(value) is dict:
        return list(value)
    if isinstance(value, (pa.Table, pa.RecordBatch, pa.RecordBatchReader)):
        return list(value.schema.names)
    if hasattr(value, "collect_schema"):
        return list(value.collect_schema().names())
    columns = getattr(value, "columns", None)
    return [str(name) for name in columns] if columns is not None else None


def only(value: Any, columns: Sequence[str]) -> Any:
    """A data frame of pandas or polars with these columns alone, so that no other has to be converted."""
    found = names(value) if _has_rows(value) and not hasattr(value, "collect") else None
    if found is None or len(found) == len(columns) or len(set(found)) < len(found):
        return value
    return value[list(columns)]


def number_columns(array: npt.ArrayLike, names: Sequence[str]) -> pa.Table:
    """A matrix as a table."""
    matrix = np.asarray(array, dtype=np.float64)
    columns = [pa.array(np.ascontiguousarray(matrix[:, i])) for i in range(matrix.shape[1])]
    return pa.table(columns, names=list(names))


def floats(values: Any, name: str = "values") -> Floats:
    """One column of numbers, NaN where missing."""
    if is_path(values):
        raise InputError(f"{name}: give numbers, not a path")
    if isinstance(values, pa.Array):
        values = values.to_numpy(zero_copy_only=False)
    elif isinstance(values, pa.ChunkedArray) or _module(values) == "polars":
        values = values.to_numpy()
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    raw = np.asarray(values)
    if raw.dtype.kind in "mM":
        raise InputError(f"{name}: dates or times; give numbers")
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: not numbers ({error})") from error
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise InputError(f"{name}: {found.ndim} dimensions; give one column of numbers")
    return np.ascontiguousarray(found)


def arrow(values: Floats) -> pa.Array:
    """The same numbers for the extension module, not copied."""
    return pa.array(values.ravel())


def horizons_of(names: Iterable[str]) -> list[int]:
    """The horizons that columns ``ltv_<N>`` are labels of, ascending."""
    found = (_LABEL.match(name) for name in names)
    return sorted(int(match.group(1)) for match in found if match)


def listed(value: Any, name: str) -> list[Any]:
    """A list, where one text would be taken for its letters."""
    if value is None:
        return []
    if isinstance(value, (str, bytes)):
        raise InputError(f"{name}: give a list, [{value!r}], not a text")
    try:
        return list(value)
    except TypeError as error:
        raise InputError(f"{name}: {value!r} is no list; give one, such as [{value!r}]") from error


def days(value: Any) -> list[int] | None:
    """Horizons, ascending, where they are given."""
    if value is None:
        return None
    found = [value] if isinstance(value, numbers.Integral) else listed(value, "horizons")
    bad = [day for day in found if isinstance(day, bool) or not isinstance(day, numbers.Integral)]
    if bad or not found:
        raise InputError(f"horizons: {value!r}; give whole days, such as [30, 90, 180, 365]")
    return [int(day) for day in found]


@contextmanager
def called(places: Mapping[str, str]) -> Iterator[None]:
    """Errors that name places of ours, which nobody knows, by what was put there."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for place, words in places.items():
            text = re.sub(re.escape(place) + r"[\w./-]*", words, text)
        if text == str(error):
            raise
        raise type(error)(text) from None


def is_label(name: str) -> bool:
    """Whether a column is a label."""
    return _LABEL.match(name) is not None


def features_of(columns: pa.Schema, categorical: Sequence[str]) -> list[dict[str, Any]]:
    """What the columns of a table are to a model: days of sequences, categories, numbers."""
    names = [name for name in columns.names if name not in RESERVED and not is_label(name)]
    missing = [name for name in categorical if name not in columns.names]
    if missing:
        raise InputError(f"the table has no column '{missing[0]}'; its columns are {', '.join(columns.names)}")
    if len(set(names)) < len(names):
        raise InputError("features: a column is named twice")
    sequences = _sequences(names)
    in_sequence = {column for days in sequences.values() for column in days}
    found: list[dict[str, Any]] = []
    done = set()
    for name in names:
        if name in in_sequence:
            match = _DAY.match(name)
            stem = match.group(1) if match else name
            if stem not in done:
                done.add(stem)
                found.append({"name": stem, "kind": "sequence", "columns": sequences[stem]})
            continue
        kind = _kind(columns.field(name), name in categorical)
        found.append({"name": name, "kind": kind, "columns": [name]})
    if not found:
        raise InputError("the table has no column that could be a feature beside user_id, reg_day, status and labels")
    return found


def _sequences(names: Sequence[str]) -> dict[str, list[str]]:
    """Stems with a column for each of two or more days in a row, from day 0."""
    days: dict[str, set[int]] = {}
    for name in names:
        match = _DAY.match(name)
        if match and str(int(match.group(2))) == match.group(2):
            days.setdefault(match.group(1), set()).add(int(match.group(2)))
    whole = {stem: all_ for stem, all_ in days.items() if len(all_) > 1 and all_ == set(range(len(all_)))}
    return {stem: [f"{stem}_d{day}" for day in range(len(all_))] for stem, all_ in whole.items()}


def _kind(field: pa.Field, categorical: bool) -> str:
    found = field.type
    if pa.types.is_dictionary(found):
        return "categorical"
    text = pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    if text or categorical:
        return "categorical"
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_boolean(found)
    if number or pa.types.is_decimal(found) or pa.types.is_null(found):
        return "numeric"
    raise InputError(
        f"column '{field.name}' is {field.type}, which can be no feature: make it numbers or text, or leave it out"
    )
