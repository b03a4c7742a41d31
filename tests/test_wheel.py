"""The installed wheel in an empty directory: the first minute of a person who has no clone."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Answer, runs_in

from sgdprobe import __version__
from sgdprobe.commands import known_commands
from sgdprobe.provenance.source import source_hash

ROOT = Path(__file__).parents[1]

RECIPE = """# @package _global_
# Does it learn in five updates?
defaults:
  - book
  - _self_
training: {iterations: 5}
data: {root: DIGITS}
"""
COMMANDS = {
    "demo": "demo",
    "demo again": "demo --json",
    "train": "train mine",
    "sweep": "sweep mine seed=0,1,2 sweep.n_jobs=2 --json",
    "report": "report --json",
    "draw": "report seed=1 --json",
    "rerun": "rerun last --json",
    "explain": "explain mine other --seeds 2 --fix sweep.backend=sequential --json",
    "help": "train --help",
    "hidden": "train book",
    "commit": "rerun last --at-recorded-commit",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """A working directory with recipes of a person's own; one has the name of a built-in one."""
    home = tmp_path_factory.mktemp("my work")
    folder = home / "conf/experiment"
    folder.mkdir(parents=True)
    recipe = RECIPE.replace("DIGITS", str(digits))
    (folder / "mine.yaml").write_text(recipe)
    (folder / "other.yaml").write_text(recipe + "init: {scale: 1}\n")
    return home


@pytest.fixture(scope="module")
def answers(
    installed: Path, home: Path, run_commands: Callable[..., list[Answer]]
) -> dict[str, Answer]:
    """The answers to the commands, typed one after another."""
    options: dict[str, Any] = {"root": installed, "script": "bin/sgdprobe", "cwd": home}
    found = {}
    for name, line in COMMANDS.items():
        hidden = home / "conf/experiment/book.yaml"
        if name == "hidden":
            hidden.write_text("# @package _global_\nseed: 9\n")
        (found[name],) = run_commands([line.split()], PYTHONPATH=str(installed), **options)
        hidden.unlink(missing_ok=True)
    return found


def test_every_command_does_its_work(answers: dict[str, Answer]) -> None:
    expected = {"hidden": 2, "commit": 2}
    wrong = {
        COMMANDS[name]: (answer.returncode, answer.stdout, answer.stderr)
        for name, answer in answers.items()
        if answer.returncode != expected.get(name, 0)
    }
    assert wrong == {}


def test_the_wheel_holds_what_the_clone_has(installed: Path) -> None:
    def files(root: Path, pattern: str) -> set[str]:
        return {path.relative_to(root).as_posix() for path in root.glob(pattern) if path.is_file()}

    package = installed / "sgdprobe"
    assert files(package / "conf", "**/*.yaml") == files(ROOT / "conf", "**/*.yaml")
    parts = ("**/*.py", "data/**/*", "reports/templates/*", "py.typed")
    for pattern in parts:
        ours = {name for name in files(ROOT / "src/sgdprobe", pattern) if "__pycache__" not in name}
        assert {*ours} - files(package, pattern) == set(), pattern
    assert not (package / "conf").is_symlink()


def test_nothing_is_written_beside_the_package(
    answers: dict[str, Answer], installed: Path, home: Path
) -> None:
    assert answers
    found = {path.name for path in home.iterdir()}
    assert found == {"conf", "mlflow.db", "mlruns", "experiments", "sgdprobe-demo"}
    for folder in (installed, installed.parent):
        assert not {"mlflow.db", "mlruns", "experiments"} & {path.name for path in folder.iterdir()}


def test_runs_say_what_was_typed_and_which_source_it_was(
    answers: dict[str, Answer], home: Path
) -> None:
    assert answers
    runs = [run for run in runs_in(f"sqlite:///{home}/mlflow.db") if "sweep" not in run.data.tags]
    tags = runs[0].data.tags
    assert tags["mlflow.source.name"] == "sgdprobe train experiment=mine"
    assert tags["source_hash"] == source_hash(), "the wheel computes what the clone computes"
    assert (tags["git_dirty"], tags.get("mlflow.source.git.commit")) == ("unknown", None)
    assert runs[0].info.artifact_uri.startswith("mlruns/mine/"), "as MLflow itself does"
    assert "installed without its repository" in answers["commit"].stderr


def test_messages_name_the_program_that_was_typed(answers: dict[str, Answer]) -> None:
    said = "".join(answer.stdout + answer.stderr for answer in answers.values())
    assert "src/" not in said.replace(str(ROOT), "")
    assert "sgdprobe train -m sweep" in answers["help"].stdout
    assert "Recipes: best, book, book_relu, mine, notes, other, sweep\n" in answers["help"].stdout


def test_a_recipe_that_would_hide_another_is_refused(
    answers: dict[str, Answer], home: Path
) -> None:
    file = home / "conf/experiment/book.yaml"
    assert (
        answers["hidden"].stderr == f"{file}: sgdprobe has another recipe book; rename the file\n"
    )


def test_the_answers_for_programs_are_json_and_nothing_else(
    answers: dict[str, Answer], home: Path
) -> None:
    found = {
        name: json.loads(answers[name].stdout)
        for name, line in COMMANDS.items()
        if line.endswith("--json")
    }
    sweep = found["sweep"]
    assert (sweep["done"], sweep["reused"], sweep["failed"], sweep["left"]) == (2, 1, 0, 0)
    assert [run["settings"]["seed"] for run in sweep["runs"] if run["reused"]] == [0]
    best = max(run["metrics"]["test_accuracy"] for run in sweep["runs"])
    assert Path(sweep["report"]).is_relative_to(home)
    page = found["report"]
    assert (page["sweep"], page["page"]) == (sweep["sweep"], sweep["report"])
    accuracies = [cell["test_accuracy"] for cell in page["cells"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] <= best < 1, "a cell is a mean of seeds"
    assert [epoch["epoch"] for epoch in found["draw"]["epochs"]] == [1]
    assert (found["rerun"]["verdict"], found["rerun"]["causes"]) == ("IDENTICAL", [])
    shares = found["explain"]["shares"]
    assert list(shares) == ["init.scale"]
    assert shares["init.scale"]["mean"] == pytest.approx(found["explain"]["gap"]["mean"])


def test_the_demo_is_a_finished_sweep(answers: dict[str, Answer], home: Path) -> None:
    facts = json.loads(answers["demo again"].stdout)
    folder = home / "sgdprobe-demo"
    assert (facts["folder"], len(facts["cells"])) == (str(folder), 36)
    assert (folder / "mlruns/reports" / facts["sweep"] / "index.html").is_file()
    assert "stays as it is" in answers["demo again"].stderr
    assert {run.info.status for run in runs_in(f"sqlite:///{folder}/mlflow.db")} == {"FINISHED"}
    assert (ROOT / "src/sgdprobe/data/demo.zip").stat().st_size <= 3e6
    assert str(folder) in answers["demo"].stdout


@pytest.fixture
def type_(installed: Path, tmp_path: Path) -> Callable[..., Answer]:
    """Type a command in an empty directory; a real program, not a fork."""

    def type_(*words: str) -> Answer:
        return subprocess.run(
            [installed / "bin/sgdprobe", *words], cwd=tmp_path, capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)},
        )  # fmt: skip

    return type_


def test_the_program_itself_lists_its_commands(type_: Callable[..., Answer]) -> None:
    answer = type_()
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [name for name in known_commands() if f"  {name} " not in answer.stdout] == []
    assert type_("--version").stdout == f"sgdprobe {__version__}\n"
    assert type_("sweep", "--version").stdout == f"sgdprobe {__version__}\n"


def test_the_demo_does_not_replace_what_is_there(
    type_: Callable[..., Answer], tmp_path: Path
) -> None:
    (tmp_path / "sgdprobe-demo").mkdir()
    (tmp_path / "sgdprobe-demo/thesis.txt").write_text("mine")
    answer = type_("demo")
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    assert "holds something else; --folder NAME" in answer.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["sgdprobe-demo", "thesis.txt"]
    shutil.rmtree(tmp_path / "sgdprobe-demo")
