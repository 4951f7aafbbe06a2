"""The extension module, written in Rust. Not part of the interface: use the package."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, final

import pyarrow as pa

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...

_Listener = Callable[[int, str, int | None, int, str], None]
_Path = str | os.PathLike[str]
_Source = _ArrowStream | list[_Path] | tuple[_Path, ...]
_Fitted = tuple[list[float], float, int, bool]

__all__ = [
    "HAS_XGBOOST",
    "Model",
    "VERSION",
    "alive",
    "calendar",
    "commit_parts",
    "counts_log_likelihood",
    "dataset_files",
    "evaluate",
    "expected",
    "expected_after",
    "expected_spend",
    "feature_sql",
    "features",
    "fit_counts",
    "fit_peer",
    "fit_spend",
    "main",
    "metrics",
    "purchase_shares",
    "query_plan",
    "run",
    "score_part",
    "simulator_options",
    "spend_log_likelihood",
    "train",
    "write_table",
]

VERSION: str
HAS_XGBOOST: bool

@final
class Model:
    @staticmethod
    def load(path: _Path) -> Model: ...
    @staticmethod
    def from_bytes(bytes: bytes) -> Model: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: _Path) -> str: ...
    def document(self) -> str: ...
    def columns(self) -> list[str]: ...
    def predict(
        self,
        source: _Source,
        decoding: str,
        threads: int,
        listener: _Listener | None = None,
        only_values: bool = False,
    ) -> pa.RecordBatch: ...
    def quantiles(
        self, source: _Source, levels: Sequence[float], threads: int, listener: _Listener | None = None
    ) -> pa.DoubleArray: ...
    def shares(
        self, source: _Source, at: Sequence[float], threads: int, listener: _Listener | None = None
    ) -> pa.DoubleArray: ...
    def score(
        self,
        data: Sequence[_Path],
        out: _Path,
        decoding: str,
        keep: bool,
        threads: int,
        listener: _Listener | None = None,
    ) -> str: ...

def main(arguments: Sequence[str]) -> int: ...
def run(arguments: Sequence[str], listener: _Listener | None = None) -> tuple[str, str]: ...
def features(
    events: Sequence[_Path],
    users: Sequence[_Path],
    config: _Path | None,
    options: str,
    out: _Path,
    update: _Path | None,
    partitions: int | None,
    threads: int,
    listener: _Listener | None = None,
) -> str: ...
def feature_sql(config: _Path | None, options: str, users: bool) -> str: ...
def simulator_options() -> str: ...
def dataset_files(folders: Sequence[_Path]) -> tuple[str, list[Path]]: ...
def write_table(table: _ArrowStream, spec: str, out: _Path, listener: _Listener | None = None) -> str: ...
def query_plan(config: _Path | None, options: str, users: bool) -> str: ...
def calendar(config: _Path | None, options: str, first: int) -> pa.RecordBatch: ...
def score_part(
    model: Model,
    rows: _ArrowStream,
    folder: _Path,
    name: str,
    as_of: str,
    decoding: str,
    keep: bool,
) -> str: ...
def commit_parts(
    model: Model,
    out: _Path,
    staging: _Path,
    parts: Sequence[str],
    as_of: str,
    expected: str,
    decoding: str,
    keep: bool,
) -> str: ...
def train(
    data: Sequence[_Path],
    preset: str,
    config: _Path | None,
    options: str,
    seed: int,
    threads: int,
    cache: _Path | None,
    checkpoint: _Path | None,
    warm: Model | None,
    listener: _Listener | None = None,
) -> Model: ...
def fit_peer(
    data: Sequence[_Path],
    events: Sequence[_Path],
    config: str,
    horizons: Sequence[int],
    split: str,
    seed: int,
    threads: int,
    listener: _Listener | None = None,
) -> Model: ...
def metrics(labels: _ArrowArray, predictions: _ArrowArray) -> dict[str, float | None]: ...
def evaluate(
    labels: _ArrowArray,
    predictions: Sequence[tuple[str, _ArrowArray]],
    horizons: Sequence[int],
    replicates: int,
    seed: int,
    reference: str | None,
    segments: Sequence[tuple[str, Sequence[str]]],
    threads: int | None = None,
    listener: _Listener | None = None,
) -> str: ...
def fit_counts(
    kind: str, frequency: _ArrowArray, recency: _ArrowArray, age: _ArrowArray, penalty: float
) -> _Fitted: ...
def counts_log_likelihood(
    kind: str, parameters: Sequence[float], frequency: _ArrowArray, recency: _ArrowArray, age: _ArrowArray
) -> float: ...
def alive(
    kind: str, parameters: Sequence[float], frequency: _ArrowArray, recency: _ArrowArray, age: _ArrowArray
) -> pa.DoubleArray: ...
def expected_after(
    kind: str,
    parameters: Sequence[float],
    t: Sequence[float],
    frequency: _ArrowArray,
    recency: _ArrowArray,
    age: _ArrowArray,
) -> pa.DoubleArray: ...
def purchase_shares(
    kind: str,
    parameters: Sequence[float],
    t: float,
    most: int,
    frequency: _ArrowArray,
    recency: _ArrowArray,
    age: _ArrowArray,
) -> pa.DoubleArray: ...
def expected(kind: str, parameters: Sequence[float], t: Sequence[float]) -> list[float]: ...
def fit_spend(days: _ArrowArray, means: _ArrowArray, penalty: float) -> _Fitted: ...
def spend_log_likelihood(parameters: Sequence[float], days: _ArrowArray, means: _ArrowArray) -> float: ...
def expected_spend(parameters: Sequence[float], days: _ArrowArray, means: _ArrowArray) -> pa.DoubleArray: ...
