"""Write the reports of studies and sweeps.

The same store gives the same bytes: no dates, no times, nothing random.
"""

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sgdprobe.errors import UserError
from sgdprobe.provenance.redact import redact
from sgdprobe.reports.explanation import StudySummary
from sgdprobe.reports.figures.study import study_figures
from sgdprobe.reports.figures.sweep import sweep_figures
from sgdprobe.reports.format import RUNS_FILE, TUNED_FILE, code
from sgdprobe.reports.inline import pictures
from sgdprobe.reports.plotting import svg
from sgdprobe.reports.render import README, Image, to_markdown, write_report
from sgdprobe.reports.run import LearnedCell
from sgdprobe.reports.sweep import SweepTable
from sgdprobe.reports.tables import (
    documentation,
    study_columns,
    study_rows,
    sweep_columns,
    sweep_rows,
    to_csv,
    tuned_columns,
)
from sgdprobe.study import effects, intervals, prediction
from sgdprobe.study.spec import StudySpec

ANOTHER_REPORT = "holds another report; --study gives another name, --force replaces it"
NOT_WRITABLE = "takes no report: it is no folder, or you may not write there"


def check_sweep_folder(folder: Path, table: SweepTable) -> None:
    """Raise UserError if the folder holds anything but a report of these runs or some of them."""
    ours, named = {run.run_id for run in table.runs}, f"Sweep {code(table.name)}: "
    _check_folder(folder, lambda text: named in text and _run_ids(folder) <= ours)


def _run_ids(folder: Path) -> set[str]:
    rows = csv.DictReader((folder / RUNS_FILE).read_text().splitlines())
    return {row["run_id"] for row in rows}


def check_study_folder(folder: Path, spec: StudySpec, replace: bool) -> None:
    """Raise UserError if the folder cannot be written, or holds a report of another question."""
    check_folder(folder, spec.command, replace)


def check_folder(folder: Path, command: str, replace: bool) -> None:
    """Raise UserError if the folder cannot be written, or its report is of another command."""
    question = redact(code(command))
    if not replace:
        _check_folder(folder, lambda text: question in text.splitlines())
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise UserError(f"{place} {NOT_WRITABLE}")


def _check_folder(folder: Path, is_same: Callable[[str], bool]) -> None:
    """Raise UserError if the folder holds files and its README.md is not of the same report."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    readme = folder / README
    if not (readme.is_file() and is_same(readme.read_text())):
        raise UserError(f"{folder} {ANOTHER_REPORT}")


def write_sweep_report(
    table: SweepTable, folder: Path, question: str = "", learned: Sequence[LearnedCell] = ()
) -> list[Path]:
    """Write the report of a sweep and return its files, the page first.

    question : that of the recipe. learned : cells whose networks are drawn.
    """
    columns = sweep_columns(table)
    facts = {
        "table": table,
        "question": question,
        "linked": True,
        "learned": learned,
        "columns": documentation(columns),
    }
    images: dict[str, Image] = {
        **pictures(lambda: sweep_figures(table)),
        **{one.file: svg(one.learned.overview()) for one in learned},
    }
    tables = {RUNS_FILE: to_csv(columns, sweep_rows(table))}
    return write_report(folder, "sweep.md.j2", facts, tables, images)


def experiment_note(table: SweepTable, question: str, page_address: str, bands_page: str) -> str:
    """Return the description of an experiment after a sweep, in Markdown.

    page_address : of the sweep's page, within MLflow. bands_page : the same of its bands, or "".
    """
    facts = {"table": table, "question": question, "linked": False}
    facts |= {"page_address": page_address, "bands_page": bands_page}
    return to_markdown("experiment.md.j2", facts, page=False)


def write_study_report(study: StudySummary, folder: Path) -> list[Path]:
    """Write the report of a study and return its files, the page first."""
    results, tuned = study.results, study.tuned
    columns = study_columns(results)
    tables = {RUNS_FILE: to_csv(columns, study_rows(results))}
    facts = {
        "study": study,
        "own": study.own,
        "logit": study.logit,
        "best": study.best,
        "tuned": tuned,
        "effects": effects,
        "intervals": intervals,
        "prediction": prediction,
        "columns": documentation(columns),
    }
    if tuned:
        columns = tuned_columns(tuned)
        tables[TUNED_FILE] = to_csv(columns, study_rows(*tuned.tried))
        facts["tuned_columns"] = documentation(columns)
    images = pictures(lambda: study_figures(study))
    return write_report(folder, "explanation.md.j2", facts, tables, images)
