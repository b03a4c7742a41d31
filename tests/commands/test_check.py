"""check.py as a process: exit codes, lines of 80 characters, JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support import ROOT

SOURCE = (ROOT / "examples/two_layer_net.py").read_text()
SMALL = ["--sizes", "20,12,5"]


@pytest.fixture(scope="module")
def answers(
    run_commands: Callable[..., list[CompletedProcess[str]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "right.py").write_text(SOURCE)
    line = '        grads["b2"] = dy.sum(axis=0)\n'
    assert line in SOURCE
    (folder / "wrong.py").write_text(SOURCE.replace(line, "").replace(" * z1 * (1 - z1)", ""))
    commands = [
        ["right.py:TwoLayerNet", *SMALL, "--with", "weight_init_std=0.1"],
        ["wrong:TwoLayerNet", *SMALL],
        ["wrong.py:TwoLayerNet", *SMALL, "--json"],
        ["right.py:Missing"],
        ["right.py:TwoLayerNet", "--sizes", "20,12"],
        ["right.py:TwoLayerNet", "--with", "depth=3"],
    ]
    return run_commands(commands, script="src/check.py", cwd=folder)


def test_a_right_network_exits_with_0(answers: list[CompletedProcess[str]]) -> None:
    answer = answers[0]
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.splitlines()[-1] == "TwoLayerNet: all 11 checks passed"


def test_a_wrong_one_exits_with_1_and_says_where(answers: list[CompletedProcess[str]]) -> None:
    answer = answers[1]
    assert (answer.returncode, answer.stderr) == (1, "")
    lines = answer.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    at = next(k for k, line in enumerate(lines) if "b2 does not change" in line)
    assert lines[at + 1].strip().startswith("look at wrong.py:")
    assert lines[at + 2].strip() == "return grads"
    assert "skipped   differences" in answer.stdout
    assert lines[-1].startswith("mend first, wrong.py:"), lines[-2:]


def test_json_has_the_same(answers: list[CompletedProcess[str]]) -> None:
    answer = answers[2]
    found = json.loads(answer.stdout)
    assert (answer.returncode, found["passed"]) == (1, False)
    assert found["class"] == "wrong.py:TwoLayerNet"
    (failed,) = (check for check in found["checks"] if check["status"] == "failed")
    (problem,) = failed["problems"]
    assert (failed["name"], problem["code"]) == ("gradient", "return grads")
    lines = Path(found["file"]).read_text().splitlines()
    assert lines[problem["line"] - 1].strip() == "return grads"
    assert "mend first" in answer.stderr


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (3, "right.py:Missing: right.py has no Missing"),
        (4, "--sizes must be three integers above 0, such as 784,50,10; got 20,12"),
        (5, "cannot be made: TypeError: TwoLayerNet.__init__() got an unexpected keyword"),
    ],
)
def test_what_cannot_be_loaded_exits_with_2(
    answers: list[CompletedProcess[str]], number: int, line: str
) -> None:
    answer = answers[number]
    assert (answer.returncode, answer.stdout) == (2, "")
    assert line in answer.stderr
    assert answer.stderr.count("\n") == 1
