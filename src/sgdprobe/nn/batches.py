"""Mini-batches: which examples each update of an epoch sees."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

BatchIndices = Sequence[NDArray[np.intp]] | NDArray[np.intp]


def updates_per_epoch(n: int, batch_size: int) -> int:
    """Updates until n examples have been drawn, rounded up: the last batch may be short."""
    return math.ceil(n / batch_size)


def with_replacement(
    rng: np.random.Generator, n: int, batch_size: int, updates: int
) -> BatchIndices:
    """The notes' way: each index of each batch is drawn from all n, so some appear twice.

    Drawn at once for the whole epoch; the indices are those of one draw after another.
    """
    return rng.integers(0, n, size=(updates, batch_size), dtype=np.intp)


def permutation(rng: np.random.Generator, n: int, batch_size: int, updates: int) -> BatchIndices:
    """Each example once an epoch, in random order; the epoch's last batch may be short."""
    order = rng.permutation(n)
    starts = range(0, n, batch_size)[:updates]
    return [order[start : start + batch_size] for start in starts]


SAMPLINGS: dict[str, Callable[[np.random.Generator, int, int, int], BatchIndices]] = {
    "with_replacement": with_replacement,
    "permutation": permutation,
}
