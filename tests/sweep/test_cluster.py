"""Sweeps on Dask: the bits of joblib's own workers, and a scheduler with workers of its own."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import Answer, Cluster, Process, certificates, edit, points_of

if TYPE_CHECKING:
    from mlflow.entities import Run

pytest.importorskip("distributed", reason="Dask is not installed")

SWEEP = ("-m", "notes", "seed=0,1,2,3", "dtype=float32", "training.iterations=50")


@pytest.fixture(scope="module")
def cluster(project: Path, environment: dict[str, str]) -> Iterator[Cluster]:
    """A scheduler with one worker."""
    running = Cluster(project, environment)
    running.start_scheduler()
    running.start_worker()
    yield running
    running.kill()


def test_the_same_bits_as_of_joblibs_own_workers(
    cluster: Cluster,
    train: Callable[..., Answer],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
) -> None:
    found = []
    remote = ["sweep=dask", f"sweep.scheduler={cluster.address}"]
    for words in ["sweep=loky"], ["sweep=dask", "sweep.n_jobs=1"], remote:
        uri = new_store()
        # Local workers import the command's main module anew, which is no fork of another.
        local = "sweep.n_jobs=1" in words
        answer = train(*SWEEP, *words, f"tracking.uri={uri}", new_interpreter=local)
        assert (answer.returncode, answer.stderr) == (0, ""), answer
        assert ("Dask's dashboard: http://127.0.0.1:" in answer.stdout) == ("dask" in words[0])
        assert ": 4 done, 0 failed, 0 done before, 0 left, in " in answer.stdout
        found.append(sorted((run.data.tags["key"], points_of(uri, run)) for run in runs(uri)))
    assert found[0] == found[1] == found[2]


def test_a_worker_that_would_compute_something_else_is_refused(
    project: Path,
    environment: dict[str, str],
    train: Callable[..., Answer],
    tmp_path: Path,
) -> None:
    shutil.copytree(project / "src", tmp_path / "src")
    edit(tmp_path / "src/sgdprobe/nn/functions.py", "LOG_EPSILON = 1e-7", "LOG_EPSILON = 1e-8")
    other = Cluster(tmp_path, environment)
    other.start_scheduler()
    other.start_worker()
    uri = f"sqlite:///{tmp_path}/new.db"
    try:
        words = ("sweep=dask", f"sweep.scheduler={other.address}", f"tracking.uri={uri}")
        answer = train(*SWEEP, *words)
    finally:
        other.kill()
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "must have the source hash of this command, " in answer.stderr
    assert "; got " in answer.stderr
    assert not (tmp_path / "new.db").exists()


def test_a_cluster_whose_connections_are_encrypted(
    project: Path, environment: dict[str, str], train: Callable[..., Answer], tmp_path: Path
) -> None:
    keys = certificates(tmp_path)
    encrypted = Cluster(project, environment | keys, protocol="tls")
    encrypted.start_scheduler()
    encrypted.start_worker()
    words = ("-m", "notes", "seed=0,1", "sweep=dask", f"sweep.scheduler={encrypted.address}")
    uri = f"tracking.uri=sqlite:///{tmp_path}/new.db"
    try:
        answer = train(*words, uri, **keys)
        without_keys = train(*words, f"tracking.uri=sqlite:///{tmp_path}/other.db")
    finally:
        encrypted.kill()
    assert (answer.returncode, answer.stderr) == (0, ""), answer
    assert ": 2 done, 0 failed, 0 done before, 0 left, in " in answer.stdout
    assert (without_keys.returncode, without_keys.stderr.count("\n")) == (2, 1), without_keys
    assert "sweep.scheduler must be the address of a Dask scheduler" in without_keys.stderr
    assert not (tmp_path / "other.db").exists()


def test_a_scheduler_that_is_lost_ends_the_sweep_in_one_line(
    project: Path,
    environment: dict[str, str],
    start: Callable[..., Process],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
) -> None:
    own, uri = Cluster(project, environment), new_store()
    scheduler = own.start_scheduler()
    own.start_worker()
    try:
        process = start(
            *("-m", "notes", "training.iterations=3,4,1000000", "sweep=dask"),
            *(f"sweep.scheduler={own.address}", f"tracking.uri={uri}"),
        )
        process.wait_until(lambda: len(runs(uri)) == 3, "the last run")
        scheduler.kill()
        answer = process.answer()
    finally:
        own.kill()
    assert answer.returncode == 1
    assert "stopped: the Dask scheduler is lost; the same command resumes" in answer.stdout
    assert answer.stderr == ""
