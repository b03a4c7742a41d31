"""Cheap checks before training, on the first images and by trial updates, with warnings in words.

They stop nothing: some experiments are about networks that can't learn.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.nn import Examples, Network, symptoms
from sgdprobe.nn.functions import Labels
from sgdprobe.run.build import build_optimizer

# Where each check warns; experiments/preflight counts hits and false alarms.
MAX_SATURATED = 0.5  # share of a layer that is saturated or dead
MAX_FIRST_LOSS_RATIO = 1.5  # times the loss of a guess
MAX_GRADIENT_RATIO = 100.0  # times, between the gradients of two layers
MAX_LOSS_INCREASE = 1.3  # times the first loss and that of a guess, after the trial updates
MIN_DECREASE = 1.0  # times the loss of a guess: what all updates promise at the pace of the trial
MIN_UPDATES = 100  # a network that learns well takes thousands

LOOKED_AT = 100  # images, or a batch if that is more: of one image every unit looks dead or alive
TRIAL_UPDATES = 50  # on a copy of the network
TRIAL_IMAGES = 5000  # in all trial updates, so that large batches take no longer

PIXELS = {"unit": "0..1", "none": "0..255", "standard": "mean 0, deviation 1"}


@dataclass(frozen=True)
class PreflightWarning:
    """A warning: a name for tags and for counting, and a sentence."""

    name: str
    text: str


def preflight(
    settings: Settings, network: Network, examples: Examples, updates: int
) -> list[PreflightWarning]:
    """Return the warnings for the first images, with the weights as they are.

    network : one of the same weights as the run's, which is trained here and then of no use.
    updates : the run's length. No random stream is used: images are taken in their order.
    """
    n = min(max(settings.training.batch_size, LOOKED_AT), len(examples))
    x, t = examples.batch(np.arange(n))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        signs = symptoms(network, x, t)
        guess, first = _loss_of_guess(settings, network, t), network.loss(x, t)
        return [
            *_narrow(settings, network),
            *_layers(settings, network, signs),
            *_softmax(settings, network, t),
            *_first_loss(guess, first),
            *_gradients(network, signs),
            *_length(updates),
            *_trial(settings, network, examples, updates, guess, max(guess, first)),
        ]


def _narrow(settings: Settings, network: Network) -> Iterator[PreflightWarning]:
    """Warn of a layer with too few units to tell the classes apart by on and off."""
    least, classes = min(settings.network.hidden, default=0), _classes(network)
    if 0 < least < math.log2(classes):
        units = f"{least} unit{'s' * (least > 1)}"
        yield PreflightWarning(
            "narrow", f"a hidden layer has {units}, which is few to tell {classes} classes apart"
        )


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
    n = settings.training.batch_size
    if settings.network.softmax_over == "batch" and n > 1:
        best = np.zeros((n, _classes(network)))
        t = np.resize(t, n)
        best[np.arange(n), t] = 1 / n
        least = network.loss_function.function(best, t)
        log = f"ln {n} = " if settings.network.loss == "cross_entropy" else ""
        yield PreflightWarning(
            "batch_softmax",
            f"softmax over the batch: the loss can't fall below {log}{least:.3f}",
        )


def _loss_of_guess(settings: Settings, network: Network, t: Labels) -> float:
    """Return the loss of a network that prefers no class."""
    classes = _classes(network)
    shares = classes * len(t) if settings.network.softmax_over == "batch" else classes
    return network.loss_function.function(np.full((len(t), classes), 1 / shares), t)


def _first_loss(guess: float, first: float) -> Iterator[PreflightWarning]:
    """Warn of a first loss above that of a network that prefers no class."""
    if not first <= MAX_FIRST_LOSS_RATIO * guess:  # also true of NaN
        yield PreflightWarning(
            "first_loss", f"loss at the start is {first:.1f}, a guess scores {guess:.3f}"
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


def _length(updates: int) -> Iterator[PreflightWarning]:
    """Warn of a run that is too short to get anywhere."""
    if updates < MIN_UPDATES:
        yield PreflightWarning(
            "too_short", f"{updates} updates: a network that learns well takes thousands"
        )


def _trial(
    settings: Settings,
    network: Network,
    examples: Examples,
    updates: int,
    guess: float,
    worst: float,
) -> Iterator[PreflightWarning]:
    """Train a little; warn if that raises the loss above `worst`, kills units, or does too little.

    To first order an update lowers the loss by the gradient times the step, for every optimizer.
    """
    size = settings.training.batch_size
    count = max(5, min(TRIAL_UPDATES, TRIAL_IMAGES // size))
    optimizer, losses, decreases = build_optimizer(settings), [], []
    for k in range(count):
        x, t = examples.batch(np.arange(k * size, (k + 1) * size) % len(examples))
        losses.append(network.gradient(x, t))
        theta, grad = network.theta.copy(), network.grad.copy()
        optimizer.step(network)
        decreases.append(float(np.vdot(grad, theta - network.theta)))
    n = min(max(size, LOOKED_AT), len(examples))
    signs = symptoms(network, *examples.batch(np.arange(n)))
    last = slice(-max(1, count // 5), None)
    loss, decrease = float(np.mean(losses[last])), updates * float(np.mean(decreases[last]))
    dead = max((signs[f"dead_{k}"] for k in range(1, network.depth)), default=0.0)
    rate = f"learning rate {format_value(settings.training.learning_rate)}"
    if not loss <= MAX_LOSS_INCREASE * worst:  # also true of NaN
        yield PreflightWarning(
            "learning_rate",
            f"{rate}: {count} trial updates raise the loss to {_short(loss)}; "
            f"at the start, or for a guess, it is {_short(worst)}",
        )
    elif _is_relu(settings) and dead > MAX_SATURATED:
        yield PreflightWarning(
            "learning_rate",
            f"{rate}: after {count} trial updates {100 * dead:.1f} % of a layer's units are dead "
            "for every image",
        )
    elif decrease < MIN_DECREASE * guess:
        yield PreflightWarning(
            "too_slow",
            f"{rate}: at the pace of {count} trial updates, all {updates:,} lower the loss by "
            f"{_short(decrease)}; a guess scores {guess:.3f}",
        )


def _short(value: float) -> str:
    return f"{value:.3g}"
