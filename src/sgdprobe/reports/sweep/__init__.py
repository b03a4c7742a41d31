"""The report of a sweep: one HTML page, README.md, their figures, a file with all runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgdprobe.reports.document import RUNS_FILE, Block, write_report
from sgdprobe.reports.plotting import svg
from sgdprobe.reports.sweep import figures, page
from sgdprobe.reports.sweep.facts import SATURATED, Facts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(facts: Facts, folder: Path) -> Path:
    """Write the report and return its page.

    The same store gives the same bytes: no dates, no times, nothing drawn by chance.
    """
    drawn: dict[str, Figure] = {page.CURVES: figures.learning_curves(facts)}
    parts: list[Block] = [*page.opening(facts)]
    if facts.has_map:
        drawn[page.HEAT_MAP] = figures.heat_map(facts)
        parts += page.heat_map(facts)
    parts += page.curves(facts)
    if facts.has_map and any(SATURATED in run.metrics for run in facts.runs):
        drawn[page.SATURATION] = figures.saturation(facts)
        parts += page.saturation(facts)
    parts += page.warnings(facts)
    written, *_ = write_report(
        folder,
        page=[*parts, *page.cells(facts), *page.columns(facts)],
        readme=[*parts, *page.columns(facts)],
        tables={RUNS_FILE: page.table(facts)},
        images={name: svg(figure) for name, figure in drawn.items()},
    )
    return written
