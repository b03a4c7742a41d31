"""Write the report of a sweep, or draw the figures of a run, from their records."""

import os
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from sgdprobe import reports, tracking
from sgdprobe.commands.cli import STORE_HELP, Parser
from sgdprobe.commands.console import epoch_table
from sgdprobe.config.compose import known_recipes
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError
from sgdprobe.paths import REPORTS, study_folder

NEWEST = "last-sweep"
LoadRecipes = Callable[[], Mapping[str, Settings]]


def main(words: Sequence[str]) -> int:
    """Report a sweep, an experiment or a run. Returns the exit code.

    Raises UserError if the word names nothing in the store, or a run although there is a study.
    """
    options = Parser(prog="report.py", description="Write the page of a sweep, or draw a run.")
    options.add_argument(
        "what",
        nargs="?",
        default=NEWEST,
        help="a sweep, an experiment's name, or last-sweep (the default); "
        "or a run: an id, its beginning, a name, or last",
    )
    options.add_argument("--study", help="write a sweep's report to this folder in experiments/")
    options.add_argument("--uri", help=STORE_HELP)
    given = options.parse_args(words)
    folder = None if given.study is None else study_folder(given.study)
    word, uri = given.what, given.uri
    if word == NEWEST:
        word = tracking.newest_sweep(tracking.connect(uri))
        if word is None:
            raise SettingsError("the store holds no sweep yet; report.py last draws the last run")
    page = None if word == "last" else report_sweep(word, folder, uri, known_recipes)
    if page is None and folder is not None:
        raise SettingsError(
            f"--study {given.study} is for a sweep or an experiment, not for {word}"
        )
    if page is None:
        return report_run(word, uri)
    print(page)
    _show(page)
    return 0


def report_sweep(
    word: str, folder: Path | None, uri: str | None, recipes: LoadRecipes
) -> Path | None:
    """Write the report of a sweep or an experiment and return its page; None if there is none."""
    store_runs = tracking.connect(uri)
    runs = tracking.runs_of(store_runs, word)
    if not runs:
        return None
    runs = tracking.with_series(store_runs, runs, ["test_accuracy"])
    table = reports.SweepTable.of(word, runs, recipes())
    return reports.write_sweep_report(table, folder or REPORTS / quote(word, safe=""))[0]


def report_run(word: str, uri: str | None) -> int:
    """Draw the run that `word` names and print the files; open them if there is a screen.

    Raises SettingsError if the word names no run.
    """
    store_runs = tracking.connect(uri)
    run = tracking.find_run(store_runs, word)
    epochs = tracking.recorded_epochs(store_runs, run)
    (losses,) = tracking.recorded_arrays(uri, [run], "losses.npz")
    title = f"{run.tags.get('recipe', '')}: {run.name}"
    figures = reports.run_figures(epochs, None if losses is None else losses["loss"], title)
    folder = REPORTS / run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{title}  ({run.status}, run {run.run_id})")
    print(epoch_table(epochs))
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)
        print(folder / name)
        _show(folder / name)
    return 0


def _show(file: Path) -> None:
    """Open a file in the browser if somebody sits in front of a screen."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY")
    if screen and sys.stdout.isatty():
        webbrowser.open(file.as_uri())
