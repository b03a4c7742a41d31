"""The training loop, and what it yields each epoch."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import numpy as np

from sgdprobe.nn.batches import SAMPLINGS, updates_per_epoch
from sgdprobe.nn.examples import Examples
from sgdprobe.nn.functions import Array, Labels, check_labels, look_up
from sgdprobe.nn.network import Network
from sgdprobe.nn.numerical import GRADIENTS
from sgdprobe.nn.optimizer import Optimizer
from sgdprobe.nn.symptoms import symptoms


@np.errstate(
    over="ignore", invalid="ignore", divide="ignore"
)  # a run that diverges overflows; its loss shows it
def run_updates(
    network: Network,
    batches: Iterable[tuple[Array, Labels]],
    optimizer: Optimizer,
    losses: list[float],
    *,
    gradient: str = "backprop",
    on_update: Callable[[], None] = lambda: None,
) -> None:
    """Make one update for each batch and append its loss; stop at a loss that is NaN or infinite.

    batches : pairs of x : (n, pixels) float and t : (n,) integer labels.
    """
    gradient_of = look_up("gradient", gradient, GRADIENTS)
    for x, t in batches:
        loss = gradient_of(network, x, t)  # writes network.grad
        optimizer.step(network)  # SGD: theta -= learning_rate * grad
        losses.append(loss)
        on_update()
        if not math.isfinite(loss):
            return


@dataclass(frozen=True)
class EpochMetrics:
    """Results of one epoch. Accuracies 0 … 1 are over all examples, after its last update.

    updates : number since the start of training. losses : (updates of the epoch,) the loss of each
    batch, before the update that it leads to; `loss` is their mean. weights : their hash, if the
    caller adds it.
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

    @property
    def metrics(self) -> dict[str, float | None]:
        """All metrics by name: every field that is a float, then the symptoms as symptom/NAME."""
        own = {item.name: getattr(self, item.name) for item in fields(self) if item.type in METRIC}
        return own | {f"symptom/{name}": value for name, value in self.symptoms.items()}


# The types of the fields that are metrics: a new one is recorded, shown and compared by itself.
METRIC = (float, float | None)


@dataclass(frozen=True)
class TrainingState:
    """All that is needed to resume training after some update.

    updates_before : number of updates before this epoch. losses : those of the epoch so far.
    rng_state : state before the epoch's draw. optimizer : the arrays that the optimizer keeps.
    """

    epoch: int
    updates_before: int
    losses: list[float]
    rng_state: Mapping[str, Any]
    theta: Array
    optimizer: Mapping[str, Array] = field(default_factory=dict)

    @property
    def updates(self) -> int:
        """Number of updates since the start of training."""
        return self.updates_before + len(self.losses)


class DivergedError(ArithmeticError):
    """The loss or a weight is NaN or infinite: nothing can be learned any more."""


def train(
    network: Network,
    examples: Examples,
    test: Examples,
    rng: np.random.Generator,
    optimizer: Optimizer,
    *,
    batch_size: int,
    updates: int,
    sampling: str = "with_replacement",
    gradient: str = "backprop",
    validation: Examples | None = None,
    start: TrainingState | None = None,
    on_update: Callable[[TrainingState], None] = lambda _: None,
) -> Iterator[EpochMetrics]:
    """Train the network in place and yield the metrics of each epoch.

    An epoch has ceil(len(examples) / batch_size) updates; a last part-epoch counts as one.

    rng : draws the batches. sampling : a name in SAMPLINGS. gradient : a name in GRADIENTS.
    start : resume here; replaces the state of network, optimizer and rng.
    on_update : called after every update with the live training state; copy it to keep it.

    Raises ValueError for examples that do not fit the network; DivergedError at the first loss that
    is NaN or infinite, or after an epoch that ends with such weights.
    """
    n = len(examples)
    per_epoch = updates_per_epoch(n, batch_size)
    probe_batch = np.arange(min(batch_size, n))  # the same images each epoch: symptoms compare
    draw = look_up("sampling", sampling, SAMPLINGS)
    for part in filter(None, (examples, test, validation)):
        check_fit(network, part)
    first, losses = 1, list[float]()
    if start is not None:
        first, losses = start.epoch, list(start.losses)
        _restore(start, network, optimizer, rng)
    for epoch in range(first, math.ceil(updates / per_epoch) + 1):
        before = (epoch - 1) * per_epoch
        drawn_from = rng.bit_generator.state
        state = TrainingState(epoch, before, losses, drawn_from, network.theta, optimizer.state)
        batch_masks = draw(rng, n, batch_size, min(per_epoch, updates - before))
        batches = map(examples.gather, batch_masks[len(losses) :])
        tell = partial(on_update, state)
        run_updates(network, batches, optimizer, losses, gradient=gradient, on_update=tell)
        _check_finite(network, losses[-1], f"at update {state.updates:,}, in epoch {epoch}")
        yield EpochMetrics(
            epoch,
            state.updates,
            loss=float(np.mean(losses)),
            train_accuracy=accuracy(network, examples),
            test_accuracy=accuracy(network, test),
            validation_accuracy=accuracy(network, validation) if validation else None,
            symptoms=symptoms(network, *examples.batch(probe_batch)),
            losses=np.array(losses),
        )
        losses = []


def _restore(
    start: TrainingState, network: Network, optimizer: Optimizer, rng: np.random.Generator
) -> None:
    network.theta[:] = start.theta
    optimizer.state.update({name: array.copy() for name, array in start.optimizer.items()})
    rng.bit_generator.state = start.rng_state


def _check_finite(network: Network, loss: float, where: str) -> None:
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss} {where}")
    if not np.isfinite(network.theta).all():
        raise DivergedError(f"the weights became infinite or undefined {where}")


def check_fit(network: Network, examples: Examples) -> None:
    """Raise ValueError unless the examples have the network's pixels, and no other classes."""
    pixels, given = len(network.params["W1"]), examples.images.shape[1]
    if given != pixels:
        raise ValueError(f"the network has {pixels} pixels; the images have {given}")
    check_labels(examples.labels, len(network.params[f"b{network.depth}"]))


def accuracy(network: Network, examples: Examples) -> float:
    """Return the share of all examples that are classified correctly, 0 … 1."""
    check_fit(network, examples)
    correct = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for x, t in examples.chunks():
            correct += int(np.count_nonzero(network.scores(x).argmax(axis=1) == t))
    return correct / len(examples)
