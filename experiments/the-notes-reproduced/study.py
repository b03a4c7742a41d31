"""Does the program as printed get 70.12 %, and which reading of it makes that value likely?

python experiments/the-notes-reproduced/study.py

Runs what the store does not hold yet, then writes runs.csv, readings.csv and the figures here.
"""

import csv
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from scipy import stats

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "src"))

from sgdprobe.commands.cli import exit_on_user_error, interruptible  # noqa: E402
from sgdprobe.config.compose import composer  # noqa: E402
from sgdprobe.config.settings import Settings  # noqa: E402
from sgdprobe.reports.plotting import BLACK, BLUE, ORANGE  # noqa: E402
from sgdprobe.run.build import load_data  # noqa: E402
from sgdprobe.sweep.plan import Plan  # noqa: E402

CLAIM = 0.7012
FLOOR = math.log(100)  # of the loss, under a softmax over a batch of 100


@dataclass(frozen=True)
class Reading:
    """What the learner may have run: a recipe, changes to it, and how many seeds."""

    name: str
    recipe: str
    seeds: int
    changes: tuple[str, ...] = ()


READINGS = (
    Reading("as printed", "notes", 100),
    Reading("in float32", "notes", 10, ("dtype=float32",)),
    Reading("20,000 updates", "notes", 10, ("dtype=float32", "training.iterations=20000")),
    Reading("without replacement", "notes", 10, ("dtype=float32", "training.sampling=permutation")),
    Reading("pixels scaled, / 255", "notes", 10, ("dtype=float32", "data.scale=unit")),
    Reading("softmax per sample", "notes", 10, ("dtype=float32", "network.softmax_over=sample")),
    Reading("weights of 0.01", "notes", 10, ("dtype=float32", "init.scale=0.01")),
    Reading("the book, softmax per batch", "book", 10, ("network.softmax_over=batch",)),
    Reading("the book, chapter 4", "book", 10),
    Reading("the book, chapter 5", "book_relu", 10),
)


@dataclass(frozen=True)
class Run:
    """A finished run of a reading. `curve` : (epochs,) test accuracy; `losses` : (updates,)."""

    reading: str
    seed: int
    run_id: str
    metrics: Mapping[str, float]
    curve: NDArray[Any]
    losses: NDArray[Any]


def all_settings() -> dict[tuple[str, int], Settings]:
    """The settings of every run, by reading and seed."""
    settings: dict[tuple[str, int], Settings] = {}
    with composer() as compose:
        for reading in READINGS:
            base, _ = compose.job([f"experiment={reading.recipe}", *reading.changes])
            base = base.replace({"tracking.experiment": HERE.name})
            for seed in range(reading.seeds):
                settings[reading.name, seed] = replace(base, seed=seed)
    return settings


def load_results() -> list[Run]:
    """All runs, those that the store lacks made now."""
    from sgdprobe.commands.sweep import run_sweep
    from sgdprobe.provenance.source import source_hash
    from sgdprobe.tracking import connect, recorded_evidence, recorded_losses, recorded_results

    wanted = all_settings()
    keys = {
        which: settings.key(load_data(settings).digest, source_hash())
        for which, settings in wanted.items()
    }
    recorded = recorded_results(None)
    missing = [which for which, key in keys.items() if key not in recorded]
    if missing:
        cells = [(wanted[which], name_of(which[0])) for which in missing]
        if run_sweep(Plan.of(cells, sorted(wanted[missing[0]].flat())), None):
            raise SystemExit(1)
        recorded = recorded_results(None)
    client = connect(None)
    results = {which: recorded[key] for which, key in keys.items()}
    runs = []
    for (which, result), format_value in zip(
        results.items(), recorded_evidence(None, results.values()), strict=True
    ):
        losses = recorded_losses(client, result.run_id)
        assert losses is not None
        curve = np.array(format_value.series["test_accuracy"])
        runs.append(Run(*which, result.run_id, result.metrics, curve, losses))
    return runs


def name_of(reading: str) -> str:
    """The recipe of a reading."""
    return next(each.recipe for each in READINGS if each.name == reading)


def density(values: NDArray[Any], at: float) -> float:
    """How likely one more run ends at `at`: Student's predictive density, per point (0.01)."""
    n = len(values)
    spread = values.std(ddof=1) * math.sqrt(1 + 1 / n)
    return float(stats.t.pdf((at - values.mean()) / spread, n - 1) / spread / 100)


def row(name: str, runs: Sequence[Run], printed: float) -> dict[str, Any]:
    """What a reading came to, in percent, and its likelihood beside the program as printed."""
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


def by_reading(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each reading, in the order of READINGS."""
    return {each.name: [run for run in runs if run.reading == each.name] for each in READINGS}


def write_csv(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table here."""
    with (HERE / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _plain(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def histogram(runs: Sequence[Run]) -> Figure:
    """Where the seeds of the program as printed end, with the learner's value marked."""
    accuracy = np.array([run.metrics["test_accuracy"] for run in runs])
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.hist(accuracy, bins=np.arange(0.585, 0.7201, 0.005), color=BLUE, edgecolor="white")
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
    _plain(axes)
    return figure


def floor(runs: Mapping[str, Sequence[Run]]) -> Figure:
    """The loss at every update, and the floor that a softmax over the batch puts under it."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, colour in (("as printed", BLUE), ("the book, softmax per batch", BLACK)):
        losses = runs[name][0].losses
        axes.plot(np.arange(1, len(losses) + 1), losses, color=colour, linewidth=0.4, label=name)
    axes.axhline(FLOOR, color=ORANGE, linestyle="--", label="floor, ln 100 = 4.605")
    axes.set(xlabel="update", ylabel="loss of the batch", ylim=(4, 10), title="Seed 0")
    axes.legend()
    _plain(axes)
    return figure


def lengths(runs: Sequence[Run]) -> Figure:
    """Test accuracy over epochs: how many updates would have made 70.12 % usual."""
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
    _plain(axes)
    return figure


def main() -> None:
    """Run, collect, write, and print the table of the README."""
    runs = load_results()
    readings = by_reading(runs)
    first = readings[READINGS[0].name]
    printed = density(np.array([run.metrics["test_accuracy"] for run in first]), CLAIM)
    rows = [row(name, of_reading, printed) for name, of_reading in readings.items()]
    write_csv("readings.csv", rows)
    columns = ("loss", "train_accuracy", "test_accuracy")
    write_csv(
        "runs.csv",
        [
            {"reading": run.reading, "seed": run.seed, "run_id": run.run_id}
            | {name: run.metrics[name] for name in columns}
            for run in runs
        ],
    )
    figures = {"histogram": histogram(first), "floor": floor(readings), "lengths": lengths(first)}
    for name, figure in figures.items():
        figure.savefig(HERE / f"{name}.png", dpi=120)
    heads = list(rows[0])
    print("|", " | ".join(heads), "|\n|", "---|" * len(heads), sep="")
    for each in rows:
        print("|", " | ".join(map(str, each.values())), "|")


if __name__ == "__main__":
    with exit_on_user_error(), interruptible():
        main()
