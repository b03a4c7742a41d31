"""compare.py as a process: two runs of the same settings and of others."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support import points_of, runs_in

from sgdprobe.commands import compare
from sgdprobe.errors import UserError

Answers = list[CompletedProcess[str]]


@pytest.fixture(scope="module")
def uri(new_store: Callable[[], str]) -> str:
    return new_store()


@pytest.fixture(scope="module")
def ids(uri: str, run_commands: Callable[..., Answers]) -> list[str]:
    """notes with two learning rates, and the first again, one update shorter."""
    at = ["notes", f"tracking.uri={uri}"]
    first = [*at, "training.learning_rate=0.02"]
    made = run_commands([first, [*at, "init=he"], [*first, "training.iterations=11"]])
    assert [answer.returncode for answer in made] == [0, 0, 0], made
    return [run.info.run_id for run in runs_in(uri)]


@pytest.fixture(scope="module")
def answers(ids: list[str], uri: str, run_commands: Callable[..., Answers]) -> Answers:
    a, b, c = ids
    commands = [[a, b, "--json", "--uri", uri], [a[:12], c, "--uri", uri]]
    return run_commands(commands, script="src/compare.py")


def test_the_table_has_what_differs(answers: Answers, ids: list[str], uri: str) -> None:
    answer = answers[0]
    assert answer.returncode == 0, answer.stderr
    *lines, page = answer.stderr.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("first difference: epoch 1, loss: ")
    rows = {line.split()[0]: line.split()[1:] for line in lines if len(line.split()) == 3}
    assert rows["run"] == [ids[0][:8], ids[1][:8]]
    assert rows["init.scheme"] == ["normal", "he"]
    assert rows["training.learning_rate"] == ["0.02", "0.01"]
    assert "seed" not in rows
    assert rows["epochs"] == ["3", "3"]
    text = Path(page).read_text()
    assert Path(page).parent.name == f"compare-{ids[0][:8]}-{ids[1][:8]}"
    assert "init.scheme" in text
    assert (Path(page).parent / "curves.svg").exists()


def test_json_has_the_numbers_of_the_store(answers: Answers, ids: list[str], uri: str) -> None:
    found = json.loads(answers[0].stdout)
    assert [run["run_id"] for run in found["runs"]] == ids[:2]
    assert set(found["settings"]) == {"init.scheme", "training.learning_rate"}
    points = [points_of(uri, run) for run in runs_in(uri)[:2]]
    for name, values in found["metrics"].items():
        assert values == [each[name][-1][1] for each in points], name
    first = found["first_difference"]
    assert (first["epoch"], first["metric"]) == (1, "loss")
    assert first["values"] == [each["loss"][0][1] for each in points]
    assert found["versions"] == {}
    assert found["runs"][0]["findings"], "notes has warnings before training"
    assert Path(found["page"]).exists()


def test_runs_that_part_late(answers: Answers, ids: list[str]) -> None:
    """12 updates and 11 are epochs of 5, 5 and 2 or 1: the first two are the same."""
    assert (answers[1].returncode, answers[1].stderr) == (0, "")
    lines = answers[1].stdout.splitlines()
    assert lines[0].startswith("first difference: epoch 3, loss: "), lines[0]


def test_refused(ids: list[str], uri: str) -> None:
    with pytest.raises(UserError, match=f"{ids[0]} and {ids[0][:10]} are the same run, {ids[0]}"):
        compare.run_pair(ids[0], ids[0][:10], uri)
    with pytest.raises(UserError, match="x: no such run; the newest are "):
        compare.run_pair(ids[0], "x", uri)
