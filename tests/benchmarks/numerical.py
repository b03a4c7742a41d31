"""How long would the notes' training take, by central differences? And by backprop?

python tests/benchmarks/numerical.py --out DIR

The notes' program in full: float64, pixels 0 … 255, 784-50-100-10, batches of 100. An update asks
for two forward passes a weight, each the same work whichever weight it is. So a sample of weights
is timed and scaled up; a sample four times as large must say the same. One core, one thread.
"""

import argparse
import runpy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import ROOT, last_core, pin_cpu_kernels
from rich.table import Table
from threadpoolctl import threadpool_limits
from timings import Spread, alternate, console, ratios, write_csv, write_json

from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset, load
from sgdprobe.nn import SGD, numerical_gradient
from sgdprobe.nn.training import run_updates
from sgdprobe.run.build import build_network, initial_params, random_streams, splits

LITERAL: Any = runpy.run_path(str(ROOT / "tests/oracle.py"))  # tests/ is not on a script's path
NOTES = Settings.from_dict(
    {
        "dtype": "float64",
        "data": {"scale": "none"},
        "network": {"hidden": [50, 100], "softmax_over": "batch"},
        "init": {"scale": 1},
        "training": {"learning_rate": 0.01},
    }
)
UPDATES = 10_000
LARGER = 4  # times the sample, to see whether the cost of a weight is constant
DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Way:
    """A way to the gradient: its weights, and the work for some of them."""

    name: str
    weights: int
    differentiate: Callable[[int], Any]


def ways(data: Dataset) -> list[Way]:
    """The notes' own, and ours."""
    params = initial_params(NOTES, data, random_streams(0)["weights"])
    mask = np.arange(NOTES.training.batch_size)
    literal = LITERAL["NotesNetwork"](params)
    W1 = literal.params["W1"].ravel()  # a view: what is changed here, the network feels
    x = data.train_images[mask]  # bytes, as the notes have them
    t = np.eye(10)[data.train_labels[mask]]

    def literally(n: int) -> None:
        LITERAL["numerical_gradient"](lambda _: literal.loss(x, t), W1[:n])

    network = build_network(NOTES, data, params)
    batch = splits(NOTES, data).train.batch(mask)

    def differentiate(n: int) -> None:
        numerical_gradient(lambda _: network.loss(*batch), network.theta[:n])

    total = sum(values.size for values in params.values())
    return [
        Way("the notes, literally", total, literally),
        Way("sgdprobe", len(network.theta), differentiate),
    ]


def central_differences(data: Dataset, sample: int, blocks: int) -> list[dict[str, Any]]:
    """A row for each way: seconds an update and days for all, and whether a weight costs the same.

    `constant` is the cost of a weight in the larger sample over that in the smaller.
    """
    entries = ways(data)
    works = [
        (lambda way=way, n=n: way.differentiate(n))
        for way in entries
        for n in (sample, LARGER * sample)
    ]
    seconds = alternate(works, blocks)
    rows = []
    for way, small, large in zip(entries, seconds[::2], seconds[1::2], strict=True):
        update = [value / (LARGER * sample) * way.weights for value in large]
        rows.append(
            {
                "gradient": way.name,
                "weights": way.weights,
                "measured": LARGER * sample,
                "update_seconds": Spread.of(update),
                "constant": ratios(large, [LARGER * value for value in small]),
                "training_seconds": Spread.of([UPDATES * value for value in update]),
            }
        )
    return rows


def backprop(data: Dataset, updates: int) -> dict[str, Any]:
    """The same training by backprop: so many updates, scaled to all if they are fewer."""
    streams = random_streams(0)
    network = build_network(NOTES, data, initial_params(NOTES, data, streams["weights"]))
    examples = splits(NOTES, data).train
    size = (updates, NOTES.training.batch_size)
    masks = streams["batches"].integers(0, len(examples), size, dtype=np.intp)
    rate = NOTES.training.learning_rate
    started = time.perf_counter()
    run_updates(network, map(examples.batch, masks), SGD(rate), [])
    update = (time.perf_counter() - started) / updates
    return {
        "gradient": "sgdprobe, backprop",
        "weights": len(network.theta),
        "measured": len(network.theta),
        "update_seconds": Spread.of([update]),
        "constant": Spread.of([1.0]),
        "training_seconds": Spread.of([UPDATES * update]),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Medians; the range for what a weight costs in the larger sample."""
    format_value = Table(title=f"One update, and {UPDATES:,} of them")
    format_value.add_column("", no_wrap=True)
    for heading in ("weights", "measured", "larger ÷ smaller", "update, s", "training"):
        format_value.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        seconds = row["training_seconds"].median
        format_value.add_row(
            row["gradient"],
            f"{row['weights']:,}",
            f"{row['measured']:,}",
            row["constant"].text(2),
            f"{row['update_seconds'].median:.3g}",
            f"{seconds / DAY:.2f} days" if seconds > DAY / 10 else f"{seconds:.1f} s",
        )
    return format_value


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, default=100, help="weights in the smaller sample")
    parser.add_argument("--blocks", type=int, default=10, help="times that each sample is timed")
    parser.add_argument("--quick", action="store_true", help="few weights, once: does it work?")
    parser.add_argument("--core", type=int, default=last_core(), help="the core to run on")
    parser.add_argument("--out", type=Path, help="a folder for numerical.csv and numerical.json")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    sample, blocks, updates = (chosen.sample, chosen.blocks, UPDATES)
    if chosen.quick:
        sample, blocks, updates = 10, 1, 100
    pin_cpu_kernels(chosen.core)
    say = console().print
    data = load("mnist", None)
    with threadpool_limits(1, "blas"):
        rows = [*central_differences(data, sample, blocks), backprop(data, updates)]
    say(table(rows))
    literal, *_, fast = (row["training_seconds"].median for row in rows)
    say(f"Backprop takes {fast:.1f} s for what the notes' way takes {literal / DAY:.1f} days.")
    if chosen.out:
        write_csv(chosen.out / "numerical.csv", rows)
        facts = {"updates": UPDATES, "backprop_updates_measured": updates}
        write_json(chosen.out / "numerical.json", {"gradients": rows, **facts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
