"""How does the cost grow with processes, with the number of runs, and with the network?

python tests/benchmarks/scaling.py --out DIR

Sweeps are whole commands, `python src/train.py -m book 'seed=range(0,N)' …`, from start to end,
each with a new store. Networks are timed as in update.py, beside their bare matrix products. For
each of the three, a line says where the cost leaves the straight line.
"""

import argparse
import struct
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import whole_command
from machine import ROOT, last_core, pin_cpu_kernels
from problem import SIZES
from rich.table import Table
from threadpoolctl import threadpool_limits
from timings import Spread, console, write_csv, write_json
from update import Case, against_products

from sgdprobe.data import Dataset, load

JOBS = (1, 2, 4)
RUNS = (10, 30, 100, 300, 1000)
WIDTHS = (10, 30, 100, 300, 1000, 3000)
TOLERANCE = 0.1  # further from the straight line is off it

Rows = Sequence[Mapping[str, Any]]


def sweep(runs: int, *overrides: str) -> float:
    """Seconds that so many runs of the recipe `book` take."""

    def command(uri: str) -> list[str]:
        words = ("-m", "book", f"seed=range(0,{runs})", f"tracking.uri={uri}", *overrides)
        return [sys.executable, str(ROOT / "src/train.py"), *words]

    seconds, finished = whole_command.timed("book", command)
    assert len(finished) == runs
    return seconds


def with_processes(runs: int, iterations: int, turns: int) -> list[dict[str, Any]]:
    """A row for each sweep.n_jobs: runs a minute."""
    rows = []
    for jobs in JOBS:
        words = f"training.iterations={iterations}", f"sweep.n_jobs={jobs}"
        seconds = Spread.of([sweep(runs, *words) for _ in range(turns)])
        row = {"processes": jobs, "runs": runs, "iterations": iterations, "seconds": seconds}
        rows.append({**row, "runs_per_minute": 60 * runs / seconds.median})
    return rows


def with_runs(counts: Sequence[int], turns: int) -> list[dict[str, Any]]:
    """A row for each number of runs so short that hardly more than their overhead is left."""
    with tempfile.TemporaryDirectory() as folder:
        write_few_images(Path(folder))
        words = f"data.root={folder}", "training.iterations=20"
        spreads = [Spread.of([sweep(runs, *words) for _ in range(turns)]) for runs in counts]
    return [
        {"runs": runs, "seconds": seconds, "seconds_per_run": seconds.median / runs}
        for runs, seconds in zip(counts, spreads, strict=True)
    ]


def with_width(widths: Sequence[int], blocks: int) -> list[dict[str, Any]]:
    """A row for each width of one hidden layer: an update, and its products."""
    data = load("mnist", None)
    with threadpool_limits(1, "blas"):
        return [
            {"width": width, **against_products(Case((SIZES[0], width, SIZES[-1])), data, blocks)}
            for width in widths
        ]


def write_few_images(folder: Path) -> None:
    """The first 600 training and 200 test images of MNIST, as four IDX files."""
    data: Dataset = load("mnist", None)
    for part, images, labels, n in (
        ("train", data.train_images, data.train_labels, 600),
        ("t10k", data.test_images, data.test_labels, 200),
    ):
        for name, array in (
            ("images-idx3", images[:n].reshape(n, 28, 28)),
            ("labels-idx1", labels[:n]),
        ):
            sizes = struct.pack(f">{array.ndim}I", *array.shape)
            header = bytes((0, 0, 8, array.ndim)) + sizes
            (folder / f"{part}-{name}-ubyte").write_bytes(header + array.tobytes())


def departure(x: Sequence[float], y: Sequence[float], what: str) -> str:
    """Where y(x) leaves the straight line through all that came before; at least two must have."""
    for k in range(2, len(x)):
        slope, start = np.polyfit(x[:k], y[:k], 1)
        off = y[k] / (start + slope * x[k]) - 1
        if abs(off) > TOLERANCE:
            return f"{what}: off the straight line by {100 * off:+.0f} % at {x[k]:,}"
    return f"{what}: straight up to {x[-1]:,}, to within {100 * TOLERANCE:.0f} %"


def departures(processes: Rows, runs: Rows, widths: Rows) -> list[str]:
    """What to say about each of the three."""
    rates = [0.0, *(row["runs_per_minute"] for row in processes)]  # no process, no runs
    number, seconds = ([row[key] for row in runs] for key in ("runs", "seconds"))
    width, update, products = (
        [row[key] for row in widths] for key in ("width", "update_seconds", "products_seconds")
    )
    return [
        departure([0, *JOBS], rates, "runs a minute over processes"),
        departure(number, medians(seconds), "seconds over the number of runs"),
        departure(width, medians(update), "an update over the hidden layer's width"),
        departure(width, medians(products), "its products over the width"),
    ]


def medians(spreads: Sequence[Spread]) -> list[float]:
    return [spread.median for spread in spreads]


def table(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """All right-aligned."""
    format_value = Table(title=title)
    for heading in headings:
        format_value.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        format_value.add_row(*line)
    return format_value


def tables(processes: Rows, runs: Rows, widths: Rows) -> list[Table]:
    few = processes[0]
    return [
        table(
            f"{few['runs']} runs of {few['iterations']:,} updates",
            ("processes", "s (least–greatest)", "runs a minute"),
            [
                (str(row["processes"]), row["seconds"].text(1), f"{row['runs_per_minute']:.0f}")
                for row in processes
            ],
        ),
        table(
            "Runs of 20 updates on 600 images, a process for each core",
            ("runs", "s (least–greatest)", "ms a run"),
            [
                (f"{row['runs']:,}", row["seconds"].text(1), f"{1000 * row['seconds_per_run']:.0f}")
                for row in runs
            ],
        ),
        table(
            f"One update of {SIZES[0]}-width-10",
            ("width", "update, ms", "products, ms", "×"),
            [
                (
                    f"{row['width']:,}",
                    row["update_seconds"].text(3, 1000),
                    row["products_seconds"].text(3, 1000),
                    f"{row['ratio'].median:.2f}",
                )
                for row in widths
            ],
        ),
    ]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=3, help="times that each sweep is timed")
    parser.add_argument("--blocks", type=int, default=30, help="pairs of blocks a width")
    parser.add_argument("--quick", action="store_true", help="few and short: does it work?")
    parser.add_argument("--core", type=int, default=last_core(), help="the core for the updates")
    parser.add_argument("--out", type=Path, help="a folder for scaling.json and scaling_*.csv")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    say = console().print
    sweep(2, "training.iterations=1")  # from here on all code is compiled and all files are cached
    if chosen.quick:
        processes, runs = with_processes(4, 600, 1), with_runs(RUNS[:3], 1)
    else:
        processes, runs = with_processes(24, 3000, chosen.turns), with_runs(RUNS, chosen.turns)
    pin_cpu_kernels(chosen.core)  # from here on: the sweeps had all cores
    widths = with_width(WIDTHS, 3 if chosen.quick else chosen.blocks)
    for format_value in tables(processes, runs, widths):
        say(format_value)
    said = departures(processes, runs, widths)
    for line in said:
        say(line)
    if chosen.out:
        for name, rows in (("processes", processes), ("runs", runs), ("width", widths)):
            write_csv(chosen.out / f"scaling_{name}.csv", rows)
        write_json(chosen.out / "scaling.json", {"departures": said})
    return 0


if __name__ == "__main__":
    sys.exit(main())
