"""The command line: bare words, options and their values, completion, help."""

import inspect
import signal
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from hydra._internal.utils import _run_hydra, get_args_parser

from sgdprobe.commands import cli as commandline
from sgdprobe.commands.cli import exit_on_user_error
from sgdprobe.config import arguments
from sgdprobe.config.arguments import complete, expand, recipes
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError
from sgdprobe.paths import CONF

KNOWN = ["book", "notes", "sweep"]


@pytest.mark.parametrize(
    ("typed", "expanded"),
    [
        ("", ""),
        ("notes", "experiment=notes"),
        ("-m sweep", "-m experiment=sweep"),
        ("experiment=notes seed=1", "experiment=notes seed=1"),
        ("notes init.scale=0.1", "experiment=notes init.scale=0.1"),
        ("init=he notes", "init=he experiment=notes"),
        # What follows these options is their value, also where a recipe has that name.
        ("-cd notes book", "-cd notes experiment=book"),
        ("--config-dir notes", "--config-dir notes"),
        ("-cn notes", "-cn notes"),
        ("-cp book notes", "-cp book experiment=notes"),
        ("--cfg job notes", "--cfg job experiment=notes"),
        ("-c job -p notes book", "-c job -p notes experiment=book"),
        # … and not what follows these.
        ("--cfg=job notes", "--cfg=job experiment=notes"),
        ("-r notes", "-r experiment=notes"),
        ("--multirun notes", "--multirun experiment=notes"),
        ("--help notes", "--help experiment=notes"),
        # --info takes one of its own words, or none.
        ("-i defaults notes", "-i defaults experiment=notes"),
        ("--info=plugins notes", "--info=plugins experiment=notes"),
        ("notes -i", "experiment=notes -i"),
    ],
)
def test_expand(typed: str, expanded: str) -> None:
    assert sorted(expand(typed.split(), KNOWN)) == sorted(expanded.split())


@pytest.mark.parametrize(
    "typed",
    [
        "notes -i",
        "-i notes",
        "-i defaults notes",
        "notes -m seed=1,2",
        "-m notes seed=1,2",
        "seed=1 --cfg job notes",
        "notes --cfg job --resolve",
        "notes --cfg=job -p network",
    ],
)
def test_hydra_understands_what_is_expanded(typed: str) -> None:
    # Hydra's parser takes overrides before an option or after it, but not on both sides of it.
    parsed = get_args_parser().parse_args(expand(typed.split(), KNOWN))
    assert "experiment=notes" in parsed.overrides
    assert parsed.info in (None, "all", "defaults")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("note", "note: no such recipe; there are book, notes, sweep"),
        ("notes note", "note: no such recipe"),
        ("-cd notes note", "note: no such recipe"),
        ("-i note", "note: no such recipe"),
        ("--recipe notes", "--recipe: no such option; --help lists them"),
        ("-x", "-x: no such option"),
        ("--lr=1", "--lr: no such option"),
        ("-m --cfg job", "-m and --cfg can't be asked for together"),
        ("notes book", "experiment=notes and experiment=book can't be asked for together"),
    ],
)
def test_refused(typed: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        expand(typed.split(), KNOWN)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def options(parser: ArgumentParser, nargs: int | str | None) -> set[str]:
    return {
        word
        for action in parser._actions
        for word in action.option_strings
        if action.nargs == nargs
    }


def test_option_lists_agree_with_hydras_parser() -> None:
    parser = get_args_parser()
    assert options(parser, 0) == arguments.FLAGS
    assert options(parser, None) == arguments.WITH_VALUE
    assert options(parser, "?") == arguments.WITH_OPTIONAL_VALUE
    (info,) = [action for action in parser._actions if "--info" in action.option_strings]
    assert set(info.choices or ()) == arguments.INFO


def test_commands_are_those_of_which_hydra_takes_one() -> None:
    rule = "Only one of --run, --multirun, --cfg, --info and --shell_completion can be specified"
    assert rule in inspect.getsource(_run_hydra), "Hydra has another rule now"
    names = {"run", "multirun", "cfg", "info", "shell_completion"}
    actions = [action for action in get_args_parser()._actions if action.dest in names]
    assert {word for action in actions for word in action.option_strings} == arguments.COMMANDS


def test_recipes_are_the_files_of_conf_experiment() -> None:
    assert recipes() == sorted(file.stem for file in (CONF / "experiment").iterdir())
    assert {"notes", "book", "sweep"} <= set(recipes())


@pytest.mark.parametrize(
    ("line", "answers", "rewritten"),
    [
        ("python src/train.py ", KNOWN, "python src/train.py "),
        ("python src/train.py no", ["notes"], "python src/train.py no"),
        ("python src/train.py -m s", ["sweep"], "python src/train.py -m s"),
        ("python src/train.py x", [], "python src/train.py x"),
        ("python src/train.py --n", [], "python src/train.py --n"),
        ("python src/train.py init=no", [], "python src/train.py init=no"),
        (
            "python src/train.py notes init.sc",
            [],
            "python src/train.py experiment=notes init.sc",
        ),
        ("train", [], "train"),
    ],
)
def test_complete(line: str, answers: list[str], rewritten: str) -> None:
    environment = {"COMP_LINE": line}
    assert complete(environment, KNOWN) == answers
    assert environment["COMP_LINE"] == rewritten


def test_a_refusal_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, exit_on_user_error(KeyError):
        raise KeyError("several\n  lines\n\nConfig search path:\n\tand more")
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "search path" not in err


def test_a_mistake_in_the_program_is_no_refusal() -> None:
    with pytest.raises(ZeroDivisionError), exit_on_user_error():
        raise ZeroDivisionError


def test_sigterm_unwinds_and_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, commandline.interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert end.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


COMPLETE = ["-sc", "query=bash"]


@pytest.fixture(scope="module")
def answers(start: Callable[..., Any], project: Path) -> dict[str, CompletedProcess[str]]:
    """What the real door answers when it is asked about itself; all asked at the same time."""
    line = "python src/train.py "
    asked = {
        "help": start("--help", PYTHONPROFILEIMPORTTIME="1"),
        "cfg": start("--cfg=job", "notes"),
        "install": start("-sc", "install=bash"),
        "no": start(*COMPLETE, COMP_LINE=f"{line}no"),
        "-m notes init.sc": start(*COMPLETE, COMP_LINE=f"{line}-m notes init.sc"),
    }
    answers = {}
    for name, process in asked.items():
        out, err = process.communicate(timeout=60)
        answers[name] = CompletedProcess(process.args, process.returncode, out, err)
    return answers


def test_help_shows_recipes_and_settings(answers: dict[str, CompletedProcess[str]]) -> None:
    format_value = answers["help"]
    assert format_value.returncode == 0
    for word in [*recipes(), "python src/train.py -m sweep", "learning_rate:", "init: he"]:
        assert word in format_value.stdout, f"--help does not show {word!r}"


def test_help_comes_without_importing_mlflow(answers: dict[str, CompletedProcess[str]]) -> None:
    imported = {line.rpartition("|")[2].strip() for line in answers["help"].stderr.splitlines()}
    assert "hydra" in imported, "the list of imports is not where it was"
    assert not imported & {"mlflow", "matplotlib", "sqlalchemy"}, "these take seconds"


def test_cfg_shows_the_settings_of_a_recipe(answers: dict[str, CompletedProcess[str]]) -> None:
    format_value = answers["cfg"]
    assert (format_value.returncode, format_value.stderr) == (0, "")
    settings = Settings.from_dict(yaml.safe_load(format_value.stdout))
    assert (settings.network.softmax_over, settings.init.scale) == ("batch", 1.0)


@pytest.mark.parametrize(
    ("typed", "words"),
    [("no", {"notes"}), ("-m notes init.sc", {"init.scheme=", "init.scale="})],
)
def test_completion(answers: dict[str, CompletedProcess[str]], typed: str, words: set[str]) -> None:
    answer = answers[typed]
    assert (answer.returncode, answer.stderr) == (0, "")
    assert words <= set(answer.stdout.split()), f"{typed!r} completes to {answer.stdout!r}"


def test_completion_can_be_installed(answers: dict[str, CompletedProcess[str]]) -> None:
    answer = answers["install"]
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "complete -o nospace" in answer.stdout
