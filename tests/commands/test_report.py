"""report.py as a process: the page of a sweep, its README and its table, and what it refuses."""

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

AXES = ("init.scale=0.01,1", "training.learning_rate=0.1,0.5", "network.hidden=[50]")


@pytest.fixture(scope="module")
def uri(train: Callable[..., CompletedProcess[str]], new_store: Callable[[], str]) -> str:
    """A store with one sweep: 2 × 2 cells."""
    uri = new_store()
    answer = train("-m", "sweep", *AXES, f"tracking.uri={uri}", "sweep.backend=sequential")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return uri


@pytest.fixture(scope="module")
def answers(
    run_commands: Callable[..., list[CompletedProcess[str]]], project: Path, uri: str
) -> Iterator[list[CompletedProcess[str]]]:
    at = ("--uri", uri)
    taken = project / "experiments" / "taken"
    taken.mkdir(parents=True)
    (taken.parent / "file").write_text("a file\n")
    (taken / "README.md").write_text("# Another study\n")
    commands = [
        ("last-sweep", *at),
        ("sweep", "--study", "four-cells", *at),
        ("last-sweep", "--study", "../four-cells", *at),
        ("last", "--study", "four-cells", *at),
        ("no such thing", *at),
        ("last", *at),
        ("sweep", "--study", "taken", *at),
        ("sweep", "--study", "taken", "--force", *at),
        ("sweep", "--study", "x" * 300, *at),
        ("sweep", "--study", "file", *at),
    ]
    yield run_commands(commands, script="src/report.py")
    shutil.rmtree(project / "experiments")  # or the tree is dirty for other tests


def test_the_newest_sweep_is_reported_beside_the_store(
    answers: list[CompletedProcess[str]], project: Path
) -> None:
    answer = answers[0]
    assert (answer.returncode, answer.stderr) == (0, "")
    page = Path(answer.stdout.strip())
    assert page.is_relative_to(project / "mlruns" / "reports")
    assert {"index.html", "README.md", "cells.csv"} <= {file.name for file in page.parent.iterdir()}


def test_a_study_is_reported_in_experiments(
    answers: list[CompletedProcess[str]], project: Path
) -> None:
    folder = project / "experiments" / "four-cells"
    assert answers[1].stdout.split() == [str(folder / "index.html")]
    with (folder / "cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["init.scale"], row["training.learning_rate"]) for row in rows] == [
        ("0.01", "0.1"), ("0.01", "0.5"), ("1", "0.1"), ("1", "0.5"),
    ]  # fmt: skip
    best = max(float(row["test_accuracy"]) for row in rows)
    readme = (folder / "README.md").read_text()
    assert f"**Best: [{100 * best:.2f} %](cells.csv) with `init.scale=" in readme
    assert "\n\n*The notes blame the initial weights and the layer structure. Do they " in readme
    assert "and at which learning rate?*\n" in readme
    pictures = re.findall(r"\]\((\w+\.svg)\)", readme)
    assert pictures[:3] == ["heat_map.svg", "learning_curves.svg", "saturation.svg"]
    assert len({name for name in pictures[3:] if name.startswith("learned_")}) == 2
    assert len(pictures) == 5
    assert [name for name in pictures if not (folder / name).is_file()] == []
    page = (folder / "index.html").read_text()
    assert page.count("<figure>") == len(pictures)
    assert not re.findall(r'(?:src|href)="(?!#|data:|http://127\.0\.0\.1)[^"]*', page)


def test_a_run_is_drawn_on_one_page(answers: list[CompletedProcess[str]]) -> None:
    answer = answers[5]
    assert (answer.returncode, answer.stderr) == (0, "")
    page = Path(answer.stdout.splitlines()[-1])
    assert page.name == "index.html"
    pictures = {file.name for file in page.parent.glob("*.svg")}
    assert pictures == {
        "learning_curve.svg", "loss_at_every_update.svg", "confusion_matrix.svg",
        "most_wrong.svg", "first_layer.svg", "layers.svg",
    }  # fmt: skip
    text = page.read_text()
    assert text.count("<img alt=") == 3
    assert text.count('<svg class="phone"') == 3
    assert not re.findall(r'(?:src|href)="(?!#|data:|http://127\.0\.0\.1)[^"]*', text)


def test_the_same_store_gives_the_same_bytes(
    answers: list[CompletedProcess[str]],
    run_commands: Callable[..., list[CompletedProcess[str]]],
    project: Path,
    uri: str,
) -> None:
    folder = project / "experiments" / "four-cells"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    run_commands([("sweep", "--study", "four-cells", "--uri", uri)], script="src/report.py")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_report_that_cannot_be_written_is_one_line(
    answers: list[CompletedProcess[str]], project: Path
) -> None:
    answer = answers[9]
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("no report: [Errno 20] Not a directory: ")
    assert answer.stderr.count("\n") == 1
    assert (project / "experiments" / "file").read_text() == "a file\n"
    assert not list((project / "experiments").glob(".new-*"))


def test_force_replaces_another_report(answers: list[CompletedProcess[str]], project: Path) -> None:
    assert answers[7].returncode == 0, answers[7].stderr
    readme = (project / "experiments" / "taken" / "README.md").read_text()
    assert readme.startswith("# sweep: test accuracy by init.scale and training.learning_rate\n")


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (2, "--study must be the name of a folder; got '../four-cells'"),
        (3, "--study four-cells is for a sweep or an experiment, not for last"),
        (4, "no such thing: no such run; the newest are "),
        (6, "taken holds another report; --study gives another name, --force replaces it"),
        (8, "--study must have at most 60 characters; got 300: xxxxxxxxxxxxxxxxxxxx…"),
    ],
)
def test_refusals(answers: list[CompletedProcess[str]], number: int, line: str) -> None:
    answer = answers[number]
    assert (answer.returncode, answer.stdout) == (2, "")
    assert line in answer.stderr
    assert answer.stderr.count("\n") == 1
