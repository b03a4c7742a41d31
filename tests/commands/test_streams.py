"""Standard streams that are closed, full or not read, and other surroundings, end no command."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlflow.entities import Run

ROOT = Path(__file__).parents[2]

# A command that prints more than a buffer holds, and writes a file while a stream may be closed.
PROGRAM = """
import sys, warnings
from pathlib import Path
from sgdprobe.commands.cli import run_main

def main(words):
    with open("result", "w") as file:
        for _ in range(20_000):
            print("a line")
        print("to a person", file=sys.stderr)
        warnings.warn("of a library", ImportWarning)
        file.write(str(Path.home()))

sys.exit(run_main(lambda: main, []))
"""
FULL = "the output is incomplete: No space left on device\n"


@pytest.mark.parametrize(
    ("redirection", "code", "err"),
    [
        ("", 0, "to a person\n"),
        (">&-", 0, "to a person\n"),
        ("2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        (">/dev/full", 1, "to a person\n" + FULL),
        ("2>/dev/full", 1, ""),
        ("| head -1", 0, "to a person\n"),
    ],
)
def test_streams(tmp_path: Path, redirection: str, code: int, err: str) -> None:
    """The work is done, no file gets a closed stream's number, and lost output is exit code 1."""
    command = f"set -o pipefail; {sys.executable} -c {quote(PROGRAM)} {redirection}"
    answer = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path, capture_output=True, text=True, env=environment(),
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (code, err)
    assert (tmp_path / "result").read_text() == os.environ["HOME"]
    if redirection == "":
        assert answer.stdout == "a line\n" * 20_000


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME")}
    return inherited | {"PYTHONPATH": str(ROOT / "src")} | variables


def test_other_peoples_warnings_are_no_errors(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True,
        env=environment(PYTHONWARNINGS="error"),
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, "to a person\n")


def test_a_sweep_runs_with_its_output_closed(
    project: Path, environment: dict[str, str], runs: "Callable[[str], list[Run]]",
    new_store: Callable[[], str], tmp_path: Path,
) -> None:  # fmt: skip
    """joblib flushes standard output for each worker that it starts.

    HYDRA_FULL_ERROR, MPLBACKEND and a matplotlibrc are those of other programs.
    """
    uri = new_store()
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nno.such.key: 1\n")
    variables = {"MPLBACKEND": "module://no.such.module", "HYDRA_FULL_ERROR": "0"}
    words = f"{sys.executable} {project}/src/train.py -m notes seed=0,1 sweep.n_jobs=2"
    answer = subprocess.run(
        ["sh", "-c", f"exec {words} >&-"], cwd=tmp_path, capture_output=True, text=True,
        env=environment | variables | {"MLFLOW_TRACKING_URI": uri, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [run.info.status for run in runs(uri)] == ["FINISHED"] * 2
    (sweep,) = {run.data.tags["sweep"] for run in runs(uri)}
    assert (project / "mlruns/reports" / sweep / "learning_curves.svg").is_file()
