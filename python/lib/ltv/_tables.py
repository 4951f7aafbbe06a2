"""Tables from wherever they are: pandas, polars, PyArrow, DuckDB, NumPy or Parquet.

Data frames are read through the Arrow PyCapsule interface, which copies nothing that is in Arrow's
layout already.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
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
    if n_jobs < 0:
        return max(1, cores + 1 + n_jobs)
    if n_jobs == 0:
        raise InputError("n_jobs: 0 threads; give 1 or more, or -1 for all cores")
    return n_jobs


def is_frame(value: object) -> bool:
    """Whether it is a table with named columns."""
    if type(value) is dict or hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__"):
        return True
    # A lazy frame of polars; a pandas before 2.2.
    return hasattr(value, "collect_schema") or (hasattr(value, "columns") and hasattr(value, "dtypes"))


def stream(value: Any) -> Any:
    """A table as something with ``__arrow_c_stream__``: a Parquet file or folder batch by batch, whatever has that
    method as it is."""
    if is_path(value):
        return scan(value)
    if hasattr(value, "collect_schema") and hasattr(value, "collect"):
        # A lazy frame of polars.
        return value.collect()
    if hasattr(value, "__arrow_c_stream__"):
        return value
    if hasattr(value, "__arrow_c_array__"):
        return pa.table(pa.record_batch(value))
    if type(value) is dict:
        return pa.table(value)
    if hasattr(value, "dtypes"):
        # A pandas before 2.2.
        return pa.Table.from_pandas(value, preserve_index=False)
    kind = type(value).__name__
    raise InputError(
        f"{kind} is no table: give a data frame (pandas, polars, PyArrow, DuckDB), a NumPy array, or a path of Parquet files"
    )


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
    return pa.table(stream(value))


def schema(value: Any) -> pa.Schema:
    """The columns of a table, without reading its rows where that can be had."""
    if is_path(value):
        reader = scan(value)
        found = reader.schema
        reader.close()
        return found
    if isinstance(value, (pa.Table, pa.RecordBatch, pa.RecordBatchReader)):
        return value.schema
    if hasattr(value, "__arrow_c_schema__"):
        return pa.schema(value)
    return table(value).schema


def number_columns(array: npt.ArrayLike, names: Sequence[str]) -> pa.Table:
    """A matrix as a table."""
    matrix = np.asarray(array, dtype=np.float64)
    columns = [pa.array(np.ascontiguousarray(matrix[:, i])) for i in range(matrix.shape[1])]
    return pa.table(columns, names=list(names))


def floats(values: Any, name: str = "values") -> Floats:
    """One column of numbers, NaN where missing."""
    if is_path(values):
        raise InputError(f"{name}: give numbers, not a path")
    if hasattr(values, "__arrow_c_array__") or isinstance(values, pa.ChunkedArray):
        array = values if isinstance(values, pa.ChunkedArray) else pa.array(values)
        values = array.to_numpy(zero_copy_only=False) if isinstance(array, pa.Array) else array.to_numpy()
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
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


def is_label(name: str) -> bool:
    """Whether a column is a label."""
    return _LABEL.match(name) is not None


def features_of(
    columns: pa.Schema, categorical: Sequence[str], given: Sequence[str] | None
) -> list[dict[str, Any]]:
    """What the columns of a table are to a model: days of sequences, categories, numbers."""
    names = list(given) if given is not None else [n for n in columns.names if _may_be_feature(n)]
    missing = [name for name in [*names, *categorical] if name not in columns.names]
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


def _may_be_feature(name: str) -> bool:
    return name not in RESERVED and not is_label(name)


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
        found = found.value_type
    text = pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    if text or categorical:
        return "categorical"
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_boolean(found)
    if number or pa.types.is_decimal(found) or pa.types.is_null(found):
        return "numeric"
    raise InputError(
        f"column '{field.name}' is {field.type}, which can be no feature: make it numbers or text, or leave it out"
    )
