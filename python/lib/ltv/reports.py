"""Judging models on datasets, pages with charts, and every command of the program."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ltv import _ltv, _tables
from ltv._fitted import LtvEstimator, model_of
from ltv._options import document
from ltv._progress import listening
from ltv.dataset import Dataset, dataset_of
from ltv.errors import InputError
from ltv.metrics import Evaluation

__all__ = ["Outcome", "Report", "evaluate", "report", "run", "score"]


class Outcome(NamedTuple):
    """What a command had to say: for people, and for programs."""

    text: str
    json: Any

    def __str__(self) -> str:
        return self.text


def run(*arguments: Any, verbose: bool | None = None) -> Outcome:
    """Runs a command of the program ``ltv`` and returns what it would print.

    Commands that run until they are stopped, or print as they go (``serve``, ``daily``, ``completions``), are
    refused: run ``python -m ltv`` for them.

    Raises
    ------
    InputError
        With the message of the program, where its exit code would be 2.

    Examples
    --------
    >>> import ltv
    >>> sim = ltv.simulate(users=50, days=30, activity_days=30, verbose=False)
    >>> ltv.run("inspect", sim.folder).json["format"]
    'ltv-simulation'
    """
    words = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in arguments]
    with listening(verbose) as listener:
        text, found = _ltv.run(words, listener)
    return Outcome(text, json.loads(found))


class Report:
    """An evaluation and its page, which opens without a network."""

    def __init__(self, path: Path, evaluation: Evaluation) -> None:
        self.path = path
        self.evaluation = evaluation

    def __repr__(self) -> str:
        return f"Report({str(self.path)!r})"

    def _repr_html_(self) -> str:
        import html

        page = html.escape(self.path.read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" width="100%" height="700" style="border:0"></iframe>'


@contextmanager
def _judged(model: Any, X: Any, y: Any, part: str | None) -> Iterator[list[str]]:
    """The arguments that name the model's file and a dataset, which are there as long as this is."""
    with tempfile.TemporaryDirectory(prefix="ltv-") as folder:
        if _tables.is_path(model):
            path, fitted = os.fspath(model), None
        else:
            path, fitted = str(Path(folder) / f"{type(model).__name__}.ltv"), model
            model_of(model).save(path)
        users: list[str] = []
        dataset = dataset_of(X)
        if dataset is not None:
            data = dataset.folders
        else:
            from ltv.files import load

            fitted = load(path) if fitted is None else fitted
            if part is not None:
                raise InputError("part: a table has none; everybody in it is judged")
            data, users = [_written(fitted, X, y, Path(folder) / "data")], ["--part", "all"]
        with _tables.called({folder: "the table"}):
            yield ["--model", path, "--data", *data, *users]


def _written(fitted: Any, X: Any, y: Any, out: Path) -> str:
    """The table as a dataset with the columns that the model reads."""
    table, horizons = fitted._labelled(X, y, fitted.horizons_)
    known = fitted._described()["document"]
    spec = fitted._spec(table, horizons, known["window_days"], known["label"])
    out.mkdir()
    _ltv.write_table(table, document(spec), out)
    return str(out)


def evaluate(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    part: str | None = None,
    by: Sequence[str] = (),
    bootstrap: int = 200,
    seed: int = 1,
    n_jobs: int | None = None,
    verbose: bool | None = None,
) -> Evaluation:
    """Judges a model beside two simple rules, as ``ltv evaluate`` does: every metric with an interval.

    Parameters
    ----------
    model : a fitted estimator, or the path of a model
    X, y : a dataset, or a table of features and labels, as estimators take them
    part : users of a dataset: ``"new"`` (registered since the model was trained), ``"test"``, ``"validation"``,
        ``"train"`` or ``"all"``; the most honest that there are if not given. Of a table, everybody
    by : columns of a dataset to report by as well
    bootstrap : resamples for intervals, 20 or more; 0 for none
    """
    return _evaluate(model, X, y, None, part, by, bootstrap, seed, n_jobs, verbose)


def report(
    model: Any,
    X: Any,
    y: Any = None,
    out: _tables.PathLike = "report.html",
    *,
    part: str | None = None,
    by: Sequence[str] = (),
    bootstrap: int = 200,
    seed: int = 1,
    n_jobs: int | None = None,
    verbose: bool | None = None,
) -> Report:
    """Writes a page with charts that judges a model, and opens without a network. Parameters as of :func:`evaluate`."""
    evaluation = _evaluate(model, X, y, out, part, by, bootstrap, seed, n_jobs, verbose)
    return Report(Path(out), evaluation)


def _evaluate(
    model: Any,
    X: Any,
    y: Any,
    page: _tables.PathLike | None,
    part: str | None,
    by: Sequence[str],
    bootstrap: int,
    seed: int,
    n_jobs: int | None,
    verbose: bool | None,
) -> Evaluation:
    arguments = [f"--bootstrap={bootstrap}", f"--seed={seed}", f"--threads={_tables.threads(n_jobs)}"]
    arguments += ["--part", part] if part is not None else []
    by = _tables.listed(by, "by")
    arguments += ["--by", ",".join(by)] if by else []
    arguments += ["--report", os.fspath(page)] if page is not None else []
    with _judged(model, X, y, part) as judged, listening(verbose) as listener:
        found = _ltv.run(["evaluate", *judged, *arguments], listener)[1]
    return Evaluation(json.loads(found))


def score(
    model: Any,
    data: Dataset | _tables.PathLike,
    out: _tables.PathLike,
    *,
    decoding: str | None = None,
    past_horizon: str = "keep",
    n_jobs: int | None = None,
    verbose: bool | None = None,
) -> dict[str, Any]:
    """Scores every user of a dataset into a snapshot, as ``ltv score`` does: every user once, or nothing.

    Parameters
    ----------
    model : a fitted network, or the path of one
    data : the dataset
    out : folder of the snapshot; one that is there is replaced when the new one is complete
    decoding : that of the estimator, or of ``ltv score``, if not given; see :class:`ltv.ODMN`
    past_horizon : ``"keep"`` or ``"drop"`` users older than the longest horizon

    Returns
    -------
    dict
        The manifest of the snapshot (docs/formats/snapshot.md).

    Raises
    ------
    InputError
        When the model knows no distribution, or an option is unknown.
    ScoreError
        When model and dataset do not fit each other, or ``out`` holds anything but a snapshot.
    """
    if past_horizon not in ("keep", "drop"):
        raise InputError(f"past_horizon: {past_horizon!r} is neither 'keep' nor 'drop'")
    fitted = model_of(model)
    if decoding is None:
        decoding = model._decoding() if isinstance(model, LtvEstimator) else "expectation"
    folders = data.folders if isinstance(data, Dataset) else [os.fspath(data)]
    threads = _tables.threads(n_jobs)
    with listening(verbose) as listener:
        return dict(json.loads(fitted.score(folders, out, decoding, past_horizon == "keep", threads, listener)))
