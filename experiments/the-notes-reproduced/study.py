"""Does the program as printed get 70.12 %, and which reading of it makes that value likely?

python experiments/the-notes-reproduced/study.py

Runs what the store does not hold yet, then writes runs.csv, readings.csv and the figures. Options
make a smaller copy of the study elsewhere: --updates, --seeds, --out, --uri.
"""

import argparse
import csv
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from scipy import stats

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "src"))

from sgdprobe import tracking  # noqa: E402
from sgdprobe.commands.cli import Parser, run_main  # noqa: E402
from sgdprobe.commands.sweep import run_sweep  # noqa: E402
from sgdprobe.config.compose import open_composer  # noqa: E402
from sgdprobe.reports.plotting import BLACK, BLUE, ORANGE, despine  # noqa: E402
from sgdprobe.study.design import Factorial  # noqa: E402
from sgdprobe.study.results import load_results, load_series  # noqa: E402
from sgdprobe.study.spec import StudySpec  # noqa: E402
from sgdprobe.sweep.plan import Plan  # noqa: E402

CLAIM = 0.7012
FLOOR = math.log(100)  # of the loss, under a softmax over a batch of 100
UPDATES = 10_000


@dataclass(frozen=True)
class Reading:
    """One reading of the notes: a recipe, changes to it, numbers of seeds and of updates."""

    name: str
    recipe: str
    seeds: int
    changes: tuple[str, ...] = ()
    updates: int = UPDATES


READINGS = (
    Reading("as printed", "notes", 100),
    Reading("in float32", "notes", 10, ("dtype=float32",)),
    Reading("20,000 updates", "notes", 10, ("dtype=float32",), 2 * UPDATES),
    Reading("without replacement", "notes", 10, ("dtype=float32", "training.sampling=permutation")),
    Reading("pixels scaled, / 255", "notes", 10, ("dtype=float32", "data.scale=unit")),
    Reading("softmax per sample", "notes", 10, ("dtype=float32", "network.softmax_over=sample")),
    Reading("weights of 0.01", "notes", 10, ("dtype=float32", "init.scale=0.01")),
    Reading("the book, softmax per batch", "book", 10, ("network.softmax_over=batch",)),
    Reading("the book, chapter 4", "book", 10),
    Reading("the book, chapter 5", "book_relu", 10),
)
RECIPES = {reading.name: reading.recipe for reading in READINGS}


@dataclass(frozen=True)
class Run:
    """A finished run of a reading. `curve` : (epochs,) test accuracy; `losses` : (updates,)."""

    reading: str
    seed: int
    run_id: str
    metrics: Mapping[str, float]
    curve: NDArray[Any]
    losses: NDArray[Any]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options; the defaults are those of the published study."""
    options = Parser(prog="study.py", description=(__doc__ or "").partition("\n")[0])
    add = options.add_argument
    add("--updates", type=int, default=UPDATES, help="in place of 10,000 updates")
    add("--seeds", type=int, default=100, help="at most so many seeds of each reading")
    add("--out", type=Path, default=HERE, help="folder of the files that are written")
    add("--uri", help="the MLflow store; default: the one that train.py uses")
    return options.parse_args(words)


def design(given: argparse.Namespace) -> dict[str, Factorial]:
    """Return the seeds of every reading: a factorial without factors."""
    found = {}
    with open_composer() as composer:
        for reading in READINGS:
            base = composer.compose([f"experiment={reading.recipe}", *reading.changes]).settings
            updates = reading.updates * given.updates // UPDATES
            changes = {"tracking.experiment": HERE.name, "training.iterations": updates}
            changes |= {"tracking.uri": given.uri} if given.uri else {}
            seeds = min(reading.seeds, given.seeds)
            found[reading.name] = Factorial(base.replace(changes), (), seeds)
    return found


def run_missing(readings: Mapping[str, Factorial]) -> Mapping[str, Any]:
    """Run what the store lacks, and return the recorded runs by key."""
    uri = next(iter(readings.values())).base.tracking.uri
    keys = {key for reading in readings.values() for key in reading.keys.values()}
    recorded = tracking.recorded_results(uri, keys)
    missing = [
        (reading.settings(*run), RECIPES[name])
        for name, reading in readings.items()
        for run, key in reading.keys.items()
        if key not in recorded
    ]
    if missing:
        if run_sweep(Plan.of(missing, list(missing[0][0].flat())), None):
            raise SystemExit(1)
        recorded = tracking.recorded_results(uri, keys)
    return recorded


def collect(readings: Mapping[str, Factorial]) -> dict[str, list[Run]]:
    """Return the runs of each reading, run now where the store lacks them."""
    recorded = run_missing(readings)
    found: dict[str, list[Run]] = {}
    for name, reading in readings.items():
        spec = StudySpec(HERE.name, name, name, reading.seeds)
        study = load_series(load_results(spec, reading, recorded))
        uri = reading.base.tracking.uri
        losses = {run: tracking.recorded_losses(uri, result) for run, result in study.runs.items()}
        found[name] = [
            Run(
                name,
                run[1],
                result.run_id,
                result.metrics,
                np.array(result.series["test_accuracy"]),
                each,
            )
            for run, result in study.runs.items()
            if (each := losses[run]) is not None
        ]
    return found


def density(values: NDArray[Any], at: float) -> float:
    """Return Student's predictive density of one more run at `at`, per point (0.01)."""
    n = len(values)
    spread = values.std(ddof=1) * math.sqrt(1 + 1 / n)
    return float(stats.t.pdf((at - values.mean()) / spread, n - 1) / spread / 100)


def row(name: str, runs: Sequence[Run], printed: float) -> dict[str, Any]:
    """Return a reading's line: accuracies in percent, likelihood relative to `printed`."""
    accuracy = np.array([run.metrics["test_accuracy"] for run in runs])
    loss = np.array([run.metrics["loss"] for run in runs])
    quantiles = np.quantile(accuracy, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    labels = ("least", "q05", "q25", "median", "q75", "q95", "greatest")
    share = float(np.mean(accuracy >= CLAIM))
    return {
        "reading": name,
        "n": len(runs),
        "mean": f"{100 * accuracy.mean():.2f}",
        "sd": f"{100 * accuracy.std(ddof=1):.2f}",
        **{label: f"{100 * q:.2f}" for label, q in zip(labels, quantiles, strict=True)},
        "share_at_least_70.12": f"{share:.2f}",
        "likelihood_ratio": f"{density(accuracy, CLAIM) / printed:.3g}",
        "loss_last_epoch": f"{loss.mean():.3f}",
        "loss_least_update": f"{min(run.losses.min() for run in runs):.3f}",
    }


def write_csv(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table."""
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def histogram(runs: Sequence[Run]) -> Figure:
    """Draw the last accuracies of the program as printed, and the learner's value."""
    accuracy = np.array([run.metrics["test_accuracy"] for run in runs])
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.hist(
        accuracy, bins=np.arange(0.585, 0.7201, 0.005).tolist(), color=BLUE, edgecolor="white"
    )
    axes.axvline(CLAIM, color=ORANGE, linestyle="--", linewidth=2)
    axes.annotate(
        "the learner:\n70.12 %",
        (CLAIM, axes.get_ylim()[1]),
        (6, -4),
        textcoords="offset points",
        va="top",
        color=ORANGE,
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set(
        xlabel="test accuracy after 10,000 updates",
        ylabel="runs",
        title=f"The program as printed, {len(runs)} seeds",
    )
    despine(axes)
    return figure


def floor(runs: Mapping[str, Sequence[Run]]) -> Figure:
    """Draw the loss at every update, and its floor under a softmax over the batch."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, colour in (("as printed", BLUE), ("the book, softmax per batch", BLACK)):
        losses = runs[name][0].losses
        axes.plot(np.arange(1, len(losses) + 1), losses, color=colour, linewidth=0.4, label=name)
    axes.axhline(FLOOR, color=ORANGE, linestyle="--", label="floor, ln 100 = 4.605")
    axes.set(xlabel="update", ylabel="loss of the batch", ylim=(4, 10), title="Seed 0")
    axes.legend()
    despine(axes)
    return figure


def lengths(runs: Sequence[Run]) -> Figure:
    """Draw test accuracy over epochs: when do runs usually reach 70.12 %?"""
    curves = np.array([run.curve for run in runs])
    low, middle, high = np.quantile(curves, [0.05, 0.5, 0.95], axis=0)
    epochs = np.arange(1, curves.shape[1] + 1)
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(epochs, low, high, color=BLUE, alpha=0.25, label="9 of 10 seeds")
    axes.plot(epochs, middle, color=BLUE, marker=".", label="median")
    axes.axhline(CLAIM, color=ORANGE, linestyle="--", label="70.12 %")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set(xlabel="epoch", ylabel="test accuracy", title=f"As printed, {len(runs)} seeds")
    axes.legend(loc="lower right")
    despine(axes)
    return figure


def main(words: Sequence[str]) -> None:
    """Run, collect, write, and print the table of the README."""
    given = parse(words)
    readings = collect(design(given))
    first = readings[READINGS[0].name]
    printed = density(np.array([run.metrics["test_accuracy"] for run in first]), CLAIM)
    rows = [row(name, of_reading, printed) for name, of_reading in readings.items()]
    given.out.mkdir(parents=True, exist_ok=True)
    write_csv(given.out / "readings.csv", rows)
    columns = ("loss", "train_accuracy", "test_accuracy")
    write_csv(
        given.out / "runs.csv",
        [
            {"reading": run.reading, "seed": run.seed, "run_id": run.run_id}
            | {name: run.metrics[name] for name in columns}
            for of_reading in readings.values()
            for run in of_reading
        ],
    )
    figures = {"histogram": histogram(first), "floor": floor(readings), "lengths": lengths(first)}
    for name, figure in figures.items():
        figure.savefig(given.out / f"{name}.png", dpi=120)
    print("|", " | ".join(rows[0]), "|\n|", "---|" * len(rows[0]), sep="")
    for each in rows:
        print("|", " | ".join(map(str, each.values())), "|")


if __name__ == "__main__":
    sys.exit(run_main(lambda: main, sys.argv[1:]))
