"""Every command that a page of experiments/ prints runs, in a shrunk form."""

import csv
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from sgdprobe.reports.render import page_of

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "experiments").glob("*/index.html"))
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
        "src/diagnose.py",
        "src/explain.py",
        "experiments/faultbench/study.py",
        "experiments/coverage/study.py",
        "experiments/elsewhere/study.py",
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_a_published_page_has_the_head_of_all_pages(page: Path) -> None:
    head, _, body = page.read_text().partition("<body>\n")
    title = unescape(head.partition("<title>")[2].partition("</title>")[0])
    assert page_of(title, body.rpartition("</body>")[0]) == page.read_text()


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


def load(script: Path) -> Any:
    """A script of experiments/ as a module."""
    spec = importlib.util.spec_from_file_location(script.parent.name, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def values(file: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file, numbers as such."""

    def value(text: str) -> Any:
        try:
            return int(text) if text.isdigit() else float(text)
        except ValueError:
            return text

    rows = csv.DictReader(file.read_text().splitlines())
    return [{name: value(text) for name, text in row.items()} for row in rows]


def test_the_page_on_intervals_follows_from_its_counts(tmp_path: Path) -> None:
    folder = ROOT / "experiments/coverage"
    study = load(folder / "study.py")
    rows, looks = values(folder / "coverage.csv"), values(folder / "looks.csv")
    y = study.real_runs()
    assert study.page(rows, study.together(y, 1000), looks, y) == (folder / "README.md").read_text()
    study.main(["--studies", "40", "--out", str(tmp_path)])
    again = values(tmp_path / "coverage.csv")
    same = ("kind", "population", "n", "method")
    assert [[row[k] for k in same] for row in again] == [[row[k] for k in same] for row in rows]
    # 40 studies count with a standard error of at most 8 in 100.
    far = [
        abs(one["holds"] - other["holds"])
        for one, other in zip(again, rows, strict=True)
        if not one["constant"]
    ]
    assert max(far) < 0.35
    assert sum(far) / len(far) < 0.06


def test_ways_to_make_an_interval_by_hand() -> None:
    study = load(ROOT / "experiments/coverage/study.py")
    # Of six seeds 0 … 5 there are 63 subsets; 2.5 % of 64 is 1: the ends are the extreme means.
    low, high = study.sign_flips(np.arange(6.0)[np.newaxis])
    assert (low[0], high[0]) == (0, 5)
    low, high = study.sign_flips(np.arange(5.0)[np.newaxis])
    assert (low[0], high[0]) == (-np.inf, np.inf)
    # Ten seeds of 1: betting still leaves 1 - 0.05^… open; t and the bootstrap leave nothing.
    ones = np.ones((1, 10))
    low, high = study.betting(ones)
    assert high[0] == 1
    assert 0.4 < low[0] < 0.8
    assert study.student(ones)[0][0] == 1
    # BCa of symmetric values is the percentile interval: no bias, no acceleration.
    values = np.array([[-2.0, -1, 0, 1, 2]])
    low, high = study.bca(values)
    assert low[0] == pytest.approx(-high[0], abs=0.15)


def test_the_same_study_elsewhere_runs_with_few_updates_and_seeds(
    copy: Path,
    run_commands: RunCommands,
    new_store: Callable[[], str],
    digits: Path,
    tmp_path: Path,
) -> None:
    script = "experiments/elsewhere/study.py"
    (words,) = commands_of(script)
    small = [*words, "--updates", "10", "--seeds", "2", "--fashion", str(digits)]
    small += ["--only", "2,000 updates", "--only", "Fashion-MNIST"]
    shutil.copy(ROOT / "experiments/elsewhere/page.md.in", copy / "experiments/elsewhere")
    (answer,) = run_commands(
        [[*small, "--uri", new_store(), "--out", str(tmp_path)]], root=copy, script=script
    )
    assert answer.returncode == 0, answer.stderr
    published = ROOT / "experiments/elsewhere"
    ours, theirs = (values(folder / "cells.csv") for folder in (tmp_path, published))
    assert list(ours[0]) == list(theirs[0])
    variants = [[*dict.fromkeys(row["variant"] for row in rows)] for rows in (ours, theirs)]
    assert variants[0] == ["2,000 updates", "Fashion-MNIST"]
    assert variants[1] == list(load(published / "study.py").VARIANTS)
    assert "| seeds | 2 | 2 |" in (tmp_path / "README.md").read_text()


def test_the_table_of_the_studies_elsewhere_follows_from_their_runs() -> None:
    published = ROOT / "experiments/elsewhere"
    study = load(published / "study.py")
    runs = values(published / "cells.csv")
    assert study.table(study.estimates(runs)) in (published / "README.md").read_text()
