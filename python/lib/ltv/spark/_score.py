"""Scores on Spark."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltv import _ltv, errors
from ltv._fitted import model_of
from ltv._options import day, document
from ltv.errors import InputError, LtvError, ScoreError
from ltv.spark._common import engine_errors, is_dataframe, needs_pyspark, short, words
from ltv.spark._rows import _chosen, _expected, _hashed, _no_rows
from ltv.spark._tasks import _Job, _Task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Rows that make a task worth starting, and rows after which another is worth it.
_FEW_ROWS, _MANY_ROWS = 10_000, 1_000_000


def score(
    rows: DataFrame,
    model: Any,
    out: str | os.PathLike[str],
    *,
    as_of: str | datetime.date,
    decoding: str = "expectation",
    past_horizon: str = "keep",
    partitions: int | None = None,
    staging: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Scores every user on Spark and commits one snapshot, every user once, or nothing.

    The rows are divided by user; each task scores its own with one thread and writes them to a file of its own try,
    in a hidden folder beside ``out``. Spark may run a task several times, when an executor dies or is slow: only the
    try whose result it returns counts. The driver then compares all parts with a count of the rows that was made apart
    from them (rows, distinct users, events, and a hash of every value), puts the files together and writes the
    manifest last, as ``ltv score`` does. Whenever something fails, ``out`` stays what it was, and the hidden folder is
    removed.

    ``rows`` is evaluated twice: write costly rows to Parquet first, or cache them. Rows that come out differently the
    second time are refused. Predictions are those of ``ltv score`` to the last bit, but for a user who is alone in a
    task: of one row the network's sums are made in another order, and differ by some millionths.

    Parameters
    ----------
    rows : the rows of a dataset: as :func:`features` makes them, or the Parquet files of a dataset of
        :func:`ltv.features` (``spark.read.parquet(f"{folder}/part-*.parquet")``). Rows do not say of which label they
        are: they have to be made with the feature configuration that the model was trained with
    model : a fitted network (:class:`ltv.ODMN`, :class:`ltv.ZILN`), its ``model_``, or the path of its file
    out : folder of the snapshot, on a file system that driver and executors share; new, empty, or a snapshot to replace
    as_of : the as-of day of the rows
    decoding : how a distribution becomes one value: ``"expectation"``, ``"median"``, ``"quantile:P"``, ``"matched"``
        or ``"argmax"``
    past_horizon : ``"keep"`` or ``"drop"`` users older than the longest horizon
    partitions : tasks, and files at most; from the number of rows and cores if not given
    staging : folder in which the hidden folder is made; of the same file system as ``out``, beside it if not given

    Returns
    -------
    dict
        The manifest of the snapshot (docs/formats/snapshot.md).

    Raises
    ------
    ScoreError
        When rows cannot be scored, parts do not add up, or ``out`` holds anything but a snapshot.
    InputError
        When an option, or the model, cannot be used.
    ImportError
        Without PySpark.

    Examples
    --------
    ::

        rows = spark.read.parquet("features/")
        manifest = ltv.spark.score(rows, "model.ltv", "/shared/scores", as_of="2024-01-01")

    >>> import ltv
    >>> ltv.spark.score.__name__
    'score'
    """
    needs_pyspark()
    if not is_dataframe(rows) or not hasattr(rows, "_jdf"):
        raise InputError(f"rows: {type(rows).__name__} is no DataFrame of a Spark session in this process")
    if past_horizon not in ("keep", "drop"):
        raise InputError(f"past_horizon: {past_horizon!r} is neither 'keep' nor 'drop'")
    if partitions is not None and partitions < 1:
        raise InputError(f"partitions: {partitions} tasks; give 1 or more")
    fitted = model_of(model)
    job = _Job(day(as_of, "as_of"), decoding, past_horizon == "keep")
    target = _target(out)
    folder: Path | None = None
    try:
        chosen = _chosen(rows, fitted)
        # On no rows at all: what is wrong with the options, the model or a column's type shows before any work.
        job.part(fitted, _no_rows(chosen), target.parent, "none.parquet")
        expected = _expected(chosen)
        folder = _beside(target, staging)
        return _committed(chosen, fitted, job, (target, folder), expected, partitions)
    except engine_errors() as error:
        raise _failed(target, error) from error
    finally:
        if folder is not None:
            _removed(folder)



def _target(out: str | os.PathLike[str]) -> Path:
    """The folder of the snapshot; what is in it is looked at again when it is committed."""
    text = os.fspath(out)
    if "://" in text:
        raise InputError(f"out: {text} is an address; give a folder that driver and executors share, and copy it then")
    target = Path(os.path.abspath(text))
    entries = sorted(target.iterdir()) if target.is_dir() else []
    if target.exists() and not target.is_dir():
        raise ScoreError(f"{target}: is no folder; give a new one, an empty one or a snapshot to replace")
    if entries and not _is_snapshot(target):
        raise ScoreError(
            f"{target}: holds '{entries[0].name}', which is not part of a snapshot; "
            "give a new folder, an empty one or a snapshot to replace"
        )
    return target


def _is_snapshot(folder: Path) -> bool:
    try:
        found = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == "ltv-snapshot"


def _beside(target: Path, staging: str | os.PathLike[str] | None) -> Path:
    """The folder, new, into which parts are written."""
    parent = Path(os.path.abspath(os.fspath(staging))) if staging is not None else target.parent
    folder = parent / f".ltv-spark-{target.name}-{uuid.uuid4().hex[:12]}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ScoreError(f"{parent}: cannot make a folder there ({error.strerror})") from error
    return folder


def _removed(folder: Path) -> None:
    # A task that was given up may add a file meanwhile.
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return



def _tasks(rows: int, cores: int) -> int:
    return max(1, min(cores, -(-rows // _FEW_ROWS)), -(-rows // _MANY_ROWS))


def _committed(
    rows: DataFrame,
    model: _ltv.Model,
    job: _Job,
    folders: tuple[Path, Path],
    expected: dict[str, Any],
    partitions: int | None,
) -> dict[str, Any]:
    (target, folder), context = folders, rows.sparkSession.sparkContext
    content = model.to_bytes()
    broadcast = context.broadcast(content)
    try:
        task = _Task(broadcast, hashlib.sha256(content).hexdigest(), folder, job)
        count = partitions or _tasks(expected["rows"], context.defaultParallelism)
        divided = rows.repartition(count, "user_id").sortWithinPartitions("user_id")
        made = _hashed(divided).mapInArrow(task, "number BIGINT, rows BIGINT, hash BIGINT, made STRING")
        parts = sorted(made.collect(), key=lambda part: part["number"])
    finally:
        broadcast.destroy()
    seen = functools.reduce(lambda hash, part: hash ^ part["hash"], parts, 0)
    if seen != expected["hash"] and sum(part["rows"] for part in parts) == expected["rows"]:
        raise ScoreError(
            f"{target}: rows were not the same when they were counted and when they were scored; nothing was "
            "committed: write them to Parquet, and score what is there"
        )
    counted = {name: expected[name] for name in ("rows", "users", "events")}
    ours = [part["made"] for part in parts]
    manifest = _ltv.commit_parts(
        model, target, folder, ours, job.as_of, document(counted), job.decoding, job.keep
    )
    return dict(json.loads(manifest))


_OURS = re.compile(r"ltv\.errors\.(\w+): (.*?)(?=\n\s*\n|\n\s+at |\n\tat |\Z)", re.DOTALL)
_ABSENT = re.compile(r"(?:ModuleNotFoundError|ImportError): .*\bltv\b.*")


def _failed(target: Path, error: Exception) -> LtvError:
    """What went wrong on an executor, in its own words where it is one of our errors."""
    text = words(error)
    found = _OURS.search(text)
    if found:
        kind: type[LtvError] = getattr(errors, found[1], ScoreError)
        return kind(f"{found[2].strip()}; nothing was committed to {target}")
    if _ABSENT.search(text):
        return ScoreError("executors cannot import ltv: install the same wheel in the Python that they run")
    return ScoreError(f"{target}: nothing was committed, as Spark could not finish ({short(text)})")
