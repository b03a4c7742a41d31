"""How much of an update is not matrix products? And evaluation, symptoms, memory?

python tests/benchmarks/update.py --blocks 30 --out DIR

One process, one core, one BLAS thread. A block of updates and a block of their bare products are
timed in turn, so that noise hits both; ratios are taken block by block.
"""

import argparse
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from machine import last_core, pin
from problem import BATCH_SIZE, LEARNING_RATE, SIZES, UPDATES, Indices, epoch_masks
from products import Products
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from timings import Spread, alternate, ratios, write_csv, write_json

from sgdprobe.data import Dataset, load
from sgdprobe.nn import Examples, Network, accuracy, initial_params, symptoms
from sgdprobe.nn.examples import CHUNK
from sgdprobe.nn.training import _descend

NETWORKS = ((784, 50, 100, 10), (784, 50, 10), (784, 300, 100, 10))
ACTIVATIONS = ("sigmoid", "relu", "tanh")
BATCH_SIZES = (10, 32, 100, 316, 1000)
CHUNKS = (100, 200, 500, 1000, 2000, 5000, 10_000)
BLOCK = 0.02  # seconds that a block of updates should take

MEGABYTE = 2**20


@dataclass(frozen=True)
class Case:
    """A network, its float type and the batch it is updated with."""

    sizes: tuple[int, ...]
    activation: str
    dtype: str
    batch_size: int = BATCH_SIZE

    def network(self) -> Network:
        rng = np.random.default_rng(0)
        params = initial_params(rng, self.sizes, scheme="xavier", scale=1, dtype=self.dtype)
        return Network(params, activation=self.activation)

    def columns(self) -> dict[str, Any]:
        return {
            "network": "-".join(map(str, self.sizes)),
            "activation": self.activation,
            "dtype": self.dtype,
            "batch_size": self.batch_size,
        }


def cases(quick: bool) -> list[Case]:
    """Every network in float32, the first in float64 too."""
    if quick:
        return [Case(SIZES, "sigmoid", "float32", batch_size) for batch_size in (10, 100)]
    nets = [*product(NETWORKS, ["float32"]), (NETWORKS[0], "float64")]
    return [
        Case(sizes, activation, dtype, batch_size)
        for (sizes, dtype), activation, batch_size in product(nets, ACTIVATIONS, BATCH_SIZES)
    ]


def descend(network: Network, examples: Examples, masks: Indices) -> None:
    """sgdprobe's own loop, its losses dropped. A small step: no case may diverge."""
    deque(_descend(network, examples, masks, LEARNING_RATE / 10, "backprop"), maxlen=0)


def against_products(case: Case, data: Dataset, blocks: int) -> dict[str, Any]:
    """A row: seconds an update and its products, and their ratio."""
    network = case.network()
    examples = Examples(data.train_images, data.train_labels, dtype=case.dtype)
    rng = np.random.default_rng(0)

    def masks(updates: int) -> Indices:
        return rng.integers(0, len(examples), (updates, case.batch_size), dtype=np.intp)

    descend(network, examples, masks(3))
    started = time.perf_counter()
    descend(network, examples, masks(10))
    updates = max(1, round(BLOCK / (time.perf_counter() - started) * 10))
    drawn = masks(updates)
    products = Products(network, examples.batch(drawn[0])[0])

    def bare() -> None:
        for _ in range(updates):
            products.update()

    seconds = alternate([lambda: descend(network, examples, drawn), bare], blocks)
    ours, floor = ([value / updates for value in values] for values in seconds)
    return {
        **case.columns(),
        "update_seconds": Spread.of(ours),
        "products_seconds": Spread.of(floor),
        "ratio": ratios(ours, floor),
    }


def update_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each network and activation, a column for each batch size."""
    table = Table(title="One update: ms, and × the time of its bare matrix products")
    table.add_column("network", no_wrap=True)
    sizes = sorted({row["batch_size"] for row in rows})
    for size in sizes:
        table.add_column(f"batch {size}", justify="right", no_wrap=True)
    lines: dict[tuple[str, ...], dict[int, str]] = {}
    for row in rows:
        name = (row["network"], row["activation"], row["dtype"])
        text = f"{1000 * row['update_seconds'].median:.3f} ×{row['ratio'].median:.2f}"
        lines.setdefault(name, {})[row["batch_size"]] = text
    for words, cells in lines.items():
        table.add_row(" ".join(words), *(cells.get(size, "") for size in sizes))
    return table


def evaluation(data: Dataset, blocks: int) -> list[dict[str, Any]]:
    """Seconds for all images: ours, then the bare products at each size of chunk."""
    case = Case(SIZES, "sigmoid", "float32")
    network = case.network()
    sets = (
        Examples(data.train_images, data.train_labels),
        Examples(data.test_images, data.test_labels),
    )
    images = sum(len(examples) for examples in sets)

    def ours() -> None:
        for examples in sets:
            accuracy(network, examples)

    def bare(chunk: int) -> Callable[[], None]:
        x = data.train_images[:chunk] / np.float32(255)
        products = Products(case.network(), x)

        def forward() -> None:
            for _ in range(images // chunk):
                products.forward()

        return forward

    seconds = alternate([ours, *(bare(chunk) for chunk in CHUNKS)], blocks)
    names = [f"sgdprobe, chunks of {CHUNK}", *(f"products, chunks of {chunk}" for chunk in CHUNKS)]
    return [
        {"what": name, "seconds": Spread.of(values), "ratio": ratios(seconds[0], values)}
        for name, values in zip(names, seconds, strict=True)
    ]


def evaluation_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Evaluating 70,000 images")
    for heading in ("", "s (least–greatest)", "sgdprobe takes ×"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in rows:
        table.add_row(row["what"], row["seconds"].text(3), f"{row['ratio'].median:.2f}")
    return table


def symptoms_share(data: Dataset, blocks: int) -> Spread:
    """The share of an epoch, evaluation included, that its symptoms take."""
    network = Case(SIZES, "sigmoid", "float32").network()
    examples = Examples(data.train_images, data.train_labels)
    test = Examples(data.test_images, data.test_labels)
    masks = epoch_masks(np.random.default_rng(0))
    probe = np.arange(BATCH_SIZE)

    def epoch() -> None:
        descend(network, examples, masks)
        accuracy(network, examples)
        accuracy(network, test)

    def diagnose() -> None:
        symptoms(network, *examples.batch(probe))

    whole, part = alternate([epoch, diagnose], blocks)
    return ratios(part, [a + b for a, b in zip(whole, part, strict=True)])


def memory() -> dict[str, float]:
    """MB of this process beyond its imports: with the data, then with a network trained on it.

    The peak is while the files are unpacked. To be called before anything else is measured.
    """
    resident = psutil.Process().memory_info
    start = resident().rss
    data = load("mnist", None)
    loaded = resident().rss
    network = Case(SIZES, "sigmoid", "float32").network()
    examples = Examples(data.train_images, data.train_labels)
    descend(network, examples, epoch_masks(np.random.default_rng(0)))
    accuracy(network, examples)
    accuracy(network, Examples(data.test_images, data.test_labels))
    return {
        "imports": start / MEGABYTE,
        "data": (loaded - start) / MEGABYTE,
        "data and training": (resident().rss - start) / MEGABYTE,
    }


def allocated(data: Dataset) -> dict[str, int]:
    """Bytes that an epoch's loop holds at most beyond what it began with, and at its end.

    NumPy tells tracemalloc of every array, so an array of a batch's size could not hide.
    """
    network = Case(SIZES, "sigmoid", "float32").network()
    examples = Examples(data.train_images, data.train_labels)
    masks = epoch_masks(np.random.default_rng(0))
    tracemalloc.start()
    try:
        descend(network, examples, masks)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        descend(network, examples, masks)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return {"at most": peak - before, "at the end": after - before}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=30, help="pairs of blocks a case")
    parser.add_argument("--quick", action="store_true", help="2 cases, 5 blocks: does it work?")
    parser.add_argument("--core", type=int, default=last_core(), help="the core to run on")
    parser.add_argument("--out", type=Path, help="a folder for update.csv and update.json")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    blocks = 5 if chosen.quick else chosen.blocks
    pin(chosen.core)
    console = Console(highlight=False)
    with threadpool_limits(1, "blas"):
        used = memory()
        data = load("mnist", None)
        rows = [against_products(case, data, blocks) for case in cases(chosen.quick)]
        console.print(update_table(rows))
        evaluated = evaluation(data, blocks)
        console.print(evaluation_table(evaluated))
        share = symptoms_share(data, blocks)
        held = allocated(data)
    console.print(f"symptoms: {100 * share.median:.2f} % of an epoch")
    console.print(f"memory, MB: {', '.join(f'{name} {mb:.0f}' for name, mb in used.items())}")
    console.print(
        f"{UPDATES} updates allocate at most {held['at most']:,} bytes at a time, "
        f"{held['at the end']:,} at the end; a batch has {BATCH_SIZE * SIZES[0] * 4:,}"
    )
    if chosen.out:
        write_csv(chosen.out / "update.csv", rows)
        facts = {"symptoms_share": share, "memory_megabytes": used, "allocated_bytes": held}
        write_json(chosen.out / "update.json", {"evaluation": evaluated, **facts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
