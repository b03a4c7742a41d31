"""Tab completion: the words that may come next, and bash, which asks for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sgdprobe.commands import known_commands
from sgdprobe.commands import main as console_script
from sgdprobe.commands.cli import run_command
from sgdprobe.commands.completion import PLAIN, complete, lines
from sgdprobe.config import arguments
from sgdprobe.config.arguments import recipes
from sgdprobe.config.settings import Settings

SRC = Path(__file__).parents[2] / "src"


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("main", "sgdprobe di", ["diagnose"]),
        ("main", "sgdprobe re", ["report", "rerun"]),
        ("main", "sgdprobe --v", ["--version"]),
        ("main", "sgdprobe nothing x", []),
        ("main", "sgdprobe train no", ["notes"]),
        ("train", "python src/train.py no", ["notes"]),
        ("train", "python src/train.py -m se", ["seed="]),
        ("train", "python src/train.py -m sweep", [
            "sweep", *(f"sweep.{name}=" for name in (
                "backend", "dry_run", "fail_fast", "max_kills", "n_jobs", "resume", "scheduler"
            )), "sweep=",
        ]),
        ("train", "python src/train.py notes init.sc", ["init.scale=", "init.scheme="]),
        ("train", "python src/train.py init=n", ["init=normal"]),
        ("train", "python src/train.py --mu", ["--multirun"]),
        ("train", "python src/train.py network.activation=s", ["network.activation=sigmoid"]),
        ("train", "python src/train.py sweep.resume=", ["sweep.resume=false", "sweep.resume=true"]),
        ("train", "python src/train.py --cfg ", ["all", "hydra", "job"]),
        ("train", "python src/train.py init.scale=", []),
        ("main", "sgdprobe sweep --js", ["--json"]),
        ("explain", "python src/explain.py notes boo", ["book", "book_relu"]),
        ("main", "sgdprobe explain notes book --fix dt", ["dtype="]),
        ("main", "sgdprobe explain --fix dtype=", ["dtype=float32", "dtype=float64"]),
        ("main", "sgdprobe rerun la", ["last"]),
        ("main", "sgdprobe rerun --sweep l", ["last"]),
        ("main", "sgdprobe rerun --at", ["--at-recorded-commit"]),
        ("report", "python src/report.py --s", ["--study"]),
        ("main", "sgdprobe demo --n", ["--no-ui"]),
        ("main", "sgdprobe", []),
    ],
)  # fmt: skip
def test_complete(name: str, line: str, words: list[str]) -> None:
    assert complete(name, line) == words


@pytest.mark.parametrize("name", known_commands())
def test_every_command_has_options_to_complete(name: str) -> None:
    assert {"--help", "--version"} <= {*complete("main", f"sgdprobe {name} -")}


def test_all_recipes_and_settings_are_offered() -> None:
    found = complete("main", "sgdprobe train ")
    assert {*recipes(), *(f"{key}=" for key in Settings().flat())} <= {*found}


def test_a_files_name_is_no_command_of_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bash expands the words that it is given."""
    (tmp_path / "experiment").mkdir()
    for name in ("mine", "$(touch it-ran)", "`touch it-ran`", "a b"):
        (tmp_path / "experiment" / f"{name}.yaml").write_text("")
    monkeypatch.setattr(arguments, "OWN_CONF", tmp_path)
    assert "$(touch it-ran)" in recipes()
    found = complete("main", "sgdprobe train ")
    assert "mine" in found
    assert [word for word in found if not PLAIN.fullmatch(word)] == []


def test_the_lines_are_printed_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    for name, words in (("completion", []), ("train", ["-sc", "install=bash"])):
        assert run_command(name, words) == 0
        assert capsys.readouterr() == (f"{lines()}\n", "")
    assert run_command("train", ["-sc", "uninstall=bash"]) == 0
    assert capsys.readouterr().out.startswith("complete -r sgdprobe")
    assert run_command("train", ["-sc"]) == 2


# As bash calls it for the word under the cursor; `python` and `sgdprobe` are stand-ins.
TAB = """
_theirs() { COMPREPLY=(theirs); }
complete -F _theirs python
LINES
COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
$(complete -p "$1" | sed 's/.* -F \\([^ ]*\\) .*/\\1/') "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""
PROGRAM = """#!/bin/sh
touch "ran-$(basename "$0")-$(basename "$1")"
echo notes init.scheme= init.scale= init=he 'SGDPROBE_COMPLETE:'
"""


@pytest.mark.parametrize(
    ("typed", "replies", "ran"),
    [
        ("sgdprobe train no", ["notes"], ["ran-sgdprobe-"]),
        ("sgdprobe train init=h", ["he"], ["ran-sgdprobe-"]),  # bash has split the word at =
        ("python {src}/train.py no", ["notes"], ["ran-python-train.py"]),
        ("python {src}/explain.py init.sc", ["init.scheme=", "init.scale="],
         ["ran-python-explain.py"]),
        ("python {src}/train", ["theirs"], []),  # the script itself is not typed yet
        ("python mine.py no", ["theirs"], []),
        ("python train.py no", ["theirs"], []),  # of that name, but not ours
    ],
)  # fmt: skip
def test_tab_runs_our_commands_only(
    tmp_path: Path, typed: str, replies: list[str], ran: list[str]
) -> None:
    for name in ("mine.py", "train.py"):
        (tmp_path / name).write_text("open('it-ran', 'w')")
    for name in ("python", "sgdprobe"):
        (tmp_path / name).write_text(PROGRAM)
        (tmp_path / name).chmod(0o755)
    answer = subprocess.run(
        ["bash", "-c", TAB.replace("LINES", lines()), "bash", *typed.format(src=SRC).split()],
        cwd=tmp_path, capture_output=True, text=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert (answer.stdout.split(), answer.stderr) == (replies, "")
    assert [path.name for path in tmp_path.glob("*ran*")] == ran


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ([str(SRC / "rerun.py")], "python src/rerun.py la"),
        (["-m", "sgdprobe"], "sgdprobe rerun la"),
    ],
)
def test_a_program_completes_its_own_line(program: list[str], line: str) -> None:
    answer = subprocess.run(
        [sys.executable, *program], capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "SGDPROBE_COMPLETE": line},
    )  # fmt: skip
    assert (answer.stdout, answer.stderr) == ("last\n", "")


def test_the_commands_are_listed_and_a_wrong_one_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert console_script.main([]) == 0
    shown = capsys.readouterr().out
    assert [name for name in known_commands() if f"\n  {name} " not in shown] == []
    assert max(map(len, shown.splitlines())) <= 80
    assert run_command("main", ["tarin"]) == 2
    assert capsys.readouterr().err.endswith("; did you mean train?\n")


def test_every_module_with_a_main_function_is_a_command() -> None:
    modules = (SRC / "sgdprobe/commands").glob("*.py")
    found = {path.stem for path in modules if "\ndef main(" in path.read_text()}
    assert found - {"main"} == {*known_commands()}
