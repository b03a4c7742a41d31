"""Is what a store has finished not made again, and is said why when it is?"""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.run.build import load_data
from sgdprobe.run.job import Job, identity
from sgdprobe.sweep.pool import fan_out

if TYPE_CHECKING:
    from mlflow.entities import Run

SWEEP = ("-m", "notes", "sweep.n_jobs=1")


def last_counts(answer: CompletedProcess[str]) -> str:
    found = re.search(r"^sweep \S+: (.*), in ", answer.stdout, re.MULTILINE)
    assert found, answer.stdout + answer.stderr
    return found[1]


@pytest.fixture(scope="module")
def told(
    project: Path,
    train: Callable[..., CompletedProcess[str]],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
) -> "tuple[dict[str, CompletedProcess[str]], dict[str, list[Run]]]":
    """Sweeps one after another on one store; answers and the store's runs after each."""
    uri = new_store()
    source = project / "src" / "sgdprobe" / "run" / "build.py"
    unchanged = source.read_text()
    answers: dict[str, CompletedProcess[str]] = {}
    held: dict[str, list[Run]] = {}

    def play(name: str, *words: str) -> None:
        answers[name] = train(*SWEEP, *words, MLFLOW_TRACKING_URI=uri)
        held[name] = runs(uri)

    play("planned", "seed=0,1", "sweep.dry_run=true")
    play("first", "seed=0,1")
    play("again", "seed=0,1")
    play("larger", "seed=0,1,2")
    play("afresh", "seed=0", "sweep.resume=false")
    play("estimated", "seed=2,3", "sweep.dry_run=true")
    try:
        source.write_text(unchanged + "# another line\n")
        play("other source", "seed=0,1")
    finally:
        source.write_text(unchanged)
    return answers, held


Told = tuple[dict[str, CompletedProcess[str]], dict[str, "list[Run]"]]


def test_a_dry_run_lists_and_writes_nothing(told: Told) -> None:
    answers, held = told
    assert answers["planned"].returncode == 0
    assert held["planned"] == []
    assert re.findall(r"^to do +(.*)$", answers["planned"].stdout, re.MULTILINE) == [
        "seed=0",
        "seed=1",
    ]
    assert "2 runs: 0 done before, 2 to do, no past runs" in answers["planned"].stdout


def test_a_dry_run_knows_what_is_done_and_how_long_the_rest_takes(told: Told) -> None:
    answers, held = told
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
    ],
)
def test_only_what_is_not_done_is_run(told: Told, name: str, counts: str, runs_in_all: int) -> None:
    answers, held = told
    assert last_counts(answers[name]) == counts
    assert len(held[name]) == runs_in_all
    assert answers[name].returncode == 0


def test_why_finished_runs_do_not_count_is_said(told: Told) -> None:
    answers, _ = told
    line = "2 finished runs of these settings do not count: other source"
    assert line in answers["other source"].stdout.splitlines()
    assert "do not count" not in answers["larger"].stdout


def test_what_a_sweep_did_but_could_not_tell_is_not_told_as_done_before(
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
    told = []
    for sweep in ("this one", "this one", "another"):
        tags = {"recipe": "notes", "sweep": sweep, "seed": "0"}
        job = Job(settings, "notes", "seed=0", tags | identity(settings, load_data(settings)))
        (outcome,) = fan_out([(job, store)], settings.sweep, sweep, print)
        told.append((outcome.run_id, outcome.status, outcome.reused))
    (run_id, *_), *_ = told
    assert told == [(run_id, "FINISHED", earlier) for earlier in (False, False, True)]
