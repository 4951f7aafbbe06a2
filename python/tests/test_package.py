"""The package as a whole: the program, files, errors, stopping, threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ltv


def _python(code: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **more)  # type: ignore


def test_importing_it_imports_little() -> None:
    heavy = ("sklearn", "pandas", "pyarrow", "matplotlib", "numpy")
    code = f"import sys, ltv; print([name for name in {heavy} if name in sys.modules])"
    assert _python(code).stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in ltv.__all__:
        assert getattr(ltv, name) is not None
    assert set(ltv.__all__) <= set(dir(ltv))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ltv.nonsense  # noqa: B018


def test_the_program_comes_with_it(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "ltv", *arguments], capture_output=True, text=True)

    version = run("--version")
    assert version.returncode == 0 and version.stdout.strip() == f"ltv {ltv.__version__}"
    missing = run("inspect", str(tmp_path / "nothing"))
    assert missing.returncode == 2 and missing.stderr.startswith("error: ") and "nothing" in missing.stderr
    made = run("simulate", "--users", "40", "--days", "20", "--out", str(tmp_path / "sim"), "--json", "--quiet")
    assert made.returncode == 0 and json.loads(made.stdout)


def test_a_command_within_python(simulation: ltv.Simulation, tmp_path: Path) -> None:
    outcome = ltv.run("inspect", simulation.folder, verbose=False)
    assert "a simulation" in str(outcome) and outcome.json["users"] == 3000
    with pytest.raises(ltv.InputError, match="run it as a program"):
        ltv.run("serve", "--store", tmp_path)
    with pytest.raises(ltv.InputError, match="--nonsense"):
        ltv.run("train", "--nonsense")


def test_files_are_those_of_the_program(odmn: ltv.ODMN, dataset: ltv.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "model.ltv"
    assert odmn.save(path) == odmn.model_id_
    command = [sys.executable, "-m", "ltv", "score", "--quiet", "--model", str(path)]
    command += ["--data", dataset.folders[0], "--out", str(tmp_path / "snapshot")]
    assert subprocess.run(command).returncode == 0
    files = sorted((tmp_path / "snapshot").glob("*.parquet"))
    snapshot = pa.concat_tables([pq.read_table(file) for file in files]).sort_by("user_id")
    table = odmn.predict_table(dataset).sort_by("user_id")
    for name in table.column_names:
        np.testing.assert_array_equal(table.column(name).to_numpy(), snapshot.column(name).to_numpy(), err_msg=name)
    loaded = ltv.load(path)
    assert isinstance(loaded, ltv.ODMN) and loaded.horizons_ == [30, 90]
    np.testing.assert_array_equal(loaded.predict(dataset), odmn.predict(dataset))


def test_the_program_trains_the_same_model(dataset: ltv.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "model.ltv"
    command = [sys.executable, "-m", "ltv", "train", "--quiet", "--data", dataset.folders[0], "--out", str(path)]
    assert subprocess.run([*command, "--epochs", "2", "--seed", "4"]).returncode == 0
    model = ltv.ODMN(epochs=2, random_state=4, verbose=False).fit(dataset)
    assert model.model_id_ == ltv.load(path).model_id_
    assert model.model_.to_bytes() == path.read_bytes()


def test_going_on_from_yesterday(dataset: ltv.Dataset, odmn: ltv.ODMN) -> None:
    warm = ltv.ODMN(verbose=False).fit(dataset, init_model=odmn)
    assert warm.record_["parent"] == odmn.model_id_
    with pytest.raises(ltv.InputError, match="no network"):
        ltv.ODMN(verbose=False).fit(dataset, init_model=ltv.TrainMean(verbose=False).fit(dataset))


def test_options_come_from_files_and_arguments(dataset: ltv.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text("[fit]\nepochs = 1\nbatch = 128\n")
    model = ltv.ODMN(config=path, options={"fit": {"batch": 256}}, verbose=False).fit(dataset)
    assert (model.config_["fit"]["epochs"], model.config_["fit"]["batch"]) == (1, 256)
    path.write_text("[model]\nmonotone = false\n[fit]\nepochs = 1\n")
    assert not ltv.ODMN(config=path, verbose=False).fit(dataset).config_["model"]["monotone"]
    assert ltv.ODMN(config=path, monotone=True, verbose=False).fit(dataset).config_["model"]["monotone"]
    path.write_text("[fit]\nbatch = 'many'\n")
    with pytest.raises(ltv.InputError, match="line 2"):
        ltv.ODMN(config=path, verbose=False).fit(dataset)
    with pytest.raises(ltv.InputError, match="buckets"):
        ltv.ODMN(options={"model": {"buckets": -1}}, verbose=False).fit(dataset)
    with pytest.raises(ltv.InputError, match="preset: 'best'"):
        ltv.ODMN(preset="best", verbose=False).fit(dataset)
    with pytest.raises(ltv.InputError, match="decoding"):
        ltv.ODMN(epochs=1, decoding="mode", verbose=False).fit(dataset).predict(dataset)


def test_a_snapshot_by_python_is_that_of_the_program(odmn: ltv.ODMN, dataset: ltv.Dataset, tmp_path: Path) -> None:
    odmn.save(tmp_path / "model.ltv")
    manifest = ltv.score(odmn, dataset, tmp_path / "one", verbose=False)
    command = ["score", "--model", tmp_path / "model.ltv", "--data", dataset.folders[0], "--out", tmp_path / "other"]
    other = ltv.run(*command, verbose=False).json
    assert {name: other[name] for name in manifest} == manifest
    assert ltv.run("inspect", tmp_path / "one").json["rows"] == len(dataset)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ltv.ScoreError, match="notes.txt"):
        ltv.score(odmn, dataset, tmp_path / "mine", verbose=False)


def test_a_loaded_model_is_fitted_as_it_was(dataset: ltv.Dataset, tmp_path: Path) -> None:
    model = ltv.ODMN(epochs=1, options={"model": {"buckets": 7}}, monotone=False, verbose=False).fit(dataset)
    model.save(tmp_path / "model.ltv")
    again = ltv.load(tmp_path / "model.ltv", verbose=False)
    assert again.fit(dataset).model_id_ == model.model_id_


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_jobs": 0}, "n_jobs: 0 threads"),
        ({"n_jobs": 10**6}, "give 1 to 1024"),
        ({"n_jobs": "two"}, "n_jobs: 'two'"),
        ({"random_state": -1}, "random_state: -1"),
        ({"random_state": 1.5}, "random_state: 1.5"),
        ({"horizons": "30"}, "horizons: give a list"),
        ({"horizons": [30.5]}, "horizons: .*whole days"),
        ({"epochs": 0}, "fit.epochs"),
        ({"rate": float("nan")}, "fit.rate: nan is no finite number"),
        ({"monotone": "no"}, "monotone: 'no'"),
        ({"label": "days"}, "days"),
    ],
)
def test_parameters_that_cannot_be(parameters, message, dataset: ltv.Dataset) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ltv.InputError, match=message):
        ltv.ODMN(**{"epochs": 1, "verbose": False, **parameters}).fit(dataset.to_arrow())


def test_errors_are_classes_with_messages(tmp_path: Path, dataset: ltv.Dataset, odmn: ltv.ODMN) -> None:
    with pytest.raises(ltv.InputError, match="cannot read .*nothing.ltv"):
        ltv.load(tmp_path / "nothing.ltv")
    damaged = tmp_path / "damaged.ltv"
    odmn.save(damaged)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ltv.ModelError, match="damaged.ltv"):
        ltv.load(damaged)
    events = tmp_path / "events.parquet"
    pq.write_table(pa.table({"user_id": [1], "day": [2]}), events)
    with pytest.raises(ltv.DataError, match="timestamp.*events.time"):
        ltv.features(events, as_of="2024-01-01", label="active_days", verbose=False)
    with pytest.raises(ltv.InputError, match="as_of"):
        ltv.features(events, label="active_days", verbose=False)
    assert issubclass(ltv.DataError, ValueError) and not issubclass(ltv.InternalError, ValueError)


def test_features_of_frames_are_those_of_files(simulation: ltv.Simulation, dataset: ltv.Dataset) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    import pandas as pd

    events, users = pd.read_parquet(simulation.events), pd.read_parquet(simulation.users)
    config = dict(dataset.manifest["config"])
    made = ltv.features(events, users, options=config, verbose=False)
    columns = sorted(made.to_arrow().column_names)
    same = made.to_arrow(columns).sort_by("user_id").equals(dataset.to_arrow(columns).sort_by("user_id"))
    assert same and len(made) == len(dataset)


STOPPED = """
import sys, ltv
data, endless = sys.argv[1], ltv.ODMN(epochs=10_000, patience=1000, verbose=False)
print("begin", flush=True)
try:
    endless.fit(data)
except KeyboardInterrupt:
    print("stopped", flush=True)
    print(ltv.ODMN(epochs=1, verbose=False).fit(data).horizons_)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as on Unix")
def test_ctrl_c_stops_the_work_and_the_next_one_goes_on(dataset: ltv.Dataset, tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", STOPPED, dataset.folders[0]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert program.stdout is not None and program.stdout.readline() == "begin\n"
    time.sleep(1.5)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert (program.returncode, out.split("\n")) == (0, ["stopped", "[30, 90]", ""]), err
    assert err == "" and list(tmp_path.iterdir()) == []


FORKED = """
import multiprocessing, sys
import numpy as np, ltv
from ltv.btyd import BGNBD
data = ltv.Dataset(sys.argv[1])
model = ltv.ODMN(epochs=1, n_jobs=2, verbose=False).fit(data)
rng = np.random.default_rng(1)
frequency = rng.poisson(rng.gamma(0.5, 4, 500))
T = rng.uniform(40, 60, 500)
X = {"frequency": frequency, "recency": np.where(frequency, T * rng.uniform(0.1, 1, 500), 0), "T": T}
counts = BGNBD(penalizer_coef=0.01).fit(X)

def work(i):
    again = ltv.ODMN(epochs=1, verbose=False).fit(data)
    return again.predict(data).sum() + model.predict(data).sum() + counts.probability_alive(X).sum()

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(work, range(2))
    print(found[0] == found[1] == work(0))
"""


@pytest.mark.skipif(os.name != "posix", reason="processes do not fork here")
def test_a_process_may_fork_after_work(dataset: ltv.Dataset) -> None:
    command = [sys.executable, "-c", FORKED, dataset.folders[0]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "True\n", done.stderr


SLOW = """
import sys, time, numpy as np, ltv
from ltv.btyd import ParetoNBD
rng = np.random.default_rng(1)
evaluate = ltv.metrics.evaluate
T = rng.uniform(50, 400, 200_000)
frequency = rng.poisson(T / 30)
recency = np.where(frequency > 0, T * rng.uniform(0, 1, T.size), 0.0)
print("begin", flush=True)
try:
    ParetoNBD().fit(frequency, recency, T)
    evaluate(T, T[::-1], bootstrap=100_000, verbose=False)
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as on Unix")
def test_ctrl_c_stops_what_tells_no_progress() -> None:
    program = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout is not None and program.stdout.readline() == "begin\n"
    time.sleep(1)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert out == "stopped\n", err


def test_other_threads_run_while_it_works(dataset: ltv.Dataset) -> None:
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(None)
            time.sleep(0.002)

    thread = threading.Thread(target=tick)
    thread.start()
    before = len(ticks)
    ltv.ODMN(epochs=3, verbose=False).fit(dataset)
    during = len(ticks) - before
    done.set()
    thread.join()
    # With the lock held it would be one or two.
    assert during > 10


def test_progress_is_shown_where_it_is_wanted(dataset: ltv.Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    ltv.ODMN(epochs=40, patience=40, verbose=True).fit(dataset)
    assert "epoch" in capsys.readouterr().err
    ltv.ODMN(epochs=1).fit(dataset)
    # Nobody watches: standard error is no terminal here.
    assert capsys.readouterr().err == ""


def test_what_a_listener_raises_stops_the_work(dataset: ltv.Dataset) -> None:
    from ltv import _ltv

    def listener(*state: object) -> None:
        raise LookupError("enough")

    options = json.dumps({"fit": {"epochs": 10_000, "patience": 1000}})
    with pytest.raises(LookupError, match="enough"):
        _ltv.train(dataset.folders, "default", None, options, 1, 1, None, None, None, listener)
