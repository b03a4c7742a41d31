"""Sweeps beside one another share the work; however many workers there are, the bits are the same.

Batches of 128 are these tests' default: there, one BLAS thread and two give different bits.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import Answer, Process, weights_of

if TYPE_CHECKING:
    from mlflow.entities import Run

    Runs = Callable[[str], list[Run]]

SEEDS = [str(seed) for seed in range(6)]
SWEEP = ("-m", "notes", "dtype=float32", f"seed={','.join(SEEDS)}", "training.iterations=50")


@pytest.fixture(scope="module")
def both(
    start: Callable[..., Process], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Answer], str]:
    """The answers of two identical sweeps that make one store together, and the store.

    They know it by different paths, and have no other folder in common.
    """
    folder = tmp_path_factory.mktemp("shared")
    (folder / "link").symlink_to(folder)
    processes = []
    for spelling in (".", "link"):
        uri = f"sqlite:///{folder}/{spelling}/new.db"
        temporary = str(tmp_path_factory.mktemp("tmp"))
        words = (*SWEEP, "sweep.n_jobs=2")
        processes.append(start(*words, MLFLOW_TRACKING_URI=uri, TMPDIR=temporary))
    answers = [process.answer() for process in processes]
    assert {file.name for file in folder.iterdir()} == {"link", "mlruns", "new.db"}
    return answers, f"sqlite:///{folder}/new.db"


def test_two_sweeps_at_once_make_each_run_once(
    both: tuple[list[Answer], str], runs: "Runs"
) -> None:
    answers, uri = both
    assert [(a.returncode, a.stderr) for a in answers] == [(0, "")] * 2
    found = runs(uri)
    assert sorted(run.data.tags["seed"] for run in found) == SEEDS
    assert {run.info.status for run in found} == {"FINISHED"}
    assert "0" not in {run.info.experiment_id for run in found}, "something is in Default"


def bits(uri: str, run: "Run", points: Callable[..., object], folder: Path) -> str:
    """One hash of every point of every metric, and of the weights."""
    digest = sha256(repr(points(uri, run)).encode())
    for name, weights in sorted(weights_of(folder).items()):
        digest.update(name.encode() + weights.tobytes())
    return digest.hexdigest()


def test_any_number_of_workers_gives_the_same_bits(
    both: tuple[list[Answer], str],
    train: Callable[..., Answer],
    new_store: Callable[[], str],
    runs: "Runs",
    points: Callable[..., object],
    artifacts: "Callable[[Run], Path]",
) -> None:
    def of(uri: str) -> Mapping[str, str]:
        return {r.data.tags["seed"]: bits(uri, r, points, artifacts(r)) for r in runs(uri)}

    two = of(both[1])
    assert len(set(two.values())) == len(SEEDS)
    for words in ((*SWEEP, "sweep.n_jobs=1"), (*SWEEP, "sweep.n_jobs=3")):
        uri = new_store()
        answer = train(*words, MLFLOW_TRACKING_URI=uri)
        assert answer.returncode == 0, answer.stderr
        assert of(uri) == two, words
    uri = new_store()
    train("notes", "dtype=float32", "seed=3", "training.iterations=50", MLFLOW_TRACKING_URI=uri)
    assert of(uri) == {"3": two["3"]}


def test_fail_fast_stops_at_the_first_failure(
    train: Callable[..., Answer], new_store: Callable[[], str], runs: "Runs"
) -> None:
    uri = new_store()
    # The first cell diverges at once, and the last ones would never end.
    answer = train(
        *("-m", "notes", "dtype=float32", "init.scale=1e300,1", "training.iterations=10000000"),
        *("seed=0,1", "sweep.n_jobs=2", "sweep.fail_fast=true"),
        MLFLOW_TRACKING_URI=uri,
    )
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    states = [run.info.status for run in runs(uri)]
    assert "FAILED" in states
    assert set(states) <= {"FAILED", "KILLED"}, states
