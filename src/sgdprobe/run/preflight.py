"""Cheap checks on one batch before training, with warnings in plain words.

They stop nothing: some experiments are about networks that can't learn.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.nn import Network, symptoms
from sgdprobe.nn.functions import Array, Labels
from sgdprobe.run.build import build_optimizer

# Above these a check warns. The recipes that learn well stay far below all of them.
MAX_SATURATED = 0.5  # share of a layer that is saturated or dead
MAX_FIRST_LOSS_RATIO = 1.5  # times the loss of a guess
MAX_GRADIENT_RATIO = 100.0  # times, between the gradients of two layers
MAX_LOSS_INCREASE = 2.0  # times, by which the first update makes the loss larger

PIXELS = {"unit": "0..1", "none": "0..255", "standard": "mean 0, deviation 1"}


@dataclass(frozen=True)
class PreflightWarning:
    """A warning: a name for tags and for counting, and a sentence."""

    name: str
    text: str


def preflight(settings: Settings, network: Network, x: Array, t: Labels) -> list[PreflightWarning]:
    """Return the warnings for this batch, with the weights as they are.

    Works on a copy of the network: no weight, buffer or random stream of the run is touched.
    """
    trial = Network(
        network.params,
        activation=settings.network.activation,
        softmax_over=settings.network.softmax_over,
        loss=settings.network.loss,
        factor=network.factor,
        offset=network.offset,
    )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        signs = symptoms(trial, x, t)
        return [
            *_layers(settings, trial, signs),
            *_softmax(settings, trial, t),
            *_first_loss(settings, trial, x, t),
            *_gradients(trial, signs),
            *_first_update(settings, trial, x, t),
        ]


def _layers(
    settings: Settings, network: Network, signs: dict[str, float]
) -> Iterator[PreflightWarning]:
    """Warn of layers that pass hardly any gradient; a healthy ReLU is flat for half its pairs."""
    sign, state = ("dead", "dead for every image") if _is_relu(settings) else ("saturated",) * 2
    for k in range(1, network.depth):
        share = signs[f"{sign}_{k}"]
        if share > MAX_SATURATED:
            W, init = network.params[f"W{k}"], settings.init
            scale = (
                format_value(init.scale) if init.scheme == "normal" else _short(float(np.std(W)))
            )
            given = f"pixels of {PIXELS[settings.data.scale]}" if k == 1 else f"{len(W)} inputs"
            yield PreflightWarning(
                f"{sign}_{k}",
                f"layer {k}: {100 * share:.1f} % of units are {state} before the first update: "
                f"weights of scale {scale} on {given}",
            )


def _is_relu(settings: Settings) -> bool:
    return settings.network.activation == "relu"


def _softmax(settings: Settings, network: Network, t: Labels) -> Iterator[PreflightWarning]:
    """Warn of one softmax over several samples: even a perfect network divides 1 among them."""
    n = len(t)
    if settings.network.softmax_over == "batch" and n > 1:
        best = np.zeros((n, _classes(network)))
        best[np.arange(n), t] = 1 / n
        least = network.loss_function.function(best, t)
        log = f"ln {n} = " if settings.network.loss == "cross_entropy" else ""
        yield PreflightWarning(
            "batch_softmax",
            f"softmax over the batch: the loss can't fall below {log}{least:.3f}",
        )


def _first_loss(
    settings: Settings, network: Network, x: Array, t: Labels
) -> Iterator[PreflightWarning]:
    """Warn of a first loss above that of a network that prefers no class."""
    classes = _classes(network)
    shares = classes * len(t) if settings.network.softmax_over == "batch" else classes
    guess = network.loss_function.function(np.full((len(t), classes), 1 / shares), t)
    loss = network.loss(x, t)
    if not loss <= MAX_FIRST_LOSS_RATIO * guess:  # also true of NaN
        yield PreflightWarning(
            "first_loss", f"loss at the start is {loss:.1f}, a guess scores {guess:.3f}"
        )


def _classes(network: Network) -> int:
    return len(network.params[f"b{network.depth}"])


def _gradients(network: Network, signs: dict[str, float]) -> Iterator[PreflightWarning]:
    """Warn of gradients that vanish or explode from layer to layer."""
    norms = {k: signs[f"gradient_norm_{k}"] for k in range(1, network.depth + 1)}
    least, most = min(norms, key=lambda k: norms[k]), max(norms, key=lambda k: norms[k])
    if not all(map(math.isfinite, norms.values())):
        return
    if norms[most] == 0.0:
        yield PreflightWarning("no_gradient", "no weight has a gradient: nothing can be learned")
    elif norms[most] > MAX_GRADIENT_RATIO * norms[least]:
        name, verb = (
            ("vanishing_gradient", "vanishes")
            if least < most
            else ("exploding_gradient", "explodes")
        )
        first, last = max(least, most), min(least, most)
        yield PreflightWarning(
            name,
            f"the gradient {verb} on its way back: its norm is {_short(norms[first])} at layer "
            f"{first} and {_short(norms[last])} at layer {last}",
        )


def _first_update(
    settings: Settings, network: Network, x: Array, t: Labels
) -> Iterator[PreflightWarning]:
    """Warn of an update that raises the loss of the batch it was computed from."""
    rate = settings.training.learning_rate
    before = network.gradient(x, t)
    build_optimizer(settings).step(network)
    after = network.loss(x, t)
    # The comparison is written so that it is also true of NaN.
    if math.isfinite(before) and not after <= MAX_LOSS_INCREASE * before:
        yield PreflightWarning(
            "learning_rate",
            f"learning rate {format_value(rate)}: the first update raises the loss on its own "
            f"batch from {_short(before)} to {_short(after)}",
        )


def _short(value: float) -> str:
    return f"{value:.3g}"
