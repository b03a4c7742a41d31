"""A user's network as it is made: its first loss, its units, and whether it can learn anything."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from sgdprobe.own.losses import kind_of_loss
from sgdprobe.own.network import LEARNED, START, Subject
from sgdprobe.own.problem import Note, Problem
from sgdprobe.own.source import place_of, place_of_parameter

MAX_FIRST_LOSS = 1.5  # times that of a guess
RATES = (0.5, 0.1, 2.0, 0.01)  # learning rates of the plain loop, in the order of their trial
UPDATES = 1000
NEAR_ZERO = 0.1  # loss at which the examples count as learned by heart, times that of a guess


def guess_of(kind: str, classes: int) -> float:
    """Return the loss of a network that prefers no class."""
    return 0.5 * (1 - 1 / classes) if kind == "mean_squared_error" else math.log(classes)


def first_weights(subject: Subject) -> Iterator[Problem | Note]:
    """Look at the weights of a new network: units that are alike, and the first loss."""
    net, network = subject.network.new(), subject.network
    place = place_of(network.method("__init__"), r"init_std|randn|standard_normal", r"\.params\b")
    matrices = [(name, values) for name, values in net.params.items() if values.ndim > 1]
    for name, values in matrices[:-1]:
        if values.shape[1] > 1 and not np.ptp(values, axis=1).any():
            yield Problem(
                f"all units of {name} start with the same weights, and stay the same",
                "random weights",
                f"all columns of {name} are equal (standard deviation {values.std():.3g})",
                place,
            )
            return
    x, t = subject.examples(START)
    kind, fault = kind_of_loss(subject, subject.tame, *subject.batch)
    loss = float(subject.loss(net, x, subject.labels(t)))
    guess = guess_of(kind, subject.classes)
    name = f"ln {subject.classes} = " if kind == "cross_entropy" else ""
    if not math.isfinite(loss) or (kind and not fault and loss > MAX_FIRST_LOSS * guess):
        widths = ", ".join(f"{name} {values.std():.3g}" for name, values in matrices)
        yield Problem(
            "the initial weights are too large: the untrained network is sure, and wrong",
            f"a first loss near that of a guess, {name}{guess:.3f}",
            f"{loss:.3f} on {len(x)} examples; standard deviations: {widths}",
            place,
        )


def learns(subject: Subject) -> Iterator[Problem | Note]:
    """Train on a few examples with a plain loop: params[name] -= rate * grads[name]."""
    x, t = subject.examples(LEARNED)
    labels = subject.labels(t)
    kind, _ = kind_of_loss(subject, subject.tame, *subject.batch)
    aim = NEAR_ZERO * guess_of(kind, subject.classes)
    best, rate = math.inf, RATES[0]
    for each in RATES:
        loss, fixed = _train(subject, x, labels, each, aim)
        if loss < best:
            best, rate = loss, each
        if fixed:
            yield from (_unchanged(subject, name) for name in fixed)
            return
        if best <= aim:
            return
    yield Problem(
        f"{len(x)} examples cannot be learned by heart",
        f"a loss of at most {aim:.3g} after {UPDATES} updates",
        f"at best {best:.3g}, with a learning rate of {rate:g}",
        place_of(subject.network.method("gradient")),
    )


def _train(subject: Subject, x: Any, t: Any, rate: float, aim: float) -> tuple[float, list[str]]:
    """Return the last loss of a short training, and the parameters that never changed."""
    net = subject.network.new()
    before = {name: values.copy() for name, values in net.params.items()}
    loss = math.inf
    for update in range(1, UPDATES + 1):
        grads = subject.gradient(net, x, t)
        for name in net.params:
            net.params[name] -= rate * grads[name]
        if update % 20 == 0:
            loss = float(subject.loss(net, x, t))
            if not loss > aim:  # also NaN
                break
    same = [name for name, values in net.params.items() if np.array_equal(values, before[name])]
    return (loss if math.isfinite(loss) else math.inf), same


def _unchanged(subject: Subject, name: str) -> Problem:
    return Problem(
        f"{name} does not change in {UPDATES} updates",
        "every parameter learns",
        f"gradient()['{name}'] is 0 for a new network",
        place_of_parameter(subject.network.method("gradient"), name),
    )
