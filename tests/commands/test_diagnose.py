"""diagnose.py as a process: a diagnosis with its report and its recipe, and requests it rejects."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from support import client_of

RunCommands = Callable[..., list[CompletedProcess[str]]]

# A learning rate that is a hundred times too small, for 60 updates on 600 images. An accuracy that
# is asked for, and more than enough time: the answer does not depend on how busy the machine is.
SLOW = ["book", "training.learning_rate=0.005", "training.iterations=60", "init=xavier"]
OPTIONS = ["sweep.backend=sequential", "--reach", "50", "--seeds", "3", "--minutes", "5"]
OPTIONS += ["--study", "slow"]


@pytest.fixture(scope="module")
def root(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project of its own: a report and a recipe are written into it."""
    root = tmp_path_factory.mktemp("diagnosed") / "project"
    shutil.copytree(project, root, ignore=shutil.ignore_patterns("mlflow.db*", "mlruns"))
    return root


@pytest.fixture(scope="module")
def store(new_store: Callable[[], str]) -> str:
    return new_store()


@pytest.fixture(scope="module")
def run(root: Path, run_commands: RunCommands) -> RunCommands:
    def diagnose(commands: list[list[str]], store: str) -> list[CompletedProcess[str]]:
        return run_commands(
            commands, root=root, script="src/diagnose.py", MLFLOW_TRACKING_URI=store
        )

    return diagnose


@pytest.fixture(scope="module")
def diagnosed(run: RunCommands, store: str) -> CompletedProcess[str]:
    (answer,) = run([[*SLOW, *OPTIONS, "--write", "--json"]], store)
    assert answer.returncode == 0, answer.stderr
    return answer


@pytest.fixture(scope="module")
def answer(diagnosed: CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(diagnosed.stdout)
    return found


def test_the_answer_names_fault_and_repair(answer: dict[str, Any]) -> None:
    assert answer["verdict"] == "repaired"
    assert "learning_rate_low" in answer["faults"]
    assert {"too_slow"} <= {one["rule"] for one in answer["findings"]}
    for repair in answer["repairs"]:
        low, high = repair["gain_interval"]
        assert 0 < low <= repair["gain"] <= high
    assert answer["best"]["accuracy"] > answer["as_given"]["accuracy"] + 0.2
    assert answer["seeds"] == [1, 2, 3], "the race had seed 0"
    assert answer["left_out"] == []


def test_the_terminal_gets_ten_lines_or_so(diagnosed: CompletedProcess[str]) -> None:
    lines = diagnosed.stderr.splitlines()
    assert lines[0].startswith("rules before training: too_short, too_slow")
    assert any(line.startswith("book: test accuracy ") for line in lines)
    assert any(line.startswith("smallest repair: ") for line in lines)
    assert len(lines) < 30
    assert max(len(line) for line in lines if "/" not in line) <= 80


def test_the_report_has_every_run(root: Path, answer: dict[str, Any], store: str) -> None:
    folder = root / "experiments/slow"
    with (folder / "cells.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    proof = [row for row in rows if row["phase"] == "proof"]
    assert {row["seed"] for row in proof} == {"1", "2", "3"}
    assert {row["seed"] for row in rows if row["phase"] == "race"} == {"0"}
    ids = {row["run_id"] for row in rows}
    recorded = client_of(store).search_experiments(filter_string="name = 'slow'")
    runs = client_of(store).search_runs([e.experiment_id for e in recorded], max_results=1000)
    assert ids <= {one.info.run_id for one in runs}
    page = (folder / "README.md").read_text()
    assert page.startswith("# `book`: a repair is proven")
    assert answer["repairs"][0]["run_ids"][0] in ids


def test_the_same_command_again_makes_no_run(
    run: RunCommands, store: str, answer: dict[str, Any]
) -> None:
    def count() -> int:
        client = client_of(store)
        ids = [e.experiment_id for e in client.search_experiments()]
        return len(client.search_runs(ids, max_results=5000))

    before = count()
    (again,) = run([[*SLOW, *OPTIONS, "--force", "--json"]], store)
    assert again.returncode == 0, again.stderr
    repeated = json.loads(again.stdout)
    assert repeated["as_given"] == answer["as_given"]
    assert count() == before


def test_the_repaired_recipe_can_be_trained(
    root: Path, answer: dict[str, Any], run_commands: RunCommands, new_store: Callable[[], str]
) -> None:
    text = (root / "conf/experiment/book-repaired.yaml").read_text()
    assert text.startswith("# @package _global_\n# book, repaired: ")
    (trained,) = run_commands([["book-repaired"]], root=root, MLFLOW_TRACKING_URI=new_store())
    assert trained.returncode == 0, trained.stderr
    accuracy = float(trained.stdout.partition(": test ")[2].split()[0]) / 100
    assert accuracy == pytest.approx(answer["repairs"][0]["accuracy"], abs=0.1)


REFUSED = [
    (["bok"], "bok: no such recipe; there are "),
    (["notes", "book"], "give one recipe; got notes, book"),
    (["sweep"], "sweep: this recipe is a sweep"),
    (["notes", "lr=1"], "lr=1: no such setting"),
    (["notes", "init.scale=-1"], "init.scale must be"),
    (["notes", "--minutes", "0"], "--minutes must be above 0 and at most 1440; got 0"),
    (["notes", "--reach", "101"], "--reach must be a percentage above 0, at most 100; got 101"),
    (["notes", "--seeds", "1"], "--seeds must be at least 2, since one run has no interval; got 1"),
    (["notes", "--study", "../x"], "--study must be the name of a folder"),
    (["notes", "--fast"], "unrecognized arguments: --fast"),
    (["book", "--write", "--study", "other"], "book-repaired.yaml exists; --force replaces it"),
    (["book", "--study", "slow"], "holds another report"),
]


def test_a_wrong_request_ends_in_one_line(
    run: RunCommands, diagnosed: CompletedProcess[str], tmp_path: Path
) -> None:
    store = tmp_path / "none.db"
    answers = run([words for words, _ in REFUSED], f"sqlite:///{store}")
    for (words, message), given in zip(REFUSED, answers, strict=True):
        assert (given.returncode, given.stdout) == (2, ""), (words, given)
        (line,) = given.stderr.splitlines()
        assert message in line, words
    assert not store.exists()
