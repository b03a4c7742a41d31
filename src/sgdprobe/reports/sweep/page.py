"""The page of a sweep, and the file with its runs."""

import csv
import io
from collections.abc import Sequence

from sgdprobe import tracking
from sgdprobe.reports.document import (
    RUNS_FILE,
    Block,
    BulletList,
    FigureBlock,
    Heading,
    Table,
    Text,
)
from sgdprobe.reports.explanation.words import counted, listing, short
from sgdprobe.reports.sweep.facts import COLUMN, PANEL, ROW, SATURATED, WARNING, Cell, Facts
from sgdprobe.reports.sweep.figures import cell_at, layers

HEAT_MAP, CURVES, SATURATION = "heat_map.svg", "learning_curves.svg", "saturation.svg"
LAST = ("test_accuracy", "train_accuracy", "loss")
COLUMNS = {
    "cell": "number of the cell: the same settings but for the seed",
    "seed": "root of the run's random streams",
    "run_id": "the run in MLflow",
    "recipe": "the recipe that this is, but for seed and precision",
    "status": "finished, diverged (the loss became no number), failed, killed or running",
    "epochs": "recorded; a last part-epoch counts",
    "test_accuracy": "on all test images after the last recorded epoch, 0 … 1",
    "train_accuracy": "on all training images after the last recorded epoch, 0 … 1",
    "loss": "mean over the updates of the last recorded epoch",
    "warnings": "names of what looked wrong before training",
    "symptom/…": "after the last recorded epoch; the README of the project says what each is",
}


def opening(facts: Facts) -> list[Block]:
    """What was run and how far it got, in a few lines."""
    experiments = sorted({run.tags.get("recipe", "") for run in facts.runs})
    commands = sorted({f"`{run.tags.get('mlflow.source.name', '')}`" for run in facts.runs})
    sources = {run.tags.get("source_hash", "") for run in facts.runs}
    axes = listing([f"`{axis}`" for axis in facts.axes]) or "nothing but the seed"
    blocks: list[Block] = [
        Heading(f"{listing(experiments)}: {facts.name}", 1),
        Text(
            f"{counted(facts.runs, 'run')} in {counted(facts.cells, 'cell')}: {facts.states}. "
            f"What varies: {axes}; all runs are in [`{RUNS_FILE}`](#columns). "
            f"Made by {listing(commands)}."
        ),
    ]
    ranked = [cell for cell in facts.ranked if facts.finished(cell)]
    named = [("best", ranked[0]), ("worst", ranked[-1])] if len(ranked) > 1 else []
    named += [(f"`{name}`", cell) for cell in facts.cells for name in facts.recipes(cell)]
    if named:
        blocks.append(
            BulletList(
                [f"{name}: {_reaches(facts, cell)}, {facts.words(cell)}" for name, cell in named]
            )
        )
    if len(sources) > 1:
        blocks.append(Text(f"**These runs are of {len(sources)} different sources.**"))
    return blocks


def _reaches(facts: Facts, cell: Cell) -> str:
    """What a cell reaches, leading to its runs."""
    return f"[{facts.reaches(cell)}](#cell-{facts.place[cell]})"


def heat_map(facts: Facts) -> list[Block]:
    """The heat map, and the same numbers as tables whose numbers lead to their runs."""
    best = facts.ranked[0]
    blocks: list[Block] = [
        Heading("Test accuracy"),
        FigureBlock(
            HEAT_MAP,
            f"Test accuracy over {ROW} and {COLUMN}, a panel for each {PANEL}: best "
            f"{facts.reaches(best)} at {facts.words(best)}. The tables below have each number.",
            "In percent; the darker the lower. A solid frame is a recipe's program, but for seed "
            "and precision. A dotted one, its name in brackets, has a recipe's values on these "
            "axes only: its other settings differ. Hatched: no result.",
        ),
    ]
    for hidden in layers(facts):
        rows = []
        for scale in facts.values(ROW):
            cells = [cell_at(facts, hidden, scale, rate) for rate in facts.values(COLUMN)]
            rows.append([scale, *(_labelled(facts, c) if c in facts.cells else "–" for c in cells)])
        headings = [f"`{PANEL}={hidden}` {ROW} ↓ {COLUMN} →", *facts.values(COLUMN)]
        blocks.append(Table(headings, rows))
    return blocks


def _labelled(facts: Facts, cell: Cell) -> str:
    names = [f"`{name}`" for name in facts.recipes(cell)]
    names += [f"(`{name}`)" for name in facts.alike(cell)]
    return " ".join([_reaches(facts, cell), *names])


def curves(facts: Facts) -> list[Block]:
    """The learning curves."""
    return [
        Heading("Learning curves"),
        FigureBlock(
            CURVES,
            f"Test accuracy over epochs of {counted(facts.cells, 'cell')}; where each ends is in "
            "the table of all cells.",
            "Each line is the mean of a cell's finished runs; bands reach from the lowest seed to "
            "the highest.",
        ),
    ]


def saturation(facts: Facts) -> list[Block]:
    """Saturation of the first layer against accuracy."""
    return [
        Heading("Saturation"),
        FigureBlock(
            SATURATION,
            "Test accuracy of each finished run against the share of its first layer that is "
            "saturated at the end; both are columns of the table of all cells.",
            f"Saturated: slope under 1 % of the steepest, over the units of layer 1 and one batch "
            f"of images (`{SATURATED}`).",
        ),
    ]


def warnings(facts: Facts) -> list[Block]:
    """What looked wrong before training, and of how many runs."""
    if not facts.warnings:
        return []
    rows = [
        [f"`{name}`", str(len(runs)), f"{runs[0].tags[WARNING + name]} ({_linked([runs[0]])})"]
        for name, runs in facts.warnings.items()
    ]
    return [
        Heading("Warnings before training"),
        Table(["warning", "runs", "the first of them"], rows),
    ]


def cells(facts: Facts) -> list[Block]:
    """All cells, best first, where the page's links lead."""
    rows = [
        [
            str(facts.place[cell]), *cell, facts.reaches(cell),
            *(short(facts.mean(cell, name)) for name in (*LAST[1:], SATURATED)),
            " ".join(facts.recipes(cell)), _linked(facts.cells[cell]),
        ]
        for cell in facts.ranked
    ]  # fmt: skip
    return [
        Heading("All cells"),
        Text(
            "Best first; where there are several seeds, means, with 95 % intervals of the test "
            "accuracy. The links open a run while `mlflow ui` is up."
        ),
        Table(
            ["cell", *facts.axes, "test accuracy", "train accuracy", "loss", "saturated 1",
             "recipe", "runs, in the order of their seeds"],
            rows,
            [f"cell-{facts.place[cell]}" for cell in facts.ranked],
        ),
    ]  # fmt: skip


def _linked(runs: "Sequence[tracking.SweepRun]") -> str:
    return " ".join(
        f"[{run.run_id[:8]}{'' if run.state == 'finished' else f' {run.state}'}]({run.page})"
        for run in runs
    )


def columns(facts: Facts) -> list[Block]:
    """What the columns of cells.csv are."""
    rows = [[f"`{name}`", words] for name, words in COLUMNS.items()]
    rows[1:1] = [[f"`{axis}`", "the setting"] for axis in facts.axes]
    places = ["columns"] + [f"column-{number}" for number in range(1, len(rows))]
    return [
        Heading(f"{RUNS_FILE}"),
        Text("Beside this page: every run, a line each, with its id."),
        Table(["column", "what it is"], rows, places),
    ]


def table(facts: Facts) -> str:
    """cells.csv: a line for each run, cell by cell."""
    signs = sorted({n for run in facts.runs for n in run.metrics if n.startswith("symptom/")})
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    first, *others = [*COLUMNS][:-1]
    writer.writerow([first, *facts.axes, *others, *signs])
    for cell, runs in facts.cells.items():
        recipes = " ".join(facts.recipes(cell))
        for run in runs:
            warned = sorted(
                tag.removeprefix(WARNING) for tag in run.tags if tag.startswith(WARNING)
            )
            writer.writerow(
                [
                    facts.place[cell], *cell, run.params.get("seed"), run.run_id, recipes,
                    run.state, len(run.curve), *(run.metrics.get(name) for name in LAST),
                    " ".join(warned), *(run.metrics.get(name) for name in signs),
                ]
            )  # fmt: skip
    return stream.getvalue()
