"""The report of a study: README.md, cells.csv, one HTML page, figures."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from matplotlib.figure import Figure

from sgdprobe.reports.document import RUNS_FILE, TUNED_FILE, write_report
from sgdprobe.reports.explanation import figures
from sgdprobe.reports.explanation.answer import ladders, opening, shares, together
from sgdprobe.reports.explanation.facts import Facts
from sgdprobe.reports.explanation.foretold import held_out_cells
from sgdprobe.reports.explanation.intervals import intervals
from sgdprobe.reports.explanation.reasons import curves, reasons, saturation
from sgdprobe.reports.explanation.runs import columns, method, runs, table
from sgdprobe.reports.explanation.tuned import at_best_value, best_shares
from sgdprobe.reports.explanation.tuned_runs import tuned_columns, tuned_runs, tuned_table
from sgdprobe.reports.explanation.words import changes_of, percents, points
from sgdprobe.reports.plotting import svg
from sgdprobe.study.factors import Factor
from sgdprobe.study.results import StudyResults
from sgdprobe.study.tuning import Tuned

COLUMNS = 80


def verdict(measured: StudyResults, tuned: Tuned | None = None) -> list[str]:
    """The answer in the lines that a terminal shows."""
    facts = Facts(measured, tuned)
    first, second = facts.ends
    width = max(map(len, facts.names))
    at_best = best_shares(facts)
    lines = [
        f"{first} {percents(facts.reaches(facts.design.baseline))} -> "
        f"{second} {percents(facts.reaches(facts.design.target))}",
        f"gap {points(facts.gap)} points, of which"
        + (f" (right: at each cell's best {tuned.key})" if tuned else ""),
    ]
    for i in facts.ranked_shares:
        name = facts.names[i]
        share = f"  {name:<{width}}  {points(facts.shares[i]):<24}"
        lines.append(f"{share}{points(at_best[name]) if name in at_best else ''}".rstrip())
    sets = " or ".join(changes_of(cell, facts.factors) for cell in facts.smallest)
    lines.append(f"enough to come within 1 point of {second}: {sets.replace('`', '')}")
    if facts.claim and not facts.claim.holds(facts.y[facts.design.baseline]):
        claimed = f"{100 * facts.claim.accuracy:.2f} %"
        lines.insert(0, f"{first} does not reproduce its claim of {claimed}")
    return [part for line in lines for part in _in_terminal(line)]


def _in_terminal(line: str) -> list[str]:
    """A line in the 80 columns of a terminal, as many as it takes; names stay whole."""
    return wrap(
        line, COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True,
    ) if len(line) > COLUMNS else [line]  # fmt: skip


def write(measured: StudyResults, folder: Path, tuned: Tuned | None = None) -> list[Path]:
    """Write the report and return its files, the page first.

    The same study gives the same bytes: no dates, no times, nothing drawn by chance.
    """
    facts = Facts(measured, tuned)
    images = {name: svg(figure) for name, figure in _figures(facts).items()}
    body = [
        *opening(facts),
        *shares(facts),
        *together(facts),
        *ladders(facts),
        *at_best_value(facts),
        *reasons(facts),
        *held_out_cells(facts),
        *method(facts),
        *intervals(facts),
    ]
    return write_report(
        folder,
        page=[*body, *runs(facts), *tuned_runs(facts)],
        readme=[*body, *columns(facts), *tuned_columns(facts)],
        tables={RUNS_FILE: table(facts)} | ({TUNED_FILE: tuned_table(tuned)} if tuned else {}),
        images=images,
    )


def _figures(facts: Facts) -> dict[str, Figure]:
    design, names, ends = facts.design, facts.names, facts.ends
    alone = [curves(facts, design.baseline_with(i)) for i in range(len(names))]
    first, second = curves(facts, design.baseline), curves(facts, design.target)
    drawn = {
        "waterfall.svg": figures.waterfall(facts.y, names, ends),
        "ladders.svg": figures.ladder_plot(facts.y, names),
        "learning_curves.svg": figures.learning_curves(first, second, alone, names, ends),
        "every_cell.svg": figures.every_cell(
            {cell: curves(facts, cell) for cell in design.cells()}
        ),
    }
    if len(names) > 1:
        drawn["interactions.svg"] = figures.interaction_plot(facts.y, names, _levels(facts.factors))
    if (found := saturation(facts)) is not None:
        top = facts.factors[facts.ranked_shares[0]]
        marks = [f"{top.name}={top.format_level(level)}" for level in (0, 1)]
        drawn["saturation.svg"] = figures.saturation(found, marks)
    if facts.tuned:
        drawn |= _tuned_figures(facts.tuned, ends)
    return drawn


def _tuned_figures(tuned: Tuned, ends: Sequence[str]) -> dict[str, Figure]:
    factors = tuned.factorial.factors
    names = [factor.name for factor in factors]
    drawn = {
        "waterfall_tuned.svg": figures.waterfall(tuned.y, names, ends),
        "ladders_tuned.svg": figures.ladder_plot(tuned.y, names),
    }
    if len(names) > 1:
        drawn["interactions_tuned.svg"] = figures.interaction_plot(tuned.y, names, _levels(factors))
    return drawn


def _levels(factors: Sequence[Factor]) -> list[tuple[str, str]]:
    return [(factor.format_level(0), factor.format_level(1)) for factor in factors]
