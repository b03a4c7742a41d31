"""Optimizers: from a gradient to new weights. Chapter 6 of *Deep Learning from Scratch*.

The formulas are the book's, over all weights at once: `theta` and `grad` are the network's flat
arrays. They are computed in place, and the gradient is used up: after a step `network.grad` may
hold anything. An update with an array of its own for `learning_rate * grad` takes 6 % longer.

The small number that keeps AdaGrad and Adam from dividing by 0 is the book's 1e-7, added to the
root. PyTorch has 1e-10 for Adagrad. For Adam it has 1e-8, added after the bias correction; seen
from there the book's is 1e-7 / sqrt(1 - beta2^t), at first 3e-6: small gradients move less.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from sgdprobe.nn.foreign import ForeignError
from sgdprobe.nn.functions import Array, look_up
from sgdprobe.nn.network import Network
from sgdprobe.nn.own import described, tried

EPSILON = 1e-7
# Added to Adam's gradients, which changes no digit of a weight. Where an image's pixel is nearly
# always dark, m would else shrink to denormal numbers, which made an update a third slower.
NOT_DENORMAL = 1e-30


@dataclass(eq=False)
class Optimizer(ABC):
    """Settings of an optimizer, and the arrays it keeps from update to update.

    learning_rate : above 0. weight_decay : 0 or more, L2: before each update the gradient of each
    weight W, not of biases, becomes grad + weight_decay * W, as if weight_decay / 2 * sum(W**2)
    were added to the loss; the recorded loss is without it.
    state : arrays by name, made at the first update. With them a resumed run goes on to the same
    bits.
    """

    learning_rate: float
    weight_decay: float = field(default=0.0, kw_only=True)
    state: dict[str, Array] = field(default_factory=dict, init=False, repr=False)
    _buffer: Array = field(default_factory=lambda: np.empty(0), init=False, repr=False)

    def step(self, network: Network) -> None:
        """Move network.theta by one update along network.grad, which is used up."""
        if self.weight_decay != 0.0:
            self._decay(network)
        self.update(network.theta, network.grad)

    @abstractmethod
    def update(self, theta: Array, grad: Array) -> None:
        """Change theta : (weights,) in place, by grad : (weights,) and what is kept."""

    def _decay(self, network: Network) -> None:
        """Add weight_decay * W to the gradient of each W."""
        buffer = self.buffer(network.theta)
        for name, W in network.params.items():
            if name.startswith("W"):
                product = buffer[: W.size].reshape(W.shape)
                network.grads[name] += np.multiply(self.weight_decay, W, out=product)

    def kept(self, name: str, like: Array) -> Array:
        """Return the array of this name that is kept between updates; zeros at first."""
        if name not in self.state:
            self.state[name] = np.zeros_like(like)
        return self.state[name]

    def buffer(self, like: Array) -> Array:
        """Return an array of this shape and type, the same at each update, with any values."""
        if self._buffer.shape != like.shape:
            self._buffer = np.empty_like(like)
        return self._buffer


class SGD(Optimizer):
    """theta -= learning_rate * grad."""

    def update(self, theta: Array, grad: Array) -> None:
        grad *= self.learning_rate
        theta -= grad


@dataclass(eq=False)
class Momentum(Optimizer):
    """v = momentum * v - learning_rate * grad; theta += v.

    momentum : 0 … 1; 0.9 makes a steady gradient ten times as fast. For a constant learning rate
    this is PyTorch's SGD(momentum=…), whose buffer is v / -learning_rate.
    """

    momentum: float = 0.9

    def update(self, theta: Array, grad: Array) -> None:
        v = self.kept("v", theta)
        v *= self.momentum
        grad *= self.learning_rate
        v -= grad
        theta += v


class AdaGrad(Optimizer):
    """h += grad * grad; theta -= learning_rate * grad / (sqrt(h) + 1e-7); Duchi et al. 2011."""

    def update(self, theta: Array, grad: Array) -> None:
        h, buffer = self.kept("h", theta), self.buffer(theta)
        h += np.multiply(grad, grad, out=buffer)
        np.sqrt(h, out=buffer)
        buffer += EPSILON
        np.divide(grad, buffer, out=buffer)
        buffer *= self.learning_rate
        theta -= buffer


@dataclass(eq=False)
class Adam(Optimizer):
    """Steps by a running mean of the gradient over that of its square; Kingma and Ba 2015.

    t += 1
    lr_t = learning_rate * sqrt(1 - beta2**t) / (1 - beta1**t)
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad**2 - v)
    theta -= lr_t * m / (sqrt(v) + 1e-7)

    beta1, beta2 : 0 … 1. Weight decay is part of the gradient here (it is not AdamW's).
    """

    beta1: float = 0.9
    beta2: float = 0.999

    def update(self, theta: Array, grad: Array) -> None:
        m, v, count = self.kept("m", theta), self.kept("v", theta), self.kept("t", np.zeros(1))
        buffer = self.buffer(theta)
        count += 1
        t = int(count[0])
        lr_t = self.learning_rate * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        grad += NOT_DENORMAL
        m += _scale(1 - self.beta1, np.subtract(grad, m, out=buffer))
        np.multiply(grad, grad, out=buffer)
        v += _scale(1 - self.beta2, np.subtract(buffer, v, out=buffer))
        np.sqrt(v, out=buffer)
        buffer += EPSILON
        theta -= _scale(lr_t, np.divide(m, buffer, out=buffer))


def _scale(factor: float, array: Array) -> Array:
    """Multiply the array by a factor, in place, and return it."""
    array *= factor
    return array


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adagrad": AdaGrad,
    "adam": Adam,
}


@dataclass(eq=False)
class FunctionOptimizer(Optimizer):
    """The update of a user's function, called with those of its arguments that it names.

    They are theta, grad, state (a dict for arrays that it keeps between updates), and constants:
    learning_rate, momentum, beta1, beta2. It changes theta in place or returns a new one.
    """

    function: Callable[..., Any] = field(kw_only=True)
    constants: Mapping[str, float] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        given = {"theta", "grad", "state", *self.constants}
        asked = inspect.signature(self.function).parameters
        self._asked = [name for name in asked if name in given]
        unknown = [
            name
            for name, parameter in asked.items()
            if name not in given and parameter.default is parameter.empty
        ]
        if unknown or "theta" not in asked or "grad" not in asked:
            raise ForeignError(
                f"{self.function.__name__} must take theta and grad, and may take state, "
                f"{', '.join(self.constants)}; got {', '.join(asked) or 'no argument'}"
            )

    def update(self, theta: Array, grad: Array) -> None:
        values = {"theta": theta, "grad": grad, "state": self.state, **self.constants}
        result = self.function(**{name: values[name] for name in self._asked})
        if result is not None and result is not theta:
            if np.shape(result) != theta.shape:
                raise ForeignError(
                    f"{self.function.__name__} must return None or the new theta, {theta.shape}; "
                    f"got {described(result)}"
                )
            theta[:] = result
        for name, value in self.state.items():
            self.state[name] = np.asarray(value)


def make_optimizer(name: str, constants: Mapping[str, float]) -> Optimizer:
    """Return the optimizer of this name, or of FILE.py:NAME, a function or a subclass of Optimizer.

    constants : learning_rate, weight_decay, momentum, …; it gets those that it has a field for.
    Raises ValueError.
    """
    found: Any = look_up("optimizer", name, OPTIMIZERS)
    word = name.rpartition(":")[2]
    if isinstance(found, type) and issubclass(found, Optimizer):
        names = [item.name for item in fields(found) if item.init]
        own = {key: constants[key] for key in names if key in constants}
        return found(**own) if name in OPTIMIZERS else _made(word, found, own)
    if isinstance(found, type) or not callable(found):
        raise ForeignError(
            f"{word} must be a function of theta and grad, or a subclass of sgdprobe.nn.Optimizer; "
            f"got {described(found)}"
        )
    rate, decay = constants["learning_rate"], constants["weight_decay"]
    others = {key: value for key, value in constants.items() if key != "weight_decay"}
    return FunctionOptimizer(rate, weight_decay=decay, function=found, constants=others)


def _made(word: str, kind: type[Optimizer], constants: Mapping[str, float]) -> Optimizer:
    made: Optimizer = tried(word, kind, **constants)
    return made


# The settings that an optimizer can have, and the values with which one of the user's is tried.
CONSTANTS = {
    "learning_rate": 0.1,
    "weight_decay": 0.0,
    "momentum": 0.9,
    "beta1": 0.9,
    "beta2": 0.999,
}


def check_optimizer(name: str) -> None:
    """Try two updates with the optimizer FILE.py:NAME. Raises ForeignError."""
    word = name.rpartition(":")[2]
    for dtype in ("float64", "float32"):
        optimizer = make_optimizer(name, CONSTANTS)
        theta = np.linspace(-1.0, 1.0, 7).astype(dtype)
        before = theta.copy()
        for _ in range(2):
            tried(word, optimizer.update, theta, np.linspace(-0.3, 0.5, 7).astype(dtype))
        if not np.isfinite(theta).all():
            raise ForeignError(f"{word} makes weights NaN or infinite in two updates")
        if np.array_equal(theta, before):
            raise ForeignError(
                f"{word} changes no weight: change theta in place (theta -= …) or return a new one"
            )
        for key, array in optimizer.state.items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
                raise ForeignError(
                    f"state[{key!r}] of {word} must be an array of numbers, which a checkpoint "
                    f"can keep; got {described(array)}"
                )
