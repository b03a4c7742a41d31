"""What do the numbers look like? An epoch of every contestant, and how cost grows.

python tests/benchmarks/figure.py --out DIR

DIR holds what bench.py wrote, and what scaling.py wrote if it ran; the pictures go beside it.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from timings import console

from sgdprobe.reports.plotting import BLACK, BLUE, ORANGE

FLOOR = "floor"


def epoch(rows: Sequence[dict[str, Any]]) -> Figure:
    """Updates and evaluation of each contestant, end to end; the floor as a line across."""
    bars = [row for row in reversed(rows) if row["contestant"] != FLOOR]
    figure = Figure(figsize=(9, 1.6 + 0.34 * len(bars)), layout="constrained")
    axes = figure.subplots()
    names = [row["label"] for row in bars]
    wholes = [row["epoch_seconds"] for row in bars]
    evaluating = [row["evaluation_seconds"]["median"] for row in bars]
    updating = [whole["median"] - part for whole, part in zip(wholes, evaluating, strict=True)]
    places = range(len(bars))
    axes.barh(places, updating, color=BLUE, label="updates")
    axes.barh(
        places,
        evaluating,
        left=updating,
        color="white",
        edgecolor=BLUE,
        hatch="///",
        label="evaluating 70,000 images",
    )
    for y, whole, row in zip(places, wholes, bars, strict=True):
        axes.plot([whole["least"], whole["greatest"]], [y, y], color=BLACK, marker="|")
        weight = "bold" if row["label"] == "sgdprobe" else "normal"
        text = f"  {whole['median']:.2f} s"
        axes.text(max(whole.values()), y, text, va="center", fontweight=weight)
    for row in rows:
        if row["contestant"] == FLOOR:
            axes.axvline(row["epoch_seconds"]["median"], color=ORANGE, label=row["label"])
    axes.set(xlabel="seconds an epoch, one thread (median; least to greatest)", yticks=places)
    axes.set_yticklabels(names)
    axes.margins(x=0.1)
    axes.set_xlim(0)
    axes.tick_params(axis="y", length=0)
    plain(axes, "x")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def scaling(folder: Path) -> Figure:
    """Runs a minute over processes, seconds over runs, an update over the hidden width."""
    processes, runs, width = (read(folder / f"scaling_{n}.csv") for n in SCALING)
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    rate, wall, update = figure.subplots(1, 3)

    jobs, rates = column(processes, "processes"), column(processes, "runs_per_minute")
    rate.plot(jobs, rates, color=BLUE, marker="o")
    rate.plot(jobs, [rates[0] * n for n in jobs], color=BLACK, linestyle=":", label="in proportion")
    rate.set(xlabel="processes", ylabel="runs a minute", ylim=(0, None))

    number, seconds = column(runs, "runs"), column(runs, "seconds_median")
    wall.loglog(number, seconds, color=BLUE, marker="o")
    each = seconds[-1] / number[-1]
    proportion = [each * n for n in number]
    wall.loglog(number, proportion, color=BLACK, linestyle=":", label="in proportion")
    wall.set(xlabel="runs of 20 updates", ylabel="seconds")

    widths = column(width, "width")
    for name, label, look in (
        ("update_seconds", "sgdprobe", {"color": BLUE, "marker": "o"}),
        (
            "products_seconds",
            "products of all pixels",
            {"color": ORANGE, "marker": "s", "linestyle": "--"},
        ),
    ):
        milliseconds = [1000 * value for value in column(width, f"{name}_median")]
        update.loglog(widths, milliseconds, label=label, **look)
    update.set(xlabel="hidden units", ylabel="ms an update")

    for axes, values in ((rate, jobs), (wall, number), (update, widths)):
        axes.set_xticks(values, [f"{value:,.0f}" for value in values])
        axes.minorticks_off()
        plain(axes, "both")
        axes.legend(frameon=False)
    return figure


SCALING = ("processes", "runs", "width")


def plain(axes: Axes, grid: Any) -> None:
    """As the pictures of a run."""
    axes.grid(axis=grid, alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def column(rows: Sequence[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in rows]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder of the numbers")
    folder: Path = parser.parse_args().out
    say = console().print
    bench = json.loads((folder / "bench.json").read_text())
    figures = {"epoch.png": epoch(bench["contestants"])}
    if all((folder / f"scaling_{name}.csv").exists() for name in SCALING):
        figures["scaling.png"] = scaling(folder)
    else:
        say("no scaling.png: scaling.py has written nothing there")
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)
        say(str(folder / name), soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
