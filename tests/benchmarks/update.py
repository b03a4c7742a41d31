"""How much of an update is not matrix products? And evaluation, symptoms, memory?

python tests/benchmarks/update.py --blocks 30 --out DIR

One process, one core, one BLAS thread. A block of updates and a block of their bare products are
timed in turn, so that noise hits both; ratios are taken block by block. The products are those of
all pixels; an update leaves out those that are 0 in all images of its batch, unless told not to.
"""

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from contestants.ours import RUN, on_all_pixels
from machine import last_core, pin_cpu_kernels
from problem import BATCH_SIZE, LEARNING_RATE, SIZES, UPDATES, Indices, epoch_masks
from products import Products
from rich.table import Table
from threadpoolctl import threadpool_limits
from timings import Spread, alternate, console, ratios, write_csv, write_json

from sgdprobe.data import Dataset, load
from sgdprobe.nn import SGD, Examples, Network, accuracy, draw_params, symptoms
from sgdprobe.nn.examples import CHUNK
from sgdprobe.nn.training import run_updates
from sgdprobe.run.build import splits

HIDDEN = ((50, 100), (50,), (300, 100))
ACTIVATIONS = ("sigmoid", "relu", "tanh")
BATCH_SIZES = (10, 32, 100, 316, 1000)
CHUNKS = (100, 200, 500, 1000, 2000, 5000, 10_000)
BLOCK = 0.02  # seconds that a block of updates should take

MEGABYTE = 2**20


@dataclass(frozen=True)
class Case:
    """A network, its float type and its batch; whether updates leave dark pixels out."""

    sizes: tuple[int, ...] = SIZES
    activation: str = "sigmoid"
    dtype: str = "float32"
    batch_size: int = BATCH_SIZE
    leaves_out: bool = True

    def network(self) -> Network:
        rng = np.random.default_rng(0)
        params = draw_params(rng, self.sizes, scheme="xavier", scale=1, dtype=self.dtype)
        return Network(params, activation=self.activation, factor=1 / 255)

    def examples(self, data: Dataset) -> Examples:
        """The training images."""
        train = splits(replace(RUN, dtype=self.dtype), data).train
        return train if self.leaves_out else on_all_pixels(train)

    def columns(self) -> dict[str, Any]:
        return {
            "network": "-".join(map(str, self.sizes)),
            "activation": self.activation,
            "dtype": self.dtype,
            "leaves_out": self.leaves_out,
            "batch_size": self.batch_size,
        }


def cases(quick: bool) -> list[Case]:
    """Every network in float32; the first also in float64, and with no pixel left out."""
    first = Case()
    if quick:
        return [first, replace(first, leaves_out=False)]
    nets = [replace(first, sizes=(SIZES[0], *hidden, SIZES[-1])) for hidden in HIDDEN]
    nets += [replace(first, dtype="float64"), replace(first, leaves_out=False)]
    return [
        replace(net, activation=activation, batch_size=batch_size)
        for net, activation, batch_size in product(nets, ACTIVATIONS, BATCH_SIZES)
    ]


def descend(network: Network, examples: Examples, masks: Indices) -> None:
    """sgdprobe's own loop, its losses dropped. A small step: no case may diverge."""
    run_updates(network, map(examples.batch, masks), SGD(LEARNING_RATE / 10), [])


def against_products(case: Case, data: Dataset, blocks: int) -> dict[str, Any]:
    """A row: seconds an update and its products, and their ratio."""
    network = case.network()
    examples = case.examples(data)
    rng = np.random.default_rng(0)

    def masks(updates: int) -> Indices:
        return rng.integers(0, len(examples), (updates, case.batch_size), dtype=np.intp)

    descend(network, examples, masks(3))
    started = time.perf_counter()
    descend(network, examples, masks(10))
    updates = max(1, round(BLOCK / (time.perf_counter() - started) * 10))
    drawn = masks(updates)
    x, _ = replace(case, leaves_out=False).examples(data).batch(drawn[0])
    products = Products(network, x)

    def bare() -> None:
        for _ in range(updates):
            products.update()

    seconds = alternate([lambda: descend(network, examples, drawn), bare], blocks)
    whole, part = ([value / updates for value in values] for values in seconds)
    return {
        **case.columns(),
        "update_seconds": Spread.of(whole),
        "products_seconds": Spread.of(part),
        "ratio": ratios(whole, part),
    }


def update_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each network and activation, a column for each batch size."""
    table = Table(title="One update, × the time of its bare matrix products; ms are in update.csv")
    table.add_column("network", no_wrap=True)
    sizes = sorted({row["batch_size"] for row in rows})
    for size in sizes:
        table.add_column(f"batch {size}", justify="right", no_wrap=True)
    lines: dict[tuple[str, ...], dict[int, str]] = {}
    name: tuple[str, ...]
    for row in rows:
        name = (row["network"], row["activation"], row["dtype"])
        if not row["leaves_out"]:
            name += ("on all pixels",)
        text = f"{row['ratio'].median:.2f}"
        lines.setdefault(name, {})[row["batch_size"]] = text
    for words, cells in lines.items():
        table.add_row(" ".join(words), *(cells.get(size, "") for size in sizes))
    return table


def evaluation(data: Dataset, blocks: int, chunks: Sequence[int]) -> list[dict[str, Any]]:
    """Seconds for all images: ours, then the bare products at each size of chunk."""
    network, examples, test = parts(data)
    images = len(examples) + len(test)

    def ours() -> None:
        accuracy(network, examples)
        accuracy(network, test)

    def bare(chunk: int) -> Callable[[], None]:
        x = examples.images[:chunk].astype(np.float32)
        products = Products(Case().network(), x)

        def forward() -> None:
            for _ in range(images // chunk):
                products.forward()

        return forward

    seconds = alternate([ours, *(bare(chunk) for chunk in chunks)], blocks)
    names = [f"sgdprobe, chunks of {CHUNK}", *(f"products, chunks of {chunk}" for chunk in chunks)]
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


def parts(data: Dataset) -> tuple[Network, Examples, Examples]:
    """The notes' network, training images and test images, as a run has them."""
    images = splits(RUN, data)
    return Case().network(), images.train, images.test


def symptoms_share(data: Dataset, blocks: int, updates: int) -> Spread:
    """The share of an epoch, evaluation included, that its symptoms take."""
    network, examples, test = parts(data)
    masks = epoch_masks(np.random.default_rng(0), updates)
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
    network, examples, test = parts(data)
    descend(network, examples, epoch_masks(np.random.default_rng(0)))
    accuracy(network, examples)
    accuracy(network, test)
    return {
        "imports": start / MEGABYTE,
        "data": (loaded - start) / MEGABYTE,
        "data and training": (resident().rss - start) / MEGABYTE,
    }


def allocated(data: Dataset, updates: int) -> dict[str, int]:
    """Bytes that the loop holds at most beyond what it began with, and at its end.

    NumPy tells tracemalloc of every array, so an array of a batch's size could not hide.
    """
    network, examples, _ = parts(data)
    masks = epoch_masks(np.random.default_rng(0), updates)
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
    parser.add_argument("--quick", action="store_true", help="2 cases, 2 blocks: does it work?")
    parser.add_argument("--core", type=int, default=last_core(), help="the core to run on")
    parser.add_argument("--out", type=Path, help="a folder for update.csv and update.json")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    blocks, updates = chosen.blocks, UPDATES
    chunks: Sequence[int] = CHUNKS
    if chosen.quick:
        blocks, updates, chunks = 2, 60, CHUNKS[:1]
    pin_cpu_kernels(chosen.core)
    say = console().print
    with threadpool_limits(1, "blas"):
        used = memory()
        data = load("mnist", None)
        rows = [against_products(case, data, blocks) for case in cases(chosen.quick)]
        say(update_table(rows))
        evaluated = evaluation(data, blocks, chunks)
        say(evaluation_table(evaluated))
        share = symptoms_share(data, blocks, updates)
        held = allocated(data, updates)
    say(f"symptoms: {100 * share.median:.2f} % of an epoch")
    say(f"memory, MB: {', '.join(f'{name} {mb:.0f}' for name, mb in used.items())}")
    say(
        f"{updates} updates allocate at most {held['at most']:,} bytes at a time, "
        f"{held['at the end']:,} at the end; a batch has {BATCH_SIZE * SIZES[0] * 4:,}"
    )
    if chosen.out:
        write_csv(chosen.out / "update.csv", rows)
        facts = {"symptoms_share": share, "memory_megabytes": used, "allocated_bytes": held}
        write_json(chosen.out / "update.json", {"blocks": blocks, "evaluation": evaluated, **facts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
