"""Mini-batch stochastic gradient descent."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sgdprobe.nn.batches import SAMPLINGS, BatchIndices, updates_per_epoch
from sgdprobe.nn.examples import Examples
from sgdprobe.nn.functions import Array
from sgdprobe.nn.network import Network
from sgdprobe.nn.numerical import GRADIENTS
from sgdprobe.nn.symptoms import symptoms


@dataclass(frozen=True)
class EpochMetrics:
    """What one epoch did; accuracies 0 … 1 after its last update, on all examples.

    `loss` is the mean of `losses`, the loss at each update of the epoch, before that update.
    `updates` counts from the start of training. `weights` is there for whoever hashes them.
    """

    epoch: int
    updates: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    validation_accuracy: float | None = None
    symptoms: dict[str, float] = field(default_factory=dict)
    losses: Array = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    weights: str | None = None


@dataclass(frozen=True)
class TrainingState:
    """All that is needed to resume training after some update.

    updates_before : number of updates before this epoch. losses : those of the epoch so far.
    rng_state : state before the epoch's draw.
    """

    epoch: int
    updates_before: int
    losses: list[float]
    rng_state: Mapping[str, Any]
    theta: Array

    @property
    def updates(self) -> int:
        """Updates made since the start of training."""
        return self.updates_before + len(self.losses)


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
    validation: Examples | None = None,
    start: TrainingState | None = None,
    on_update: Callable[[TrainingState], None] = lambda _: None,
) -> Iterator[EpochMetrics]:
    """Train in place and yield once an epoch; a last part-epoch counts as one.

    start : go on from here; the network's weights are replaced by the checkpoint's.
    on_update : called after each with where training stands; what it gets lives on, so copy.

    Raises DivergedError at the first loss that is not finite, or after an epoch that ends with
    weights that are not.
    """
    n = len(examples)
    per_epoch = updates_per_epoch(n, batch_size)
    probe = np.arange(min(batch_size, n))  # the same images each epoch: symptoms compare
    here = start or TrainingState(1, 0, [], rng.bit_generator.state, network.theta)
    network.theta[:] = here.theta
    rng.bit_generator.state = here.rng_state
    losses = list(here.losses)
    for epoch in range(here.epoch, math.ceil(updates / per_epoch) + 1):
        updates_before = (epoch - 1) * per_epoch
        here = TrainingState(epoch, updates_before, losses, rng.bit_generator.state, network.theta)
        masks = SAMPLINGS[sampling](rng, n, batch_size, min(per_epoch, updates - updates_before))
        for loss in _run_updates(network, examples, masks[len(losses) :], learning_rate, gradient):
            losses.append(loss)
            on_update(here)
        _check_finite(network, losses[-1], f"at update {here.updates:,}, in epoch {epoch}")
        yield EpochMetrics(
            epoch,
            here.updates,
            loss=float(np.mean(losses)),
            train_accuracy=accuracy(network, examples),
            test_accuracy=accuracy(network, test),
            validation_accuracy=accuracy(network, validation) if validation else None,
            symptoms=symptoms(network, *examples.batch(probe)),
            losses=np.array(losses),
        )
        losses = []


def _run_updates(
    network: Network, examples: Examples, masks: BatchIndices, learning_rate: float, gradient: str
) -> Iterator[float]:
    """One update for each mask, yielding its loss; ends at a loss that is not finite."""
    gradient_of = GRADIENTS[gradient]
    # A run that diverges overflows on its way; that it did is seen in its loss.
    with np.errstate(over="ignore", invalid="ignore"):
        for mask in masks:
            x, t = examples.batch(mask)
            loss, step = gradient_of(network, x, t, learning_rate)  # learning_rate · gradient
            network.theta -= step
            yield loss
            if not math.isfinite(loss):
                return


def _check_finite(network: Network, loss: float, where: str) -> None:
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss} {where}")
    if not np.isfinite(network.theta).all():
        raise DivergedError(f"the weights became infinite or undefined {where}")


def accuracy(network: Network, examples: Examples) -> float:
    """Share of all the examples that are classified rightly, 0 … 1."""
    right = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for x, t in examples.chunks():
            right += int(np.count_nonzero(network.scores(x).argmax(axis=1) == t))
    return right / len(examples)
