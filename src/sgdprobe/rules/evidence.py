"""Evidence before training: measured once, when a rule first asks for it.

No random stream is used: images are taken in their order, and training is tried on copies.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.nn import ACTIVATIONS, GRADIENTS, Examples, Network, Optimizer, softmax, symptoms
from sgdprobe.nn.functions import Array, Labels, look_up

LOOKED_AT = 100  # images, or a batch if that is more: of one image every unit looks dead or alive
TRIAL_UPDATES = 50
TRIAL_IMAGES = 5000  # in all trial updates, so that large batches take no longer
CHECKED_WEIGHTS = 12  # of each layer, those with the largest gradients
CHECKED_IMAGES = 10
STEP = 1e-6  # of central differences: the smaller, the fewer kinks of ReLU are crossed
GATE_IMAGES = 50
GATE_UPDATES = 500
SURE = 50.0  # scores that decide: exp(-50) is nothing beside 1


@dataclass(frozen=True)
class Trial:
    """The first updates of a copy of the network.

    losses : of each update. decrease : by how much an update lowers the loss, to first order, the
    mean over the last fifth of the updates. signs : symptoms after them.
    step_ratio : the largest |change of the weights| / |weights| of an update.
    decay_ratio : weight decay's part of the gradient over the loss's, the median.
    """

    losses: list[float]
    decrease: float
    signs: dict[str, float]
    step_ratio: float
    decay_ratio: float

    @property
    def loss(self) -> float:
        """The mean loss of the last fifth of the updates."""
        return float(np.mean(self.losses[-max(1, len(self.losses) // 5) :]))


@dataclass(frozen=True)
class Evidence:
    """All that rules look at before training.

    new_network, new_optimizer : make them as the run has them at its start. examples : those to
    train on. updates : the run's length.
    """

    settings: Settings
    data: Dataset
    examples: Examples
    updates: int
    new_network: Callable[[], Network]
    new_optimizer: Callable[[], Optimizer]

    @cached_property
    def network(self) -> Network:
        """The network with its first weights."""
        return self.new_network()

    @property
    def first_images(self) -> tuple[Array, Labels]:
        """The first images, a batch or 100 if that is more; the next batch overwrites them."""
        n = min(max(self.settings.training.batch_size, LOOKED_AT), len(self.examples))
        return self.examples.batch(np.arange(n))

    @cached_property
    def signs(self) -> dict[str, float]:
        """Symptoms of the first images."""
        return symptoms(self.network, *self.first_images)

    @property
    def classes(self) -> int:
        """The number of outputs."""
        return len(self.network.params[f"b{self.network.depth}"])

    @property
    def is_relu(self) -> bool:
        """True if hidden units can die; a healthy ReLU is flat for half its pairs."""
        return self.settings.network.activation == "relu"

    @cached_property
    def guess(self) -> float:
        """The loss of a network that prefers no class."""
        t = self.first_images[1]
        shares = self.classes
        if self.settings.network.softmax_over == "batch" and self.network.output.softmax:
            shares *= len(t)
        return self._loss(np.full((len(t), self.classes), 1 / shares), t)

    @cached_property
    def first(self) -> float:
        """The loss of the first images at the start."""
        return self.network.loss(*self.first_images)

    @cached_property
    def floor(self) -> float:
        """The loss of a batch of which every score is as sure and right as scores can be.

        0 unless the output is limited. Without a softmax an output can be anything: also 0.
        """
        output, n = self.network.output, self.settings.training.batch_size
        if not output.softmax:
            return 0.0
        t = np.resize(self.first_images[1], n)
        scores = np.full((n, self.classes), -SURE)
        scores[np.arange(n), t] = SURE
        if output.first == "softmax":
            scores = softmax(scores)
        elif output.first is not None:
            scores = ACTIVATIONS[output.first].function(scores, scores)
        return self._loss(softmax(scores, self.settings.network.softmax_over), t)

    def _loss(self, y: Array, t: Labels) -> float:
        loss = self.network.loss_function.function(y, t)
        return loss * len(t) if self.network.is_sum else loss

    @cached_property
    def trial(self) -> Trial:
        """Train a copy a little.

        To first order an update lowers the loss by the gradient times the step.
        """
        size = self.settings.training.batch_size
        count = max(5, min(TRIAL_UPDATES, TRIAL_IMAGES // size))
        network, optimizer = self.new_network(), self.new_optimizer()
        losses, decreases, ratios, decays = [], [], [], []
        for k in range(count):
            x, t = self.examples.batch(np.arange(k * size, (k + 1) * size) % len(self.examples))
            losses.append(network.gradient(x, t))
            theta, grad = network.theta.copy(), network.grad.copy()
            optimizer.step(network)
            step = network.theta - theta
            decreases.append(float(np.vdot(grad, step)))
            weights = _norm(theta)
            ratios.append(_norm(step) / weights if weights else 0.0)  # from 0 any step is large
            decays.append(optimizer.weight_decay * weights / max(_norm(grad), 1e-300))
        last = slice(-max(1, count // 5), None)
        signs = symptoms(network, *self.first_images)
        return Trial(
            losses,
            float(np.mean(decreases[last])),
            signs,
            float(np.max(ratios)),
            float(np.median(decays)),
        )

    @cached_property
    def gradient_error(self) -> tuple[float, str]:
        """The largest error of a layer's gradient, relative to its size, and the weight's name.

        Central differences in float64, of the weights with the largest gradients.
        """
        network = self._precise()
        x, t = self.examples.batch(np.arange(min(CHECKED_IMAGES, len(self.examples))))
        x = x.astype(np.float64)
        self._gradient(network, x, t)
        worst, where = 0.0, ""
        for name, values in network.params.items():
            given = network.grads[name].copy().ravel()
            picked = np.argsort(-np.abs(given), kind="stable")[:CHECKED_WEIGHTS]
            picked = np.union1d(picked, np.arange(0, len(given), max(1, len(given) // 7)))
            flat = values.reshape(-1)
            central = np.array([_central(network, flat, int(k), x, t) for k in picked])
            size = max(float(np.abs(central).max()), float(np.abs(given[picked]).max()), 1e-8)
            errors = np.abs(given[picked] - central) / size
            if not errors.max() <= worst:
                worst = float(errors.max())
                place = np.unravel_index(picked[errors.argmax()], values.shape)
                where = f"{name}{[int(index) for index in place]}"
        return worst, where

    def _precise(self) -> Network:
        """Return the network in float64, with biases that are not all alike.

        With zero biases and small weights a ReLU network stands on its kinks.
        """
        network, settings = self.network, self.settings.network
        params = {name: values.astype(np.float64) for name, values in network.params.items()}
        rng = np.random.default_rng(0)
        for k in range(1, network.depth + 1):
            params[f"b{k}"] = params[f"b{k}"] + rng.uniform(0.01, 0.1, params[f"b{k}"].shape)
        return Network(
            params,
            activation=settings.activation,
            softmax_over=settings.softmax_over,
            loss=settings.loss,
            output=settings.output,
            loss_reduction=settings.loss_reduction,
            factor=network.factor,
            offset=network.offset,
        )

    def _gradient(self, network: Network, x: Array, t: Labels) -> float:
        """Write the gradient as the run's setting computes it."""
        return look_up("gradient", self.settings.training.gradient, GRADIENTS)(network, x, t)

    @cached_property
    def gate(self) -> tuple[float, float]:
        """Accuracy on one small batch after training on nothing else, and the loss.

        With the run's own optimizer; a network that cannot learn a batch by heart learns nothing.
        """
        network, optimizer = self.new_network(), self.new_optimizer()
        n = min(GATE_IMAGES, len(self.examples))
        x, t = self.examples.batch(np.arange(n))
        loss = math.nan
        for _ in range(GATE_UPDATES):
            loss = self._gradient(network, x, t)
            if not math.isfinite(loss):
                break
            optimizer.step(network)
        right = network.scores(x).argmax(axis=1) == t
        return float(np.mean(right)), loss

    @cached_property
    def pixels(self) -> Array:
        """The first 1,000 images as the network sees them : (n, pixels)."""
        images = self.data.train_images[:1000].astype(np.float64)
        return self.network.factor * images - self.network.offset


def _norm(values: Array) -> float:
    return float(np.sqrt(np.vdot(values, values)))


def _central(network: Network, flat: Array, k: int, x: Array, t: Labels) -> float:
    kept = flat[k]
    flat[k] = kept + STEP
    above = network.loss(x, t)
    flat[k] = kept - STEP
    below = network.loss(x, t)
    flat[k] = kept
    return (above - below) / (2 * STEP)
