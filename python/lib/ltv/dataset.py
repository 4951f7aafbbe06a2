"""Datasets: one row for each user, with features and labels, in a folder that the program ``ltv`` reads too."""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ltv import _ltv, _tables
from ltv._options import day, document, laid_over
from ltv._progress import listening
from ltv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "Simulation", "feature_sql", "features", "simulate"]

DateLike = "str | datetime.date"


class Dataset:
    """A dataset on disk: the folder that ``ltv features`` or :func:`features` wrote, or several, its shards.

    Estimators take it as ``X``; its labels come along. It is a table too: whatever reads the Arrow
    PyCapsule interface reads it (``polars.DataFrame(dataset)``, ``pyarrow.table(dataset)``).
    """

    def __init__(self, *folders: _tables.PathLike) -> None:
        if not folders:
            raise InputError("a dataset is one folder or more; give where it is")
        wrong = [folder for folder in folders if not _tables.is_path(folder)]
        if wrong:
            raise InputError(f"{wrong[0]!r} is no path; give the folder of a dataset, or several of its shards")
        self.folders = [os.fspath(folder) for folder in folders]
        self._owned: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Its manifest: what it holds and how it was made (docs/formats/dataset.md)."""
        return dict(json.loads(self._opened[0]))

    @cached_property
    def _opened(self) -> tuple[str, list[str]]:
        """The manifest of all shards, and their files."""
        manifest, files = _ltv.dataset_files(self.folders)
        return manifest, [os.fspath(file) for file in files]

    @property
    def horizons(self) -> list[int]:
        """Days that are predicted, ascending."""
        return list(self.manifest["horizons"])

    @property
    def features(self) -> list[dict[str, Any]]:
        """Name, kind (``numeric``, ``categorical``, ``sequence``) and columns of each feature."""
        return list(self.manifest["features"])

    @property
    def feature_columns(self) -> list[str]:
        """The columns of all features."""
        return [column for feature in self.features for column in feature["columns"]]

    @property
    def label_columns(self) -> list[str]:
        """The columns of the labels, null where not yet known."""
        return [f"ltv_{days}" for days in self.horizons]

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    def __repr__(self) -> str:
        return f"Dataset({', '.join(map(repr, self.folders))})"

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, in the order of the files, as a PyArrow table."""
        import pyarrow.parquet as pq

        files = self._files()
        with _tables.reading(", ".join(self.folders)):
            return pa.concat_tables([pq.read_table(path, columns=columns) for path in files])

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows, in the order of the files, as a data frame of pandas."""
        return self.to_arrow(columns).to_pandas()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        import pyarrow.dataset as ds

        reader = ds.dataset(self._files(), format="parquet").scanner().to_reader()
        return reader.__arrow_c_stream__(requested_schema)

    def _files(self) -> list[str]:
        files = self._opened[1]
        if files and files[0].startswith("s3:"):
            problem = "lies in an object store: models read it there, a table needs a copy on this machine"
            raise InputError(f"{files[0]}: {problem}")
        return files


def dataset_of(X: Any) -> Dataset | None:
    """The dataset that this is, or is the path of; none where it is a table."""
    if isinstance(X, Dataset):
        return X
    return Dataset(X) if _tables.is_path(X) and _tables.is_dataset(X) else None


class Simulation:
    """Events and users of a platform that does not exist: folders of Parquet files."""

    def __init__(self, folder: _tables.PathLike) -> None:
        self.folder = Path(folder)
        self._owned: tempfile.TemporaryDirectory[str] | None = None

    @property
    def events(self) -> Path:
        """The event log."""
        return self.folder / "events"

    @property
    def users(self) -> Path:
        """The user table."""
        return self.folder / "users"

    def __repr__(self) -> str:
        return f"Simulation({str(self.folder)!r})"


def simulate(
    out: _tables.PathLike | None = None,
    *,
    users: int = 100_000,
    days: int = 540,
    activity_days: int = 400,
    start: str | datetime.date = "2022-01-01",
    drift: int = 1,
    seed: int = 1,
    n_jobs: int | None = None,
    verbose: bool | None = None,
) -> Simulation:
    """Makes events and users of a simulated platform, to try things on; the same seed gives the same bytes.

    Parameters
    ----------
    out : folder to write to, new or empty; a temporary one, gone with the result, if not given
    users : how many users
    days : days in which they register
    activity_days : days simulated beyond the last registration
    start : first day of the calendar
    drift : how many times as fast as usual later cohorts differ from earlier ones

    Examples
    --------
    >>> import ltv
    >>> sim = ltv.simulate(users=500, days=60, activity_days=60, verbose=False)
    >>> sorted(path.name for path in sim.folder.iterdir() if path.is_dir())
    ['events', 'users']
    """
    owned = None if out is not None else tempfile.TemporaryDirectory(prefix="ltv-")
    folder = Path(out) if out is not None else Path(owned.name if owned else "") / "simulation"
    arguments = ["simulate", "--out", str(folder), f"--users={users}", f"--days={days}"]
    arguments += [f"--activity-days={activity_days}", f"--start={day(start, 'start')}"]
    arguments += [f"--drift={drift}", f"--seed={seed}", f"--threads={_tables.threads(n_jobs)}"]
    with listening(verbose) as listener:
        _ltv.run(arguments, listener)
    made = Simulation(folder)
    made._owned = owned
    return made


def _configuration(
    as_of: str | datetime.date | None,
    label: str | None,
    window_days: int | None,
    horizons: Sequence[int] | None,
    options: Mapping[str, Any] | None,
    named: Mapping[str, Any],
) -> str:
    dataset = {
        "as_of": None if as_of is None else day(as_of, "as_of"),
        "label": label,
        "window_days": window_days,
        "horizons": _tables.days(horizons),
    }
    return document(laid_over(options or {}, laid_over(dict(named), {"dataset": dataset})))


def _columns(
    user: str | None,
    time: str | None,
    value: str | None,
    registration: str | None,
    profile: Sequence[str],
    keep: Sequence[str],
) -> dict[str, Any]:
    events = {"user": user, "time": time, "value": value}
    users: dict[str, Any] = {"user": user, "registration": registration}
    users |= {name: _tables.listed(given, name) or None for name, given in (("profile", profile), ("keep", keep))}
    return {name: laid_over({}, table) for name, table in (("events", events), ("users", users))}


def _called(spool: str) -> Any:
    """Data frames are spoken of by their names."""
    return _tables.called({f"{spool}/{name}.parquet": name for name in ("events", "users")})


def _needed(as_of: Any, label: Any, config: Any, options: Mapping[str, Any] | None) -> None:
    """What has no default, where it is not given anywhere."""
    there = dict((options or {}).get("dataset") or {})
    if config is None and as_of is None and "as_of" not in there:
        raise InputError("as_of: give the first day whose events are not fully known, such as as_of='2024-01-01'")
    if config is None and label is None and "label" not in there:
        raise InputError("label: say what a user is worth, label='value' or label='active_days'")


def log_files(source: Any, folder: Path, name: str) -> list[str]:
    """Parquet files of events or users: as they are, or written to the folder of a table."""
    if isinstance(source, Simulation):
        return [str(source.events if name == "events" else source.users)]
    if _tables.is_path(source):
        return [os.fspath(source)]
    if isinstance(source, (list, tuple)) and source and all(map(_tables.is_path, source)):
        return [os.fspath(path) for path in source]
    import pyarrow.parquet as pq

    path = folder / f"{name}.parquet"
    opened = _tables.opened(source)
    with _tables.reading(name):
        batches = opened.to_reader() if isinstance(opened, pa.Table) else opened
        with pq.ParquetWriter(path, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    return [str(path)]


def features(
    events: Any,
    users: Any = None,
    out: _tables.PathLike | None = None,
    *,
    as_of: str | datetime.date | None = None,
    label: str | None = None,
    window_days: int | None = None,
    horizons: Sequence[int] | None = None,
    user: str | None = None,
    time: str | None = None,
    value: str | None = None,
    registration: str | None = None,
    profile: Sequence[str] = (),
    keep: Sequence[str] = (),
    config: _tables.PathLike | None = None,
    options: Mapping[str, Any] | None = None,
    update: Dataset | _tables.PathLike | None = None,
    partitions: int | None = None,
    n_jobs: int | None = None,
    verbose: bool | None = None,
) -> Dataset:
    """Turns events and users into a dataset: one row for each user, with features and labels.

    The same as ``ltv features``: no event on or after the as-of date reaches a feature or a label, a label is
    null until its horizon is over, memory does not grow with the events.

    Parameters
    ----------
    events : the event log: paths of Parquet files or folders, a data frame, or a :class:`Simulation`, which brings
        its users and its options along
    users : the user table, likewise; none if every user has an event and nothing more is known of them
    out : folder of the dataset; a temporary one, gone with the result, if not given
    as_of : first day whose events are not fully known
    label : ``"value"`` (the sum of the value column, floored at 0) or ``"active_days"``
    window_days : days of observation, 7 by default
    horizons : days to predict, 30, 90, 180 and 365 by default
    user, time, value : columns of the event log (and of the user table, for ``user``): ``user_id``,
        ``timestamp``, none
    registration : column of the user table with the day of registration; the day of the first event without
    profile : columns of the user table that become features
    keep : columns of the user table that are carried along and never shown to a model
    config : TOML file of ``ltv features --config``; arguments win over it
    options : anything else that such a file may hold, as nested dicts: ``{"aggregates": {"max": ["price"]}}``
    update : a dataset of an earlier day, whose rows are taken over where they cannot have changed
    partitions : parts to work on the users in; more need less memory

    Raises
    ------
    DataError
        When a file cannot be read, or a column is missing, of the wrong type, or holds what it cannot: the
        message names file, column and row.
    InputError
        When an option is unknown or out of range.

    Examples
    --------
    >>> import ltv
    >>> sim = ltv.simulate(users=500, days=60, activity_days=60, verbose=False)
    >>> data = ltv.features(sim, as_of="2022-03-15", horizons=[7, 30], verbose=False)
    >>> data.horizons
    [7, 30]
    """
    if isinstance(events, Simulation):
        users = events if users is None else users
        options = laid_over(json.loads(_ltv.simulator_options()), options or {})
    _needed(as_of, label, config, options)
    given = _configuration(
        as_of, label, window_days, horizons, options, _columns(user, time, value, registration, profile, keep)
    )
    owned = None if out is not None else tempfile.TemporaryDirectory(prefix="ltv-")
    folder = os.fspath(out) if out is not None else str(Path(owned.name if owned else "") / "dataset")
    earlier = update.folders[0] if isinstance(update, Dataset) else update
    if partitions is not None and (not isinstance(partitions, int) or partitions < 1):
        raise InputError(f"partitions: {partitions!r} parts; give 1 or more")
    with tempfile.TemporaryDirectory(prefix="ltv-") as spool, listening(verbose) as listener, _called(spool):
        _ltv.features(
            log_files(events, Path(spool), "events"),
            [] if users is None else log_files(users, Path(spool), "users"),
            config,
            given,
            folder,
            earlier,
            partitions,
            _tables.threads(n_jobs),
            listener,
        )
    made = Dataset(folder)
    made._owned = owned
    return made


def feature_sql(
    *,
    as_of: str | datetime.date | None = None,
    label: str | None = None,
    window_days: int | None = None,
    horizons: Sequence[int] | None = None,
    user: str | None = None,
    time: str | None = None,
    value: str | None = None,
    registration: str | None = None,
    profile: Sequence[str] = (),
    keep: Sequence[str] = (),
    config: _tables.PathLike | None = None,
    options: Mapping[str, Any] | None = None,
    users: bool = False,
) -> str:
    """The one plain SQL statement that makes a dataset, below comments on the tables that it reads: for DuckDB,
    Spark or a warehouse. Parameters as of :func:`features`; ``users`` says whether there is a user table.

    Examples
    --------
    >>> import ltv
    >>> sql = ltv.feature_sql(as_of="2024-01-01", label="active_days")
    >>> "WITH first_event AS" in sql
    True
    """
    given = _configuration(
        as_of, label, window_days, horizons, options, _columns(user, time, value, registration, profile, keep)
    )
    reads = users or registration is not None or bool(profile) or bool(keep)
    return _ltv.feature_sql(config, given, reads)
