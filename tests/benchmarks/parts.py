"""What is an update made of? Microseconds of each kind of work in it.

python tests/benchmarks/parts.py --turns 30 --out DIR

Updates are carried out step by step, as the layers and the training loop do it, with the
clock read in between. The same updates by the loop itself take turns with that, and the weights of
both must end up the same, to the last bit.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contestants.ours import RUN
from machine import last_core, pin_cpu_kernels
from problem import BATCH_SIZE, LEARNING_RATE, UPDATES, Indices, load_problem
from products import product
from rich.table import Table
from threadpoolctl import threadpool_limits
from timings import Spread, console, write_csv, write_json

from sgdprobe.nn import SGD, Examples, Network
from sgdprobe.nn.functions import Array
from sgdprobe.nn.layers import Activation, Affine, Layer, PixelAffine
from sgdprobe.nn.training import run_updates
from sgdprobe.run.build import build_network, splits

Parts = dict[str, list[float]]

PRODUCTS, BIASES, ACTIVATION = "matrix products", "biases and their gradients", "activation, slope"
BATCH = "a batch: gather bytes, convert them"
SCALE = "scale sums and deltas; pixels left out"
OUTPUT = "softmax, loss and its derivative"
WEIGHTS = "update of all weights"


class Clock:
    """Adds up, by part, the time since it was last read, but for the seconds that reading costs."""

    def __init__(self, cost: float = 0.0) -> None:
        self.cost = cost
        self.spent: dict[str, float] = defaultdict(float)
        self.last = time.perf_counter()

    def read(self, part: str) -> None:
        """What was done since the last reading was this part."""
        now = time.perf_counter()
        self.spent[part] += now - self.last - self.cost
        self.last = now

    @classmethod
    def calibrated(cls) -> "Clock":
        """A clock that knows its cost: of ten times a thousand readings of nothing, the least."""
        costs = []
        for _ in range(10):
            clock = cls()
            for _ in range(1000):
                clock.read("")
            costs.append(clock.spent[""] / 1000)
        return cls(min(costs))


def forward(layer: Layer, x: Array, clock: Clock) -> Array:
    """As layer.forward, with the clock read in between."""
    if isinstance(layer, Activation):
        h = layer.forward(x)
        clock.read(ACTIVATION)
        return h
    assert isinstance(layer, Affine | PixelAffine)
    layer.x = x
    if isinstance(layer, PixelAffine):
        layer.missing = len(layer.W) - x.shape[1]
        np.dot(x, layer.W[layer.missing :], layer.y)
        clock.read(PRODUCTS)
        layer.y *= layer.factor
        clock.read(SCALE)
    else:
        product(x, layer.W, layer.y)()
        clock.read(PRODUCTS)
    np.add(layer.y, layer.b, layer.y)
    clock.read(BIASES)
    return layer.y


def backward(layer: Layer, dout: Array, clock: Clock) -> Array:
    """As layer.backward, with the clock read in between."""
    if isinstance(layer, Activation):
        dout = layer.backward(dout)
        clock.read(ACTIVATION)
        return dout
    assert isinstance(layer, Affine | PixelAffine)
    np.dot(layer.ones, dout, layer.db)
    clock.read(BIASES)
    if isinstance(layer, Affine):
        np.dot(layer.x.T, dout, layer.dW)
        np.dot(dout, layer.W.T, layer.dx)
        clock.read(PRODUCTS)
        return layer.dx
    dout *= layer.factor
    layer.dW[: layer.missing] = 0.0
    clock.read(SCALE)
    np.dot(layer.x.T, dout, layer.dW[layer.missing :])
    clock.read(PRODUCTS)
    return dout


def step_by_step(network: Network, examples: Examples, masks: Indices) -> dict[str, float]:
    """Seconds by part of one update for each mask, summed. Changes the network as training does."""
    layers, last = network.layers(BATCH_SIZE)
    clock, optimizer = Clock.calibrated(), SGD(LEARNING_RATE)
    for mask in masks:
        x, t = examples.batch(mask)
        clock.read(BATCH)
        for layer in layers:
            x = forward(layer, x, clock)
        last.forward(x, t)
        dout = last.backward()
        clock.read(OUTPUT)
        for layer in reversed(layers):
            dout = backward(layer, dout, clock)
        optimizer.step(network)
        clock.read(WEIGHTS)
    return clock.spent


def measured(turns: int, updates: int) -> Parts:
    """Seconds an update by part, a value for each turn, and by the loop as a whole."""
    problem = load_problem()
    examples = splits(RUN, problem.data).train
    apart, whole = (build_network(RUN, problem.data, problem.params) for _ in range(2))
    rng = np.random.default_rng(0)
    parts: Parts = defaultdict(list)
    for turn in range(turns + 1):  # the first makes the arrays
        masks = rng.integers(0, len(examples), (updates, BATCH_SIZE), dtype=np.intp)
        spent = step_by_step(apart, examples, masks)
        started = time.perf_counter()
        run_updates(whole, map(examples.batch, masks), SGD(LEARNING_RATE), [])
        seconds = time.perf_counter() - started
        if not np.array_equal(apart.theta, whole.theta):
            raise AssertionError("the steps are not those of the training loop any more")
        if turn > 0:
            for part, value in spent.items():
                parts[part].append(value / updates)
            parts["one update"].append(seconds / updates)
    return parts


def table(rows: Sequence[dict[str, Any]]) -> Table:
    format_value = Table(title="One update of 784-50-100-10, batch 100, float32")
    format_value.add_column("", no_wrap=True)
    format_value.add_column("µs (least–greatest)", justify="right", no_wrap=True)
    for row in rows:
        format_value.add_row(row["part"], row["seconds"].text(0, 1e6))
    return format_value


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=30, help="epochs, each way")
    parser.add_argument("--quick", action="store_true", help="2 turns of 60 updates: does it work?")
    parser.add_argument("--core", type=int, default=last_core(), help="the core to run on")
    parser.add_argument("--out", type=Path, help="a folder for parts.csv and parts.json")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    pin_cpu_kernels(chosen.core)
    turns, updates = (2, 60) if chosen.quick else (chosen.turns, UPDATES)
    with threadpool_limits(1, "blas"):
        parts = measured(turns, updates)
    spreads = {part: Spread.of(values) for part, values in parts.items()}
    order = sorted(spreads, key=lambda part: -spreads[part].median)
    rows = [{"part": part, "seconds": spreads[part]} for part in order]
    console().print(table(rows))
    if chosen.out:
        write_csv(chosen.out / "parts.csv", rows)
        write_json(chosen.out / "parts.json", {"turns": turns, "updates": updates})
    return 0


if __name__ == "__main__":
    sys.exit(main())
