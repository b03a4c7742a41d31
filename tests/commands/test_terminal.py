"""A narrow terminal, a dumb one, no colour, a log file: readable everywhere."""

import io
import os
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from sgdprobe.commands.console import MAX_ROWS, plain_console, print_table, result_table
from sgdprobe.commands.progress import RunProgress, SweepProgress, is_shown
from sgdprobe.config.formatting import fitted, terminal_columns
from sgdprobe.config.settings import Settings
from sgdprobe.nn import EpochMetrics, TrainingState
from sgdprobe.run.job import Job, Outcome
from sgdprobe.sweep.plan import Plan
from sgdprobe.tracking import Failure

SRC = Path(__file__).parents[2] / "src"
EPOCH = "epoch  1/17  loss 1.6884  train 78.07 %  test 78.16 %  left 2.6 s"
COMMAND = "to compare: cd /a/very/long/path/to/somewhere && mlflow ui"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (EPOCH, ["epoch  1/17  loss 1.6884  train 78.07 %", "  test 78.16 %  left 2.6 s"]),
        ("no word of this sentence is cut at 40 columns",
         ["no word of this sentence is cut at 40", "  columns"]),
        ("at the end of the line is the number 94 %, whole",
         ["at the end of the line is the number", "  94 %, whole"]),
        ("report: /tmp/a/path/that/is/longer/than/the/terminal.html",
         ["report:", "  /tmp/a/path/that/is/longer/than/the/terminal.html"]),
        ("  then open http://127.0.0.1:5000/#/experiments/1",
         ["  then open", "    http://127.0.0.1:5000/#/experiments/1"]),
        (COMMAND, [COMMAND]),
        ("  python src/train.py notes training.iterations=20000",
         ["  python src/train.py notes training.iterations=20000"]),
        ("  best   test 94.65 %  network.hidden=[100], init.scale=0.01, learning_rate=0.01",
         ["  best  test 94.65 %", "    network.hidden=[100],",
          "    init.scale=0.01,  learning_rate=0.01"]),
        ("short", ["short"]),
        ("", [""]),
        (f"\r\x1b[2K{EPOCH}\n", ["\r\x1b[2Kepoch  1/17  loss 1.6884  train 78.07 %",
                                 "  test 78.16 %  left 2.6 s", ""]),
        (f"{'x' * 50}\x1b[0m", [f"{'x' * 50}\x1b[0m"]),  # a bar, which knows the width itself
    ],
)  # fmt: skip
def test_a_terminal_breaks_no_word_number_command_or_address(text: str, lines: list[str]) -> None:
    assert fitted(text, 40).split("\n") == lines


def test_text_is_as_wide_as_the_terminal_and_at_most_80(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, width in (("40", 40), ("80", 80), ("200", 80)):
        monkeypatch.setenv("COLUMNS", columns)
        assert terminal_columns() == width


def outcome(seed: int, failure: Failure | None = None) -> Outcome:
    job = Job(Settings().replace({"seed": seed}), "book", f"seed={seed}")
    metrics = dict.fromkeys(("test_accuracy", "train_accuracy", "loss"), seed / 10_000)
    status = "FAILED" if failure else "FINISHED"
    return Outcome(job, status, f"id{seed}", 1.0, metrics, failure)


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(number, 2 * number, 0.5, 0.9, 0.8)


def test_a_log_of_a_long_sweep_is_short_and_has_all_failures() -> None:
    written = io.StringIO()
    with SweepProgress(1000, plain_console(written)) as progress:
        for seed in range(1000):
            lost = Failure("diverged", "loss became NaN") if seed == 432 else None
            progress.add(outcome(seed, lost))
    head, *lines = written.getvalue().splitlines()
    assert head == "of 1000 runs each 10th is shown, and all that fail"
    numbers = [int(line.split("/")[0]) for line in lines]
    assert numbers == [*range(1, 21), *range(30, 431, 10), 433, *range(440, 1001, 10)]
    assert "\r" not in written.getvalue()


def test_a_log_of_a_short_sweep_has_every_run() -> None:
    written = io.StringIO()
    with SweepProgress(199, plain_console(written)) as progress:
        for seed in range(199):
            progress.add(outcome(seed))
    assert len(written.getvalue().splitlines()) == 199


def test_a_log_of_many_epochs_is_short() -> None:
    written = io.StringIO()
    with RunProgress(2000, 1000, plain_console(written)) as progress:
        for number in range(1, 1001):
            progress.on_epoch(epoch(number))
    shown = [int(line.split("/")[0].split()[1]) for line in written.getvalue().splitlines()]
    assert shown == [n for n in range(1, 1001) if is_shown(n, 1000)]
    assert (len(shown), shown[-1]) == (118, 1000)


def test_a_long_epoch_says_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of numerical updates, ten seconds each: a line a minute at first, 8,640 updates."""
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    written = io.StringIO()
    progress = RunProgress(8640, 1, plain_console(written))
    for updates in range(1, 4320):  # _left() looks at the clock, too
        progress.on_update(TrainingState(1, 0, [1.0] * updates, {}, np.zeros(1)))
    lines = written.getvalue().splitlines()
    assert 20 < len(lines) < 150, f"{len(lines)} lines in half a day"


def test_a_table_of_very_many_runs_shows_the_ends() -> None:
    found = [outcome(seed) for seed in range(500)]
    plan = Plan("s", tuple(o.job for o in found), ("seed",), 0)
    table = result_table(plan, found, {})
    first, *_, last = table.columns[0].cells
    assert (table.row_count, first, last) == (MAX_ROWS + 1, "499", "0")
    assert "400 runs more between these, in the report" in list(table.columns[-1].cells)


def terminal(width: int | None) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=width,
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_a_narrow_terminal_shows_a_table_as_lists(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value with its heading, which a screen reader reads out."""
    table = Table("lr", "test", "")
    table.add_row("0.1", "94.62 %", "<- book")
    table.add_row("1", "9.80 %", "")
    monkeypatch.setenv("TERM", kind)
    for width, shown in ((20, "lr 0.1  test 94.62 %  <- book\nlr 1  test 9.80 %\n"), (80, None)):
        monkeypatch.setenv("COLUMNS", str(width))
        console = terminal(width if kind == "xterm" else None)
        print_table(table, console)
        assert isinstance(console.file, io.StringIO)
        written = console.file.getvalue()
        assert written == shown or (shown is None and "94.62 %" in written.splitlines()[3])


def in_terminal(words: list[str], cwd: Path, columns: int, **variables: str) -> str:
    """What a command writes to a terminal of so many columns."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), **variables}
    process = subprocess.Popen(
        [sys.executable, "-m", "sgdprobe", *words], cwd=cwd, env=environment,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the command has ended
            break
        written += part
    os.close(ours)
    assert process.wait() == 0, written.decode()
    return written.decode().replace("\r\n", "\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "moves"),
    [({"TERM": "dumb"}, False), ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True)],
    ids=["dumb", "no colour"],
)
def test_a_run_in_a_terminal_of_40_columns(
    tmp_path: Path, digits: Path, new_store: Callable[[], str], variables: dict[str, str],
    moves: bool,
) -> None:  # fmt: skip
    words = ["train", "book", f"data.root={digits}", "training.iterations=12"]
    said = in_terminal(words, tmp_path, 40, MLFLOW_TRACKING_URI=new_store(), **variables)
    assert ("\x1b[" in said) == moves
    assert re.findall(r"\x1b\[[\d;]*m", said) == [] or re.findall(r"\x1b\[3[1-7]m", said) == []
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said)
    lines = [line.rpartition("\r")[2] for line in plain.splitlines()]
    long = [line for line in lines if len(line) > 40]
    copied = ("mlflow ui", "http://", "sgdprobe train")
    assert [line for line in long if not any(word in line for word in copied)] == []
    assert any(re.match(r" *epoch 2/2  loss \d", line) for line in lines), said


def test_help_fits_a_terminal_of_40_columns(tmp_path: Path) -> None:
    said = in_terminal([], tmp_path, 40)
    assert max(map(len, said.splitlines())) <= 40, said
