"""Write the report of a sweep, or draw the figures of a run, from their records."""

import os
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as replaced
from itertools import takewhile
from pathlib import Path

from sgdprobe import reports, tracking
from sgdprobe.commands.cli import STORE_HELP, Parser
from sgdprobe.commands.console import epoch_table, print_contradictions, reading_store
from sgdprobe.config.arguments import recipes as known_names
from sgdprobe.config.compose import known_recipes
from sgdprobe.config.settings import Settings
from sgdprobe.errors import EXIT_FAILED, SettingsError, UserError, one_line
from sgdprobe.paths import CONF, report_folder, study_folder

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
    options.add_argument("--force", action="store_true", help="replace another report in --study")
    options.add_argument("--uri", help=STORE_HELP)
    given = options.parse_args(words)
    folder = None if given.study is None else study_folder(given.study)
    word, uri = given.what, given.uri
    if word == NEWEST:
        with reading_store():
            word = tracking.newest_sweep(tracking.connect(uri))
        if word is None:
            raise SettingsError("the store holds no sweep yet; report.py last draws the last run")
    try:
        page = (
            None if word == "last" else report_sweep(word, folder, uri, known_recipes, given.force)
        )
        if page is None and folder is not None:
            raise SettingsError(
                f"--study {given.study} is for a sweep or an experiment, not for {word}"
            )
        files = report_run(word, uri) if page is None else [page]
    except OSError as error:
        sys.stderr.write(f"no report: {one_line(error)}\n")
        return EXIT_FAILED
    for file in files:
        print(file)
        _show(file)
    return 0


def report_sweep(
    word: str,
    folder: Path | None,
    uri: str | None,
    recipes: LoadRecipes,
    replace: bool = True,
) -> Path | None:
    """Write the report of a sweep or an experiment and return its page; None if there is none.

    replace : also a report of other runs in `folder`.
    """
    store_runs = tracking.connect(uri)
    runs = tracking.runs_of(store_runs, word)
    if not runs:
        return None
    runs = tracking.with_series(store_runs, runs, ["test_accuracy"])
    print_contradictions(runs)
    table = reports.SweepTable.of(word, runs, recipes())
    if folder is not None and not replace:
        reports.check_sweep_folder(folder, table)
    question = " ".join(filter(None, map(question_of, table.tags("recipe"))))
    return reports.write_sweep_report(table, folder or report_folder(word), question)[0]


def question_of(recipe: str) -> str:
    """Return the question at the top of a recipe's file, up to its last "?"; or ""."""
    if recipe not in known_names():
        return ""
    comments = takewhile(
        lambda line: line[:1] == "#",
        (CONF / "experiment" / f"{recipe}.yaml").read_text().splitlines(),
    )
    words = " ".join(line[2:] for line in comments if line[2:3] not in ("@", " "))
    return words[: words.rfind("?") + 1]


def report_run(word: str, uri: str | None) -> list[Path]:
    """Print the run that `word` names, draw it and return the files.

    Raises SettingsError if the word names no run.
    """
    with reading_store():
        store_runs = tracking.connect(uri)
    run = tracking.find_run(store_runs, word)
    epochs = tracking.recorded_epochs(store_runs, run)
    losses = tracking.recorded_losses(uri, run)
    if run.has_result:
        print_contradictions([_checked(store_runs.uri, run)])
    title = f"{run.tags.get('recipe', '')}: {run.name}"
    figures = reports.run_figures(epochs, losses, title)
    pictures = {name: reports.png(figure) for name, figure in figures.items()}
    files = reports.write_files(report_folder(run.run_id), pictures)
    print(f"{title}  ({run.status}, run {run.run_id})")
    print(epoch_table(epochs))
    return files


def _checked(uri: str, run: "tracking.RecordedRun") -> "tracking.RecordedRun":
    """Return the run with all that its record says in two ways, or that it cannot be read."""
    try:
        return tracking.read_files(uri, run).run
    except UserError as error:
        return replaced(run, contradictions=(str(error),))


def _show(file: Path) -> None:
    """Open a file in the browser if somebody sits in front of a screen."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY")
    if screen and sys.stdout.isatty():
        webbrowser.open(file.as_uri())
