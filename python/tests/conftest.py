"""Data that several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import ltv


@pytest.fixture(scope="session")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> ltv.Simulation:
    """Events and users of a small platform."""
    folder = tmp_path_factory.mktemp("simulation") / "sim"
    return ltv.simulate(folder, users=3000, days=150, activity_days=120, seed=3, verbose=False)


@pytest.fixture(scope="session")
def dataset(simulation: ltv.Simulation, tmp_path_factory: pytest.TempPathFactory) -> ltv.Dataset:
    """A dataset of it: some labels are not yet known."""
    out = tmp_path_factory.mktemp("dataset") / "data"
    return ltv.features(simulation, out=out, as_of="2022-08-01", horizons=[30, 90], verbose=False)


@pytest.fixture(scope="session")
def odmn(dataset: ltv.Dataset) -> ltv.ODMN:
    """A network trained on it, for a moment."""
    return ltv.ODMN(epochs=2, verbose=False).fit(dataset)


@pytest.fixture(scope="session")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Features and one label, most of them 0, that have something to do with each other."""
    rng = np.random.default_rng(7)
    X = rng.gamma(1.0, size=(3000, 4))
    y = np.round(20.0 * X[:, 0] * rng.poisson(0.7, size=len(X)), 2)
    return X, y


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real event logs, where it is."""
    given = os.environ.get("LTV_SHARED_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (folder / "oss_commits.parquet").is_file():
        pytest.skip(f"no real event logs in {folder}: set LTV_SHARED_DATA")
    return folder
