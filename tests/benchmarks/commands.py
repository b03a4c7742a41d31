"""How long does a person wait? For a command's end, and for a sweep's first run to begin.

python tests/benchmarks/commands.py --turns 5 --out DIR

Whole processes, imports included, one at a time and in turn. The reports are on runs that were
really made, of 17 epochs each, but on 600 images, so that a thousand take minutes. All this
happens in a copy of the project, with a store of its own.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

from machine import ROOT
from mlflow import MlflowClient
from rich.table import Table
from scaling import write_few_images
from timings import Spread, console, write_csv, write_json
from whole_command import ENVIRONMENT, new_store, seconds_of

CELLS = 2**5  # of notes and book
LENGTH = "training.iterations=100"  # 6 updates an epoch, of 600 images


def copy_of_project(folder: Path) -> Path:
    """The commands and their settings, and no runs."""
    for part in ("src", "conf"):
        shutil.copytree(ROOT / part, folder / part)
    return folder


def make_runs(project: Path, seeds: int) -> list[str]:
    """Make the runs of a study; the words that ask for it."""
    images = project / "images"
    images.mkdir()
    write_few_images(images)
    fixed = [f"--fix={word}" for word in ("dtype=float32", f"data.root={images}", LENGTH)]
    words = ["src/explain.py", "notes", "book", *fixed, f"--seeds={seeds}"]
    seconds_of([sys.executable, *words], project)
    return words


def first_run(project: Path) -> float:
    """Seconds from typing a sweep until MLflow says that its first run begins."""
    with tempfile.TemporaryDirectory() as folder:
        uri, client, number = new_store(Path(folder), "sweep")
        words = [sys.executable, "src/train.py", "-m", "sweep", f"tracking.uri={uri}"]
        typed = time.time()
        with Popen(words, cwd=project, env=ENVIRONMENT, stdout=DEVNULL) as process:
            begun = _first_beginning(client, number, process)
            process.terminate()
        return begun - typed


def _first_beginning(client: MlflowClient, experiment: str, process: "Popen[bytes]") -> float:
    while process.poll() is None:
        time.sleep(0.1)
        if runs := client.search_runs([experiment]):
            return float(min(run.info.start_time for run in runs)) / 1000
    raise SystemExit(f"the sweep ended before its first run, with {process.returncode}")


def waits(project: Path, study: Sequence[str], runs: int) -> Mapping[str, Callable[[], float]]:
    """What is waited for, and how to time it."""

    def command(*words: str, exit_code: int = 0) -> Callable[[], float]:
        return lambda: seconds_of([sys.executable, *words], project, exit_code)[0]

    sweep = ("src/train.py", "-m", "sweep")
    return {
        "train.py --help": command("src/train.py", "--help"),
        "train.py training.learning_rate=-1, refused": command(
            "src/train.py", "training.learning_rate=-1", exit_code=2
        ),
        "the plan of 36 runs": command(*sweep, "sweep.dry_run=true"),
        "the plan of 504 runs": command(*sweep, "seed=range(0,14)", "sweep.dry_run=true"),
        "the first run of train.py -m sweep": partial(first_run, project),
        f"explain.py --no-run on {runs:,} runs": command(*study, "--no-run"),
        f"report.py on {runs:,} runs": command("src/report.py"),
    }


def rows_of(timers: Mapping[str, Callable[[], float]], turns: int) -> list[dict[str, Any]]:
    """A row for each wait; the first turn, in which files are read from the disk, is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for turn in range(turns + 1):
        for name, timer in timers.items():
            taken = timer()
            if turn:
                seconds[name].append(taken)
    return [
        {"wait": name, "seconds": Spread.of(each), "n": turns} for name, each in seconds.items()
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    format_value = Table()
    format_value.add_column("seconds until", no_wrap=True)
    format_value.add_column("median (least–greatest)", justify="right", no_wrap=True)
    for row in rows:
        format_value.add_row(row["wait"], row["seconds"].text(2))
    return format_value


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="times that each is timed")
    parser.add_argument("--seeds", type=int, default=32, help="32 runs each for the reports")
    parser.add_argument("--out", type=Path, help="a folder for commands.csv and commands.json")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    with tempfile.TemporaryDirectory() as folder:
        project = copy_of_project(Path(folder))
        study = make_runs(project, chosen.seeds)
        rows = rows_of(waits(project, study, CELLS * chosen.seeds), chosen.turns)
    console().print(table(rows))
    if chosen.out:
        write_csv(chosen.out / "commands.csv", rows)
        write_json(chosen.out / "commands.json", {"turns": chosen.turns})
    return 0


if __name__ == "__main__":
    sys.exit(main())
