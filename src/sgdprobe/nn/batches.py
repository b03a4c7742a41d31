"""Mini-batches: which examples each update of an epoch sees."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

# One `batch_mask`, (batch,) indices of examples, for each update.
BatchIndices = Sequence[NDArray[np.intp]] | NDArray[np.intp]


def updates_per_epoch(n: int, batch_size: int) -> int:
    """Updates until n examples have been drawn, rounded up: the last batch may be short.

    Raises ValueError unless both are 1 or more.

    >>> updates_per_epoch(60_000, 128)
    469
    """
    if min(n, batch_size) < 1:
        raise ValueError(f"n and batch_size must be 1 or more; got {n} and {batch_size}")
    return math.ceil(n / batch_size)


def with_replacement(
    rng: np.random.Generator, n: int, batch_size: int, updates: int
) -> BatchIndices:
    """Draw each index of each batch from all n, as the notes do: some appear twice.

    Returns (updates, batch_size) indices, drawn at once for the whole epoch: the same as one draw
    for each batch.
    """
    return rng.integers(0, n, size=(updates, batch_size), dtype=np.intp)


def permutation(rng: np.random.Generator, n: int, batch_size: int, updates: int) -> BatchIndices:
    """Show each example once an epoch, in random order; the epoch's last batch may be short.

    Raises ValueError for more updates than an epoch has.
    """
    if updates > (most := updates_per_epoch(n, batch_size)):
        raise ValueError(f"updates must be at most {most}, one epoch; got {updates}")
    shuffled = rng.permutation(n)
    starts = range(0, n, batch_size)[:updates]
    return [shuffled[start : start + batch_size] for start in starts]


SAMPLINGS: dict[str, Callable[[np.random.Generator, int, int, int], BatchIndices]] = {
    "with_replacement": with_replacement,
    "permutation": permutation,
}
