"""A sweep's finished runs are not made again, or it is said why they are."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import Answer

from sgdprobe.config.settings import Settings
from sgdprobe.run.build import load_data
from sgdprobe.run.job import Job, identity
from sgdprobe.sweep.pool import fan_out

if TYPE_CHECKING:
    from mlflow.entities import Run

SWEEP = ("-m", "notes", "sweep.n_jobs=1")


def last_counts(answer: Answer) -> str:
    found = re.search(r"^sweep \S+: (.*), in ", answer.stdout, re.MULTILINE)
    assert found, answer.stdout + answer.stderr
    return found[1]


IMAGES = "train-images-idx3-ubyte"


@dataclass(frozen=True)
class Sweeps:
    """Sweeps one after another on one store: their answers, and the store's runs after each."""

    answers: dict[str, Answer]
    runs: "dict[str, list[Run]]"


@pytest.fixture(scope="module")
def sweeps(
    project: Path,
    digits: Path,
    tmp_path_factory: pytest.TempPathFactory,
    train: Callable[..., Answer],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
) -> Sweeps:
    uri = new_store()
    found = Sweeps({}, {})

    def sweep(name: str, *words: str, root: Path = project) -> None:
        found.answers[name] = train(*SWEEP, *words, root=root, MLFLOW_TRACKING_URI=uri)
        found.runs[name] = runs(uri)

    sweep("planned", "seed=0,1", "sweep.dry_run=true")
    sweep("first", "seed=0,1")
    sweep("again", "seed=0,1")
    sweep("larger", "seed=0,1,2")
    sweep("afresh", "seed=0", "sweep.resume=false")
    sweep("estimated", "seed=2,3", "sweep.dry_run=true")
    copy = Path(shutil.copytree(project, tmp_path_factory.mktemp("source") / "project"))
    with (copy / "src/sgdprobe/run/build.py").open("a") as source:
        source.write("# another line\n")
    sweep("other source", "seed=0,1", root=copy)
    brighter = Path(shutil.copytree(digits, tmp_path_factory.mktemp("data") / "digits"))
    images = bytearray((brighter / IMAGES).read_bytes())
    images[-1] ^= 1
    (brighter / IMAGES).write_bytes(images)
    sweep("other data", "seed=0,1", f"data.root={brighter}")
    return found


def test_a_dry_run_lists_and_writes_nothing(sweeps: Sweeps) -> None:
    answers, held = sweeps.answers, sweeps.runs
    assert answers["planned"].returncode == 0
    assert held["planned"] == []
    assert re.findall(r"^to do +(.*)$", answers["planned"].stdout, re.MULTILINE) == [
        "seed=0",
        "seed=1",
    ]
    assert "2 runs: 0 done before, 2 to do, no past runs" in answers["planned"].stdout


def test_a_dry_run_knows_what_is_done_and_how_long_the_rest_takes(sweeps: Sweeps) -> None:
    answers, held = sweeps.answers, sweeps.runs
    assert len(held["estimated"]) == len(held["afresh"])
    assert re.search(r"2 runs: 1 done before, 1 to do, about [\d.]+ s", answers["estimated"].stdout)


@pytest.mark.parametrize(
    ("name", "counts", "runs_in_all"),
    [
        ("first", "2 done, 0 failed, 0 done before, 0 left", 2),
        ("again", "0 done, 0 failed, 2 done before, 0 left", 2),
        ("larger", "1 done, 0 failed, 2 done before, 0 left", 3),
        ("afresh", "1 done, 0 failed, 0 done before, 0 left", 4),
        ("other source", "2 done, 0 failed, 0 done before, 0 left", 6),
        ("other data", "2 done, 0 failed, 0 done before, 0 left", 8),
    ],
)
def test_only_what_is_not_done_is_run(
    sweeps: Sweeps, name: str, counts: str, runs_in_all: int
) -> None:
    answers, held = sweeps.answers, sweeps.runs
    assert last_counts(answers[name]) == counts
    assert len(held[name]) == runs_in_all
    assert answers[name].returncode == 0


@pytest.mark.parametrize("reason", ["other source", "other data"])
def test_why_finished_runs_do_not_count_is_said(sweeps: Sweeps, reason: str) -> None:
    line = f"2 finished runs of these settings do not count: {reason}"
    assert line in sweeps.answers[reason].stdout.splitlines()
    assert "do not count" not in sweeps.answers["larger"].stdout


def test_a_run_whose_worker_died_before_it_reported_is_not_one_done_before(
    new_store: Callable[[], str], digits: Path
) -> None:
    # A worker may be killed after its run was recorded and before its sweep heard of it.
    from sgdprobe.tracking import open_experiment

    settings = Settings.from_dict(
        {
            "data": {"root": str(digits)},
            "training": {"iterations": 3},
            "sweep": {"n_jobs": 1},
        }
    )
    store = open_experiment(new_store(), "any")
    outcomes = []
    for sweep in ("this one", "this one", "another"):
        tags = {"recipe": "notes", "sweep": sweep, "seed": "0"}
        job = Job(settings, "notes", "seed=0", tags | identity(settings, load_data(settings)))
        (outcome,) = fan_out([(job, store)], settings.sweep, sweep, print)
        outcomes.append((outcome.run_id, outcome.status, outcome.reused))
    (run_id, *_), *_ = outcomes
    assert outcomes == [(run_id, "FINISHED", earlier) for earlier in (False, False, True)]
