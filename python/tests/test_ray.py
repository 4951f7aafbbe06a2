"""Ray: actors of a small cluster on this machine, against the same predictions without it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import ltv

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'ltv[ray]'")
pytest.importorskip("ray.data", reason="needs Ray Data: pip install 'ltv[ray]'")

import ltv.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        settings: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        ray.init(num_cpus=2, object_store_memory=200 * 2**20, **settings)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
        ray.shutdown()


def collected(dataset: Any) -> pa.Table:
    tables = [block for block in ray.get(list(dataset.to_arrow_refs())) if len(block)]
    return pa.concat_tables(tables).sort_by("user_id")


def test_predictions_are_those_without_ray(
    cluster: None, dataset: ltv.Dataset, odmn: ltv.ODMN, tmp_path: Path
) -> None:
    table = dataset.to_arrow()
    rows = ray.data.from_arrow([table.slice(start, 700) for start in range(0, len(table), 700)])
    wanted = odmn.predict_table(table).sort_by("user_id")
    found = collected(ltv.ray.score(rows, odmn, batch_size=300, concurrency=2))
    assert found.column_names == wanted.column_names
    assert found.equals(wanted)
    # Of the model's file, decoded otherwise.
    path = tmp_path / "model.ltv"
    odmn.save(path)
    median = collected(ltv.ray.score(rows, path, decoding="median"))
    wanted = pa.table(odmn.model_.predict(table, "median", 1)).column("ltv_90")
    order = np.argsort(table.column("user_id").to_numpy())
    assert (median.column("ltv_90").to_numpy() == wanted.to_numpy()[order]).all()


def test_rows_without_ids(cluster: None, dataset: ltv.Dataset, odmn: ltv.ODMN) -> None:
    table = dataset.to_arrow(odmn.model_.columns()).slice(0, 50)
    found = ltv.ray.score(ray.data.from_arrow(table), odmn, concurrency=1)
    assert found.count() == 50
    assert "user_id" not in found.schema().names and "ltv_30_positive" in found.schema().names


def test_what_is_refused(cluster: None, dataset: ltv.Dataset, odmn: ltv.ODMN) -> None:
    table = dataset.to_arrow().slice(0, 50)
    rows = ray.data.from_arrow(table)
    wrong: list[tuple[tuple[Any, Any], dict[str, Any], str]] = [
        ((table, odmn), {}, "no Ray Dataset"),
        ((rows, 7), {}, "int is no model"),
        ((rows, odmn), {"batch_size": 0}, "batch_size"),
        ((rows, odmn), {"decoding": "guess"}, "guess"),
        ((ray.data.from_arrow(table.drop_columns(["recency"])), odmn), {}, "no column 'recency'"),
    ]
    for arguments, options, says in wrong:
        with pytest.raises(ltv.InputError, match=says):
            ltv.ray.score(*arguments, **options)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'ltv\[ray\]'"):
        ltv.ray.score(None, None)
