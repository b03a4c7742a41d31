"""Rules about a run after its last epoch."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.nn import EpochMetrics
from sgdprobe.nn.functions import Array
from sgdprobe.rules.rule import Change, Finding, rule, scaled

MAX_GAP = 0.1  # of accuracy, between training and test images
OSCILLATES = 0.3  # share of epochs in which training accuracy falls
SWING = 0.02  # of accuracy, that counts as a fall
MAX_SATURATED_AT_END = 0.7
MIN_IMPROVEMENT = 0.05  # of the first epoch's loss
RISING = 0.01  # of training accuracy, over the last quarter of the epochs


@dataclass(frozen=True)
class Course:
    """A run: its settings, its epochs, and the classes that no test image was given to.

    diverged : it ended with a loss or a weight that is NaN or infinite.
    """

    settings: Settings
    epochs: Sequence[EpochMetrics]
    never_predicted: Sequence[int] = ()
    diverged: bool = False

    @property
    def last(self) -> EpochMetrics:
        """The last epoch."""
        return self.epochs[-1]

    @property
    def accuracies(self) -> Array:
        """Training accuracy of each epoch."""
        return np.array([metrics.train_accuracy for metrics in self.epochs])

    @property
    def longer(self) -> tuple[Change, ...]:
        """The run three times as long."""
        training = self.settings.training
        key, value = (
            ("training.epochs", training.epochs)
            if training.epochs
            else ("training.iterations", training.iterations)
        )
        return ({key: 3 * (value or 0)},)

    def rates(self, *factors: float) -> tuple[Change, ...]:
        """Other learning rates."""
        rate = self.settings.training.learning_rate
        return tuple({"training.learning_rate": scaled(rate, factor)} for factor in factors)


@rule(
    "after",
    "learning_rate_high",
    "the loss or a weight became NaN or infinite",
    "Each step made the next one larger, until numbers overflowed.",
)
def diverged(c: Course) -> Iterator[Finding]:
    """Look for a run that overflowed."""
    if c.diverged:
        fault = "loss" if c.settings.network.loss_reduction == "sum" else ""
        mean = ({"network.loss_reduction": "mean"},) if fault else ()
        text = f"NaN or infinite after {len(c.epochs)} whole epochs"
        yield Finding("diverged", text, fault, (*mean, *c.rates(0.1, 0.01)))


@rule(
    "after",
    "learning_rate_low",
    f"the last epoch's loss is less than {100 * MIN_IMPROVEMENT:.0f} % below the first's, and "
    "training accuracy is below 50 %",
    "The loss does not fall: no step helps, or none is large enough.",
)
def stagnates(c: Course) -> Iterator[Finding]:
    """Look for a loss that does not fall."""
    if len(c.epochs) < 2 or c.last.train_accuracy >= 0.5:
        return
    first, last = c.epochs[0].loss, c.last.loss
    if last > (1 - MIN_IMPROVEMENT) * first:
        text = f"the loss of epoch 1 is {first:.3g}, that of epoch {c.last.epoch} {last:.3g}"
        yield Finding("stagnates", text, repairs=c.rates(10.0, 0.1))


@rule(
    "after",
    "learning_rate_high",
    f"training accuracy falls by {100 * SWING:.0f} points or more in "
    f"{100 * OSCILLATES:.0f} % of the epochs",
    "Steps jump across the valley instead of going down in it.",
)
def oscillates(c: Course) -> Iterator[Finding]:
    """Look for accuracies that rise and fall."""
    falls = np.diff(c.accuracies) < -SWING
    if len(falls) > 2 and falls.mean() >= OSCILLATES:
        text = f"training accuracy falls in {falls.sum()} of {len(falls)} epochs"
        yield Finding("oscillates", text, repairs=c.rates(0.3, 0.1))


@rule(
    "after",
    "",
    "no test image is given to a class",
    "The network has given a class up.",
)
def never_predicted(c: Course) -> Iterator[Finding]:
    """Look for classes that the network never names."""
    if c.never_predicted:
        listed = ", ".join(map(str, c.never_predicted))
        yield Finding("never_predicted", f"classes that no test image is given to: {listed}")


@rule(
    "after",
    "few_images",
    f"accuracy on training images is {100 * MAX_GAP:.0f} points above that on test images",
    "The training images are learned by heart.",
)
def overfits(c: Course) -> Iterator[Finding]:
    """Look for accuracies that differ between training and test images."""
    if c.epochs and c.last.train_accuracy - c.last.test_accuracy > MAX_GAP:
        text = (
            f"accuracy {100 * c.last.train_accuracy:.1f} % on training images, "
            f"{100 * c.last.test_accuracy:.1f} % on test images"
        )
        repairs = ({"data.train_images": None}, {"training.weight_decay": 1e-4})
        yield Finding("overfits", text, repairs=repairs)


@rule(
    "after",
    "too_short",
    f"training accuracy rose by more than {100 * RISING:.0f} point in the last quarter",
    "Training ended while it still helped.",
)
def still_improving(c: Course) -> Iterator[Finding]:
    """Look for a run that ends while it improves."""
    quarter = max(1, len(c.epochs) // 4)
    if len(c.epochs) > 1 and (gain := c.accuracies[-1] - c.accuracies[-1 - quarter]) > RISING:
        text = f"training accuracy rose by {100 * gain:.1f} points in the last {quarter} epochs"
        yield Finding("still_improving", text, repairs=(*c.longer, *c.rates(3.0)))


@rule(
    "after",
    "weights",
    f"more than {100 * MAX_SATURATED_AT_END:.0f} % of a layer is saturated, or dead, at the end",
    "The layer passes hardly any gradient any more.",
)
def flat_at_end(c: Course) -> Iterator[Finding]:
    """Look for layers that have lost their slope."""
    sign = "dead" if c.settings.network.activation == "relu" else "saturated"
    for k in range(1, len(c.settings.network.hidden) + 1) if c.epochs else ():
        share = c.last.symptoms.get(f"{sign}_{k}", 0.0)
        if math.isfinite(share) and share > MAX_SATURATED_AT_END:
            text = f"layer {k}: {100 * share:.0f} % of units are {sign} at the end"
            yield Finding(f"flat_at_end_{k}", text, repairs=c.rates(0.1))
