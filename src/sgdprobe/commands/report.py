"""Write the report of a sweep, or draw the figures of a run, from their records."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from sgdprobe import reports, tracking
from sgdprobe.commands.answers import JSON_HELP, answer, answering
from sgdprobe.commands.browser import open_in_browser
from sgdprobe.commands.cli import STORE_HELP, Parser
from sgdprobe.commands.console import epoch_table, print_contradictions, reading_store
from sgdprobe.config.compose import known_recipes
from sgdprobe.config.questions import question_of
from sgdprobe.config.settings import Settings
from sgdprobe.errors import EXIT_FAILED, OwnFileError, SettingsError, UserError, one_line
from sgdprobe.paths import report_folder, study_folder
from sgdprobe.provenance.command import command_line

NEWEST = "last-sweep"
LoadRecipes = Callable[[], Mapping[str, Settings]]


def main(words: Sequence[str]) -> int:
    """Report a sweep, an experiment or a run. Returns the exit code.

    Raises UserError if the word names nothing in the store, or a run although there is a study.
    """
    given = parser().parse_args(words)
    with answering(given.json):
        return _report(given)


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(
        prog=command_line("report"), description="Write the page of a sweep, or draw a run."
    )
    add = options.add_argument
    add(
        "what",
        nargs="?",
        default=NEWEST,
        help="a sweep, an experiment's name, or last-sweep (the default); "
        "or a run: an id, its beginning, a name, or last",
    )
    add("--study", help="write a sweep's report to this folder in experiments/")
    add("--force", action="store_true", help="replace another report in --study")
    add("--json", action="store_true", help=JSON_HELP)
    add("--uri", help=STORE_HELP)
    return options


def _report(given: argparse.Namespace) -> int:
    folder = None if given.study is None else study_folder(given.study)
    word, uri = given.what, given.uri
    if word == NEWEST:
        with reading_store():
            word = tracking.newest_sweep(tracking.connect(uri))
        if word is None:
            last = command_line("report", "last")
            raise SettingsError(f"the store holds no sweep yet; `{last}` draws the last run")
    try:
        table = None if word == "last" else sweep_table(word, uri, known_recipes)
        if table is None and folder is not None:
            raise SettingsError(
                f"--study {given.study} is for a sweep or an experiment, not for {word}"
            )
        if table is None:
            files, facts = report_run(word, uri)
        else:
            files = [write_page(table, uri, folder, given.force)]
            facts = {"sweep": word, "page": files[0], **table.facts()}
    except OSError as error:
        sys.stderr.write(f"no report: {one_line(error)}\n")
        return EXIT_FAILED
    for file in files:
        print(file)
        open_in_browser(file.as_uri())
    answer(facts)
    return 0


def sweep_table(word: str, uri: str | None, recipes: LoadRecipes) -> "reports.SweepTable | None":
    """Return the runs of a sweep or an experiment in cells; None if there is none."""
    store_runs = tracking.connect(uri)
    runs = tracking.runs_of(store_runs, word)
    if not runs:
        return None
    runs = tracking.with_series(store_runs, runs, ["test_accuracy"])
    print_contradictions(runs)
    return reports.SweepTable.of(word, runs, recipes())


def write_page(
    table: "reports.SweepTable",
    uri: str | None = None,
    folder: Path | None = None,
    replace: bool = True,
) -> Path:
    """Write the report of a sweep, and return its page.

    replace : also a report of other runs in `folder`.
    """
    if folder is not None and not replace:
        reports.check_sweep_folder(folder, table)
    learned = reports.learned_cells(table, lambda run: _learned(uri, run))
    folder = folder or report_folder(table.name)
    return reports.write_sweep_report(table, folder, question(table), learned)[0]


def _learned(uri: str | None, run: "tracking.RecordedRun") -> "reports.Learned":
    """Return what a run has learned; nothing where its files cannot be read."""
    try:
        return reports.Learned.recorded(uri, run)
    except UserError:
        return reports.Learned()


def question(table: "reports.SweepTable") -> str:
    """Return the questions of a sweep's recipes."""
    return " ".join(filter(None, map(question_of, table.tags("recipe"))))


def report_run(word: str, uri: str | None) -> tuple[list[Path], dict[str, Any]]:
    """Print the run that `word` names and draw it; return the files, and the facts for programs.

    Raises SettingsError if the word names no run.
    """
    with reading_store():
        store_runs = tracking.connect(uri)
    run = tracking.find_run(store_runs, word)
    epochs = tracking.recorded_epochs(store_runs, run)
    losses = tracking.recorded_losses(uri, run)
    if run.has_result:
        run = _checked(store_runs.uri, run)
        print_contradictions([run])
    title = f"{run.tags.get('recipe', '')}: {run.name}"
    page = reports.RunPage(run, epochs, losses, reports.Learned.recorded(uri, run))
    file, *_ = reports.write_run_report(page, report_folder(run.run_id))
    print(f"{title}  ({run.status}, run {run.run_id})")
    print(epoch_table(epochs))
    return [file], {
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status,
        "settings": dict(run.params),
        "epochs": [{"epoch": each.epoch, **each.metrics} for each in epochs],
        "confusion_matrix": page.learned.diagnostics.get("confusion_matrix"),
        "files": [file],
    }


def _checked(uri: str, run: "tracking.RecordedRun") -> "tracking.RecordedRun":
    """Return the run with all that its record says in two ways, or that it cannot be read."""
    if run.own_loop:
        return run
    try:
        return tracking.read_files(uri, run).run
    except OwnFileError:  # a file of the user's is elsewhere, which says nothing of the record
        return run
    except UserError as error:
        return replaced(run, contradictions=(str(error),))
