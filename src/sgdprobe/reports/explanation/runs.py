"""Every run of a study: as a CSV file, and as the last table of the page."""

import csv
import io
from collections.abc import Sequence

from sgdprobe import tracking
from sgdprobe.config.formatting import format_value
from sgdprobe.reports.document import Block, BulletList, Heading, Table, Text
from sgdprobe.reports.explanation.facts import Facts
from sgdprobe.reports.explanation.words import linked, percents
from sgdprobe.study.design import Run
from sgdprobe.study.factors import cell_id

LAST = ("train_accuracy", "loss")
COLUMNS = {
    "cell": "a digit for each factor, in the order of their columns; 1: as in the second recipe",
    "changes": "how many factors are as in the second recipe",
    "seed": "root of the run's random streams; cells share seeds",
    "run_id": "the run in MLflow",
    "diverged": "1 where the loss became no number: test_accuracy is then that of guessing",
    "test_accuracy": "on all test images after the last update, 0 … 1",
    "train_accuracy": "on all training images after the last update, 0 … 1",
    "loss": "mean over the updates of the last epoch",
    "first_loss": "of the first batch before any update; cells within one change of an end",
    "never_predicted": "classes that the trained network gives to no test image; the same cells",
    "symptom/…": "after the last epoch; the README of the project says what each is",
}


def table(facts: Facts) -> str:
    """cells.csv: a line for each run, in the order of the design."""
    results = facts.measured.results
    signs = sorted({n for r in results.values() for n in r.metrics if n.startswith("symptom/")})
    columns = [*COLUMNS][:-1]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([columns[0], *facts.names, *columns[1:], *signs])
    for run in facts.design.runs():
        writer.writerow(_line(facts, run, signs))
    return stream.getvalue()


def _line(facts: Facts, run: Run, symptoms: Sequence[str]) -> list[object]:
    cell, seed = run
    result = facts.measured.results[run]
    signs = facts.measured.diagnostics.get(run)
    metrics = [result.metrics.get(name) for name in LAST]
    return [
        cell_id(cell),
        *(factor.format_level(level) for factor, level in zip(facts.factors, cell, strict=True)),
        sum(cell),
        seed,
        result.run_id,
        int(result.diverged),
        facts.measured.accuracy_of(run),
        *metrics,
        signs.first_loss if signs else None,
        _digits(signs.never_predicted if signs else None),
        *(result.metrics.get(name) for name in symptoms),
    ]


def _digits(classes: tuple[int, ...] | None) -> str | None:
    """3 5 8; "none" where every class is predicted, nothing where nothing was recorded."""
    return None if classes is None else " ".join(map(str, classes)) or "none"


def method(facts: Facts) -> list[Block]:
    """What was held fixed, and where the numbers are."""
    held = [f"`{key}={format_value(value)}`" for key, value in facts.design.held_fixed().items()]
    left_out = [
        f"`{factor.name}` stays `{factor.format_level(0)}`, as in `{facts.ends[0]}`; in "
        f"`{facts.ends[1]}` it is `{factor.format_level(1)}`."
        for factor in facts.measured.factorial.left_out
    ]
    blocks: list[Block] = [Heading("Held fixed"), Text(f"In every run: {', '.join(held)}.")]
    if left_out:
        blocks += [Text("Differences that were left out:"), BulletList(left_out)]
    return blocks


def columns(facts: Facts) -> list[Block]:
    """What the columns of cells.csv are."""
    factors = f"`{'`, `'.join(facts.names)}`"
    rows = [[f"`{name}`", words] for name, words in COLUMNS.items()]
    rows.insert(1, [factors, "the factor's settings in this cell"])
    return [
        Heading("cells.csv"),
        Text("Every run that a number here was computed from, a line each, with its id."),
        Table(["column", "what it is"], rows),
    ]


def linked_run(result: "tracking.Result") -> str:
    """A run's id, leading to its page in MLflow."""
    words = f"{result.run_id[:8]}{' (diverged)' if result.diverged else ''}"
    return f"[{words}]({result.page})"


def runs(facts: Facts) -> list[Block]:
    """The runs of each cell, where the page's links lead."""
    results, seeds = facts.measured.results, range(facts.design.seeds)
    rows = []
    for cell in facts.design.cells():
        ids = [linked_run(results[cell, seed]) for seed in seeds]
        levels = [
            f"`{f.format_level(level)}`" for f, level in zip(facts.factors, cell, strict=True)
        ]
        settings = " · ".join(levels)
        reached = percents(facts.reaches(cell))
        rows.append([linked(cell_id(cell), cell), settings, reached, " ".join(ids)])
    return [
        Heading("Runs", place="runs"),
        Text(
            f"A row for each cell, its runs in the order of their seeds, from 0. Settings and "
            f"digits are of `{'`, `'.join(facts.names)}`. The links open a run while `mlflow ui` "
            "is up. Shares, main effects and interactions are of all rows."
        ),
        Table(
            ["cell", "settings", "test accuracy", "runs"],
            rows,
            [f"cell-{cell_id(cell)}" for cell in facts.design.cells()],
        ),
    ]
