"""The form of a rule, and the table of all."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

# Settings to change together, by full key.
Change = Mapping[str, Any]


def scaled(rate: float, factor: float) -> float:
    """Return a learning rate times a factor, with three digits, as people write them."""
    return float(f"{rate * factor:.3g}")


# The classes of faults that rules suspect and repairs belong to.
FAULTS = {
    "labels": "the labels do not belong to the images",
    "classes": "classes are missing or very unequal in size",
    "few_images": "too few training images",
    "train_test": "training and test images are from different sources",
    "pixels": "pixel values of the wrong scale, or inverted",
    "activation": "the activation function",
    "layers": "the number and widths of the hidden layers",
    "output": "the function between scores and loss (softmax)",
    "loss": "the loss function, or its sum in place of its mean",
    "weights": "the initial weights and biases",
    "learning_rate_high": "the learning rate is too high",
    "learning_rate_low": "the learning rate is too low",
    "optimizer": "the optimizer and its constants",
    "batch_size": "the batch size",
    "too_short": "training ends too early",
    "weight_decay": "too strong weight decay",
    "gradient": "the gradient is not that of the loss",
}

# When a rule can look: before training (always), only when a diagnosis asks, or after training.
Stage = Literal["before", "diagnosis", "after"]


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found.

    name : that of the rule, of a layer with its number: saturated_1. text : the evidence, in
    numbers. fault : a name in FAULTS. repairs : changes that may help, the likeliest first.
    """

    name: str
    text: str
    fault: str = ""
    repairs: tuple[Change, ...] = ()
    rule: str = ""


# Yields findings; those without a fault get that of the rule.
Check = Callable[[Any], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """A rule: its check, when it looks, the fault that it suspects, its threshold in words.

    meaning : a sentence for a learner. conclusive : the evidence is of the data or of the gradient
    itself, so that it counts also where no change of a setting helps.
    """

    name: str
    check: Check = field(repr=False)
    stage: Stage
    fault: str
    threshold: str
    meaning: str
    conclusive: bool = False

    def find(self, evidence: Any) -> Iterator[Finding]:
        """Yield what the rule finds."""
        for found in self.check(evidence):
            yield Finding(
                found.name, found.text, found.fault or self.fault, found.repairs, self.name
            )


RULES: dict[str, Rule] = {}


def rule(
    stage: Stage, fault: str, threshold: str, meaning: str, *, conclusive: bool = False
) -> Callable[[Check], Check]:
    """Enter a check into RULES under its own name."""

    def enter(check: Check) -> Check:
        name = check.__name__.strip("_")
        RULES[name] = Rule(name, check, stage, fault, threshold, meaning, conclusive)
        return check

    return enter


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # such networks overflow
def findings(stage: Stage, evidence: Any) -> list[Finding]:
    """Return what the rules of a stage find, in the order of the table."""
    return [found for one in RULES.values() if one.stage == stage for found in one.find(evidence)]
