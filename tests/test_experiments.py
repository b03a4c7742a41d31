"""Every command that a page of experiments/ prints runs, in a shrunk form."""

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

ROOT = Path(__file__).parents[1]
PRINTED = re.compile(r"`((?:python|make) [^`\n]+)`|^((?:python|make) .+)$", re.MULTILINE)

RunCommands = Callable[..., list[CompletedProcess[str]]]


def printed_commands() -> list[list[str]]:
    """The words of each command, in the order of the pages; comments are left out."""
    pages = sorted((ROOT / "experiments").rglob("*.md"))
    found = [a or b for page in pages for a, b in PRINTED.findall(page.read_text())]
    return [shlex.split(command, comments=True) for command in dict.fromkeys(found)]


def commands_of(script: str) -> list[list[str]]:
    """The arguments of each printed command of a script."""
    return [words[2:] for words in printed_commands() if words[:2] == ["python", script]]


def published_runs(study: str) -> int:
    """The number of runs in the CSV files of a study."""
    files = (ROOT / "experiments" / study).glob("*.csv")
    return sum(len(list(csv.DictReader(file.read_text().splitlines()))) for file in files)


@pytest.fixture(scope="module")
def copy(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small project, with the scripts of experiments/ in it."""
    root = tmp_path_factory.mktemp("experiments") / "project"
    shutil.copytree(project, root, ignore=shutil.ignore_patterns("mlflow.db*", "mlruns"))
    for script in (ROOT / "experiments").rglob("*.py"):
        place = root / script.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(script, place)
    return root


def test_each_printed_command_is_of_a_kind_that_is_run_here() -> None:
    tested = {
        "src/train.py",
        "src/explain.py",
        "experiments/preflight/study.py",
        "experiments/the-notes-reproduced/study.py",
    }
    commands = printed_commands()
    assert {words[1] for words in commands if words[0] == "python"} == tested
    assert {words[1] for words in commands if words[0] == "make"} == {"bench"}


def test_the_printed_sweeps_can_be_planned(copy: Path, run_commands: RunCommands) -> None:
    commands = [[*words, "sweep.dry_run=true"] for words in commands_of("src/train.py")]
    assert len(commands) >= 2
    for answer in run_commands(commands, root=copy):
        assert (answer.returncode, answer.stderr) == (0, ""), answer.args
        assert re.search(r"\d+ runs: 0 done before, \d+ to do", answer.stdout), answer.stdout


def test_the_printed_studies_ask_for_as_many_runs_as_they_publish(
    copy: Path, run_commands: RunCommands, new_store: Callable[[], str]
) -> None:
    commands = [[*words, "--no-run"] for words in commands_of("src/explain.py")]
    published = [published_runs(words[words.index("--study") + 1]) for words in commands]
    assert len(published) >= 2
    answers = run_commands(
        commands, root=copy, script="src/explain.py", MLFLOW_TRACKING_URI=new_store()
    )
    for answer, count in zip(answers, published, strict=True):
        assert answer.returncode == 2, answer.stderr
        assert answer.stderr.startswith(f"{count} of {count} runs are missing or failed")


def test_the_study_of_the_notes_runs_with_few_updates_and_seeds(
    copy: Path, run_commands: RunCommands, new_store: Callable[[], str], tmp_path: Path
) -> None:
    script = "experiments/the-notes-reproduced/study.py"
    (words,) = commands_of(script)
    small = [*words, "--updates", "20", "--seeds", "2", "--uri", new_store()]
    first, again = run_commands(
        [[*small, "--out", str(tmp_path / name)] for name in ("first", "again")],
        root=copy,
        script=script,
    )
    assert first.returncode == 0, first.stderr
    assert "20 runs" in first.stdout or "20 done" in first.stdout, first.stdout
    published = ROOT / "experiments" / "the-notes-reproduced"
    for name in ("readings.csv", "runs.csv"):
        ours, theirs = (
            list(csv.DictReader((folder / name).read_text().splitlines()))
            for folder in (tmp_path / "first", published)
        )
        assert list(ours[0]) == list(theirs[0])
        assert {row["reading"] for row in ours} == {row["reading"] for row in theirs}
    for picture in published.glob("*.png"):
        assert (tmp_path / "first" / picture.name).stat().st_size > 1000, picture.name
    assert again.returncode == 0, again.stderr
    assert "sweep" not in again.stdout, "all runs are recorded already"
    for name in ("readings.csv", "runs.csv"):
        assert (tmp_path / "again" / name).read_text() == (tmp_path / "first" / name).read_text()


def test_the_printed_benchmarks_exist() -> None:
    (words,) = (words for words in printed_commands() if words[0] == "make")
    answer = subprocess.run(
        ["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    scripts = re.search(r"for script in ([a-z ]+); do", answer.stdout)
    assert scripts, answer.stdout
    folder = ROOT / "tests" / "benchmarks"
    assert [name for name in scripts[1].split() if not (folder / f"{name}.py").exists()] == []


def test_the_study_of_warnings_counts_what_it_trained(copy: Path) -> None:
    folder = copy / "experiments/preflight"
    shutil.copy(ROOT / "experiments/preflight/settings.csv", folder)
    words = [sys.executable, str(folder / "study.py"), "--first", "2"]
    subprocess.run(words, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
    with (folder / "settings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["0", "1"]
    with (ROOT / "experiments/preflight/settings.csv").open(newline="") as file:
        published = list(csv.DictReader(file))[:2]
    for row, before in zip(rows, published, strict=True):
        assert row["now"] == before["now"]
        assert float(row["test_accuracy"]) == pytest.approx(
            float(before["test_accuracy"]), abs=0.02
        )
    assert "| now | thresholds | 0 of 0 | 0 of 1 |" in (folder / "README.md").read_text()
