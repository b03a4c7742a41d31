"""Mini-batch stochastic gradient descent."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sgdprobe.nn.examples import Examples
from sgdprobe.nn.functions import Array
from sgdprobe.nn.network import Network
from sgdprobe.nn.numerical import GRADIENTS
from sgdprobe.nn.sampling import SAMPLINGS, Masks, updates_per_epoch
from sgdprobe.nn.symptoms import symptoms


@dataclass(frozen=True)
class EpochMetrics:
    """What one epoch did; accuracies 0 … 1 after its last update, on all examples.

    `loss` is the mean of `losses`, the loss at each update of the epoch, before that update.
    `updates` counts from the start of training.
    """

    epoch: int
    updates: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    symptoms: dict[str, float] = field(default_factory=dict)
    losses: Array = field(default_factory=lambda: np.empty(0), repr=False, compare=False)


class DivergedError(ArithmeticError):
    """The loss or the weights are no numbers any more: nothing after this can be learned."""


def train(
    network: Network,
    examples: Examples,
    test: Examples,
    rng: np.random.Generator,
    *,
    learning_rate: float,
    batch_size: int,
    updates: int,
    sampling: str = "with_replacement",
    gradient: str = "backprop",
) -> Iterator[EpochMetrics]:
    """Train in place and yield once an epoch; a last part-epoch counts as one.

    Raises DivergedError at the first loss that is not finite, or after an epoch that ends with
    weights that are not.
    """
    n = len(examples)
    per_epoch = updates_per_epoch(n, batch_size)
    probe = np.arange(min(batch_size, n))  # the same images each epoch: symptoms compare
    for epoch, done in enumerate(range(0, updates, per_epoch), start=1):
        masks = SAMPLINGS[sampling](rng, n, batch_size, min(per_epoch, updates - done))
        losses = _descend(network, examples, masks, learning_rate, gradient)
        here = f"at update {done + len(losses):,}, in epoch {epoch}"
        if not math.isfinite(losses[-1]):
            raise DivergedError(f"the loss became {losses[-1]} {here}")
        if not np.isfinite(network.theta).all():
            raise DivergedError(f"the weights became infinite or undefined {here}")
        yield EpochMetrics(
            epoch,
            done + len(losses),
            loss=float(np.mean(losses)),
            train_accuracy=accuracy(network, examples),
            test_accuracy=accuracy(network, test),
            symptoms=symptoms(network, *examples.batch(probe)),
            losses=np.array(losses),
        )


def _descend(
    network: Network, examples: Examples, masks: Masks, learning_rate: float, gradient: str
) -> list[float]:
    """One update for each mask; the losses, up to the first that is not finite."""
    losses = []
    gradient_of = GRADIENTS[gradient]
    # A run that diverges overflows on its way; that it did is seen in its loss.
    with np.errstate(over="ignore", invalid="ignore"):
        for mask in masks:
            x, t = examples.batch(mask)
            loss, grad = gradient_of(network, x, t)
            losses.append(loss)
            if not math.isfinite(loss):
                break
            grad *= learning_rate
            network.theta -= grad
    return losses


def accuracy(network: Network, examples: Examples) -> float:
    """Share of all the examples that are classified rightly, 0 … 1."""
    right = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for x, t in examples.chunks():
            right += int(np.count_nonzero(network.scores(x).argmax(axis=1) == t))
    return right / len(examples)
