"""Write the reports of studies and sweeps.

The same store gives the same bytes: no dates, no times, nothing random.
"""

from pathlib import Path

from sgdprobe.reports.explanation import StudySummary
from sgdprobe.reports.figures.study import study_figures
from sgdprobe.reports.figures.sweep import sweep_figures
from sgdprobe.reports.format import RUNS_FILE, TUNED_FILE
from sgdprobe.reports.plotting import svg
from sgdprobe.reports.render import write_report
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
from sgdprobe.study import effects
from sgdprobe.study.results import StudyResults
from sgdprobe.study.tuning import Tuned


def write_sweep_report(table: SweepTable, folder: Path) -> list[Path]:
    """Write the report of a sweep and return its files, the page first."""
    columns = sweep_columns(table)
    facts = {"table": table, "columns": documentation(columns)}
    images = {name: svg(figure) for name, figure in sweep_figures(table).items()}
    tables = {RUNS_FILE: to_csv(columns, sweep_rows(table))}
    return write_report(folder, "sweep.md.j2", facts, tables, images)


def write_study_report(
    results: StudyResults, folder: Path, tuned: Tuned | None = None
) -> list[Path]:
    """Write the report of a study and return its files, the page first."""
    study, columns = StudySummary(results, tuned), study_columns(results)
    tables = {RUNS_FILE: to_csv(columns, study_rows(results))}
    facts = {
        "study": study,
        "own": study.own,
        "logit": study.logit,
        "best": study.best,
        "tuned": tuned,
        "effects": effects,
        "columns": documentation(columns),
    }
    if tuned:
        columns = tuned_columns(tuned)
        tables[TUNED_FILE] = to_csv(columns, study_rows(*tuned.tried))
        facts["tuned_columns"] = documentation(columns)
    images = {name: svg(figure) for name, figure in study_figures(study).items()}
    return write_report(folder, "explanation.md.j2", facts, tables, images)
