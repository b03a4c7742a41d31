"""The command line: bare words, options and their values, completion, help."""

import inspect
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml
from hydra._internal.utils import _run_hydra, get_args_parser
from support import Answer, Process

from sgdprobe import __version__
from sgdprobe.commands import cli as commandline
from sgdprobe.commands.cli import Main, run_command, run_main
from sgdprobe.config.arguments import ACTIONS, hydra_arguments, recipes
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError, UserError
from sgdprobe.paths import CONF

KNOWN = ["book", "notes", "sweep"]


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("", ""),
        ("notes", "experiment=notes"),
        ("-m sweep", "experiment=sweep --multirun"),
        ("experiment=notes seed=1", "experiment=notes seed=1"),
        ("notes init.scale=0.1", "experiment=notes init.scale=0.1"),
        ("init=he notes", "init=he experiment=notes"),
        # Hydra's parser takes overrides on one side of the options only.
        ("-m notes seed=1,2", "experiment=notes seed=1,2 --multirun"),
        ("notes -m seed=1,2", "experiment=notes seed=1,2 --multirun"),
        ("seed=1 --cfg job notes", "seed=1 experiment=notes --cfg=job"),
        # The word after these options is their value, also where a recipe has that name.
        ("-cd notes book", "experiment=book --config-dir=notes"),
        ("--config-dir notes", "--config-dir=notes"),
        ("-cn notes", "--config-name=notes"),
        ("--cfg job notes", "experiment=notes --cfg=job"),
        ("-c job -p notes book", "experiment=book --cfg=job --package=notes"),
        # … and not the word after these.
        ("--cfg=job notes", "experiment=notes --cfg=job"),
        ("-r notes", "experiment=notes --run"),
        ("--multirun notes", "experiment=notes --multirun"),
        ("--help notes", "experiment=notes --help"),
        ("notes --cfg job --resolve", "experiment=notes --resolve --cfg=job"),
        # --info takes one of its own words, or none.
        ("-i defaults notes", "experiment=notes --info=defaults"),
        ("--info=plugins notes", "experiment=notes --info=plugins"),
        ("notes -i", "experiment=notes --info=all"),
        ("-i notes", "experiment=notes --info=all"),
        ("-i seed=1", "seed=1 --info=all"),
        # The words of --shell-completion are no settings.
        ("-sc install=bash", "install=bash --shell-completion"),
    ],
)
def test_hydra_arguments(typed: str, arguments: str) -> None:
    found = hydra_arguments(typed.split(), KNOWN)
    assert found == arguments.split()
    get_args_parser().parse_args(found)  # Hydra takes them


def test_a_relative_config_path_is_relative_to_src() -> None:
    found = hydra_arguments(["-cp", "../other"], KNOWN)
    assert found == [f"--config-path={CONF.parent / 'other'}"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("note", "note: no such recipe; there are book, notes, sweep; did you mean notes?"),
        ("notes note", "note: no such recipe"),
        ("-cd notes note", "note: no such recipe"),
        ("-i note", "note: no such recipe"),
        ("--recipe notes", "--recipe: no such option; --help lists them"),
        ("-x", "-x: no such option"),
        ("--lr=1", "--lr: no such option"),
        ("--multi sweep", "--multi: no such option"),  # no abbreviations
        ("--cfg", "--cfg/-c: expected one argument; --help lists the options"),
        ("--resolve", "--resolve needs --cfg or --help"),
        ("-m --cfg job", "--multirun and --cfg cannot be combined; choose one"),
        ("notes book", "experiment=notes and experiment=book cannot be combined"),
        ("foo=1", "foo=1: no such setting"),
        # Words of other libraries, and mistakes of typing.
        ("lr=1", "; did you mean training.learning_rate?"),
        ("momentum=0.9", "; did you mean training.optimizer=momentum with training.momentum?"),
        ("dropout=0.5", "; did you mean training.weight_decay?"),
        ("epochs=3", "; did you mean training.epochs?"),
        ("training.learning_rat=1", "; did you mean training.learning_rate?"),
        # What Hydra would accept, and our launcher would not do.
        ("-m hydra/launcher=basic seed=0,1", "Hydra's own settings have no effect here"),
        ("-m hydra.sweeper.params={seed:1}", "Hydra's own settings have no effect here"),
        ("-m seed=sort(range(10,35,10),reverse=true)", "Hydra sorts a range into other values"),
    ],
)
def test_refused(typed: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        hydra_arguments(typed.split(), KNOWN)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_actions_are_those_of_which_hydra_takes_one() -> None:
    rule = "Only one of --run, --multirun, --cfg, --info and --shell_completion can be specified"
    assert rule in inspect.getsource(_run_hydra), "Hydra has another rule now"
    assert set(ACTIONS) == set(re.findall(r"--(\w+)", rule))


def test_recipes_are_the_files_of_conf_experiment() -> None:
    assert recipes() == sorted(file.stem for file in (CONF / "experiment").iterdir())
    assert {"notes", "book", "sweep"} <= set(recipes())


def raising(error: BaseException) -> Callable[[], Main]:
    """A main function that raises an error, for `run_main` to load."""

    def main(_: Sequence[str]) -> int:
        raise error

    return lambda: main


@pytest.mark.parametrize(
    ("error", "code", "err"),
    [
        (UserError("several\n  lines"), 2, "several lines\n"),
        (KeyboardInterrupt(), 130, "interrupted; the results recorded so far are kept\n"),
        (SystemExit(1), 1, ""),
        (SystemExit(), 0, ""),
    ],
    ids=repr,
)
def test_exit_code_and_message(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, err: str
) -> None:
    assert run_main(raising(error), []) == code
    assert capsys.readouterr() == ("", err)


def test_a_library_that_is_missing_is_one_line_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(commandline, "import_module", missing)
    assert run_command("train", []) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"numpy is not installed for {sys.executable}: type `make sweep` first")
    assert "activate" in err


@pytest.mark.parametrize("name", ["train", "explain", "rerun", "report"])
def test_version_is_ours(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run_command(name, ["--version"]) == 0
    assert capsys.readouterr() == (f"sgdprobe {__version__}\n", "")


@pytest.mark.parametrize(
    ("command", "typed", "message"),
    [
        ("rerun", "abc --smaple 5", "unrecognized arguments: --smaple 5"),
        ("rerun", "", "one of the arguments run --sweep is required"),
        ("rerun", "abc --sweep s", "argument --sweep: not allowed with argument run"),
        ("rerun", "--sweep s --sample x", "argument --sample: invalid int value: 'x'"),
        ("report", "--sutdy x", "unrecognized arguments: --sutdy"),
        ("report", "--study", "argument --study: expected one argument"),
        ("explain", "notes", "the following arguments are required: target"),
        ("explain", "notes book --fx dtype=float32", "unrecognized arguments: --fx dtype=float32"),
        ("train", "--sed=1", "--sed: no such option"),
    ],
)
def test_a_mistyped_option_is_one_line(
    capsys: pytest.CaptureFixture[str], command: str, typed: str, message: str
) -> None:
    code = run_command(command, typed.split())
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(message)
    assert err.endswith("--help lists the options\n" if command != "train" else "lists them\n")


def test_explain_refuses_before_it_imports_what_is_slow() -> None:
    program = (
        "import sys; from sgdprobe.commands.cli import run_command\n"
        "code = run_command('explain', ['notes', 'bok'])\n"
        "print(code, *{'joblib', 'scipy.special', 'mlflow', 'matplotlib'} & {*sys.modules})"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env={"PYTHONPATH": str(CONF.parent / "src")},
    )  # fmt: skip
    assert answer.stdout == "2\n"
    assert "did you mean book?" in answer.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [("train", ["-m", "notes", "seed=7,8", "sweep.dry_run=true"]), ("report", ["last"])],
)
def test_what_only_reads_a_database_does_without_mlflow(
    recorded: tuple[Answer, object], project: Path, command: str, words: list[str]
) -> None:
    """Importing MLflow takes a second, which is more than all else that these commands do."""
    program = (
        "import sys; from sgdprobe.commands.cli import run_command\n"
        f"code = run_command({command!r}, {words!r})\n"
        "print('code', code, *{'mlflow', 'pandas'} & {*sys.modules})"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=project,
        env={"PYTHONPATH": str(project / "src")},
    )  # fmt: skip
    assert answer.stdout.splitlines()[-1] == "code 0", answer.stdout + answer.stderr


def test_a_mistake_in_the_program_is_no_refusal() -> None:
    with pytest.raises(ZeroDivisionError):
        run_main(raising(ZeroDivisionError()), [])


def test_sigterm_unwinds_and_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def main(_: Sequence[str]) -> None:
        signal.raise_signal(signal.SIGTERM)

    assert run_main(lambda: main, []) == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture(scope="module")
def answers(start: Callable[..., Process]) -> dict[str, CompletedProcess[str]]:
    """What the command says of itself; all asked at the same time."""
    asked = {
        "help": start("--help", PYTHONPROFILEIMPORTTIME="1"),
        "cfg": start("--cfg=job", "notes"),
    }
    return {name: process.answer() for name, process in asked.items()}


def test_help_shows_recipes_and_settings(answers: dict[str, CompletedProcess[str]]) -> None:
    answer = answers["help"]
    assert answer.returncode == 0
    for word in [*recipes(), "python src/train.py -m sweep", "learning_rate:", "init: he"]:
        assert word in answer.stdout, f"--help does not show {word!r}"


def test_help_comes_without_importing_mlflow(answers: dict[str, CompletedProcess[str]]) -> None:
    imported = {line.rpartition("|")[2].strip() for line in answers["help"].stderr.splitlines()}
    assert "hydra" in imported, "the list of imports is not where it was"
    assert not imported & {"mlflow", "matplotlib", "sqlalchemy"}, "these take seconds"


def test_cfg_shows_the_settings_of_a_recipe(answers: dict[str, CompletedProcess[str]]) -> None:
    answer = answers["cfg"]
    assert (answer.returncode, answer.stderr) == (0, "")
    settings = Settings.from_dict(yaml.safe_load(answer.stdout))
    assert (settings.network.softmax_over, settings.init.scale) == ("batch", 1.0)
