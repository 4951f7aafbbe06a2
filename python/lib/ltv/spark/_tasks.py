"""What runs on the executors: each try of each partition scores its rows into a file of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ltv import _ltv

_HASH = "__ltv_hash"


@dataclass(frozen=True)
class _Job:
    """What parts and the snapshot have in common."""

    as_of: str
    decoding: str
    keep: bool

    def part(self, model: _ltv.Model, batches: pa.RecordBatchReader, folder: Path, name: str) -> str:
        return _ltv.score_part(model, batches, folder, name, self.as_of, self.decoding, self.keep)


class _Task:
    """What runs on the executors, once for each try of each partition."""

    def __init__(self, model: Any, key: str, folder: Path, job: _Job) -> None:
        self.model = model
        self.key = key
        self.folder = folder
        self.job = job

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        first = next(batches, None)
        context = TaskContext.get()
        if first is None or context is None:
            return
        number = context.partitionId()
        name = f"part-{number:05}-{context.attemptNumber()}-{uuid.uuid4().hex}.parquet"
        seen = _Seen()
        rows = pa.RecordBatchReader.from_batches(_without_hash(first).schema, seen.follow(first, batches))
        made = self.job.part(_of_bytes(self.key, self.model), rows, self.folder, name)
        yield pa.RecordBatch.from_pydict({"number": [number], "rows": [seen.rows], "hash": [seen.hash], "made": [made]})


class _Seen:
    """What went by."""

    def __init__(self) -> None:
        self.rows = 0
        self.hash = 0

    def follow(self, first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield self._counted(first)
        for batch in others:
            yield self._counted(batch)

    def _counted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.rows += batch.num_rows
        self.hash ^= int(np.bitwise_xor.reduce(batch.column(_HASH).to_numpy()))
        return _without_hash(batch)


def _without_hash(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.select([name for name in batch.schema.names if name != _HASH])


#: The model of this worker process, by the checksum of its bytes.
_models: dict[str, _ltv.Model] = {}


def _of_bytes(key: str, broadcast: Any) -> _ltv.Model:
    """The model, made once for each worker process."""
    if key not in _models:
        _models.clear()
        _models[key] = _ltv.Model.from_bytes(broadcast.value)
    return _models[key]
