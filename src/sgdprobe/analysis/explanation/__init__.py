"""The report of a study: README.md, cells.csv, one HTML page, figures."""

from pathlib import Path

from matplotlib.figure import Figure

from sgdprobe.analysis.document import RUNS_FILE, html, markdown
from sgdprobe.analysis.drawing import svg
from sgdprobe.analysis.explanation import figures
from sgdprobe.analysis.explanation.answer import ladders, opening, shares, together
from sgdprobe.analysis.explanation.facts import Facts
from sgdprobe.analysis.explanation.foretold import foretold
from sgdprobe.analysis.explanation.reasons import curves, reasons
from sgdprobe.analysis.explanation.runs import columns, method, runs, table
from sgdprobe.analysis.explanation.words import changes_of, percents, points
from sgdprobe.explain.measured import Measured

PAGE = "index.html"


def verdict(measured: Measured) -> list[str]:
    """The answer in the lines that a terminal shows."""
    facts = Facts(measured)
    first, second = facts.ends
    width = max(map(len, facts.names))
    lines = [
        f"{first} {percents(facts.reaches(facts.design.first))} -> "
        f"{second} {percents(facts.reaches(facts.design.second))}",
        f"gap {points(facts.gap)} points, of which",
        *(f"  {facts.names[i]:<{width}}  {points(facts.shares[i])}" for i in facts.by_share),
    ]
    sets = " or ".join(changes_of(cell, facts.factors) for cell in facts.smallest)
    lines.append(f"enough to come within 1 point of {second}: {sets.replace('`', '')}")
    if facts.claim and not facts.claim.holds(facts.y[facts.design.first]):
        claimed = f"{100 * facts.claim.accuracy:.2f} %"
        lines.insert(0, f"{first} does not reproduce its claim of {claimed}")
    return lines


def write(measured: Measured, folder: Path) -> list[Path]:
    """Write the report and return its files, the page first.

    The same study gives the same bytes: no dates, no times, nothing drawn by chance.
    """
    facts = Facts(measured)
    images = {name: svg(figure) for name, figure in _figures(facts).items()}
    body = [
        *opening(facts),
        *shares(facts),
        *together(facts),
        *ladders(facts),
        *reasons(facts),
        *foretold(facts),
        *method(facts),
    ]
    files = {
        PAGE: html([*body, *runs(facts)], images).encode(),
        "README.md": markdown([*body, *columns(facts)]).encode(),
        RUNS_FILE: table(facts).encode(),
        **images,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def _figures(facts: Facts) -> dict[str, Figure]:
    design, names, ends = facts.design, facts.names, facts.ends
    alone = [curves(facts, design.with_only(i)) for i in range(len(names))]
    first, second = curves(facts, design.first), curves(facts, design.second)
    drawn = {
        "waterfall.svg": figures.waterfall(facts.y, names, ends),
        "ladders.svg": figures.ladder_plot(facts.y, names),
        "learning_curves.svg": figures.learning_curves(first, second, alone, names, ends),
    }
    if len(names) > 1:
        levels = [(factor.shown(0), factor.shown(1)) for factor in facts.factors]
        drawn["interactions.svg"] = figures.interaction_plot(facts.y, names, levels)
    return drawn
