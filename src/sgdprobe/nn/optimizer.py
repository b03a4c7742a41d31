"""Optimizers: from a gradient to new weights. Chapter 6 of *Deep Learning from Scratch*.

The formulas are the book's, over all weights at once: `theta` and `grad` are the network's flat
arrays. They are computed in place, through one buffer, so that an update allocates nothing.

The small number that keeps AdaGrad and Adam from dividing by 0 is the book's 1e-7, added to the
root. PyTorch has 1e-10 for Adagrad. For Adam it has 1e-8, added after the bias correction; seen
from there the book's is 1e-7 / sqrt(1 - beta2^t), at first 3e-6: small gradients move less.
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sgdprobe.nn.functions import Array
from sgdprobe.nn.network import Network

EPSILON = 1e-7


@dataclass(eq=False)
class Optimizer:
    """Settings of an optimizer, and the arrays it keeps from update to update.

    learning_rate : above 0. weight_decay : 0 or more, L2: before each update the gradient of each
    weight W, not of biases, becomes grad + weight_decay · W, as if weight_decay / 2 · sum(W²) were
    added to the loss; the recorded loss is without it.
    state : the arrays named in KEEPS, each as long as theta, made at the first update. With them a
    resumed run goes on to the same bits.
    """

    learning_rate: float
    weight_decay: float = field(default=0.0, kw_only=True)
    state: dict[str, Array] = field(default_factory=dict, init=False, repr=False)
    _buffer: Array = field(default_factory=lambda: np.empty(0), init=False, repr=False)

    KEEPS: ClassVar[tuple[str, ...]] = ()

    def step(self, network: Network) -> None:
        """Move network.theta by one update along network.grad."""
        theta, grad = network.theta, network.grad
        if self._buffer.shape != theta.shape:
            self._buffer = np.empty_like(theta)
            for name in self.KEEPS:
                self.state.setdefault(name, np.zeros_like(theta))
        if self.weight_decay != 0.0:
            self._decay(network)
        self.update(theta, grad, self._buffer)

    def update(self, theta: Array, grad: Array, buffer: Array) -> None:
        """Change theta : (weights,) in place; grad : (weights,); buffer : (weights,)."""
        raise NotImplementedError

    def _decay(self, network: Network) -> None:
        """Grad += weight_decay * W."""
        for name, W in network.params.items():
            if name.startswith("W"):
                product = self._buffer[: W.size].reshape(W.shape)
                network.grads[name] += np.multiply(self.weight_decay, W, out=product)


class SGD(Optimizer):
    """theta -= learning_rate * grad."""

    def update(self, theta: Array, grad: Array, buffer: Array) -> None:
        """One update, as in the class's first line."""
        theta -= np.multiply(self.learning_rate, grad, out=buffer)


@dataclass(eq=False)
class Momentum(Optimizer):
    """v = momentum * v - learning_rate * grad; theta += v.

    momentum : 0 … 1; 0.9 makes a steady gradient ten times as fast. For a constant learning rate
    this is PyTorch's SGD(momentum=…), whose buffer is v / -learning_rate.
    """

    momentum: float = 0.9

    KEEPS = ("v",)

    def update(self, theta: Array, grad: Array, buffer: Array) -> None:
        """One update, as in the class's first line."""
        v = self.state["v"]
        v *= self.momentum
        v -= np.multiply(self.learning_rate, grad, out=buffer)
        theta += v


class AdaGrad(Optimizer):
    """h += grad * grad; theta -= learning_rate * grad / (sqrt(h) + 1e-7); Duchi et al. 2011."""

    KEEPS = ("h",)

    def update(self, theta: Array, grad: Array, buffer: Array) -> None:
        """One update, as in the class's first line."""
        h = self.state["h"]
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

    KEEPS = ("m", "v")

    def update(self, theta: Array, grad: Array, buffer: Array) -> None:
        """One update, as in the class's docstring, line by line."""
        m, v = self.state["m"], self.state["v"]
        count = self.state.setdefault("t", np.zeros(1))
        count += 1
        t = int(count[0])
        lr_t = self.learning_rate * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        m += _scaled(1 - self.beta1, np.subtract(grad, m, out=buffer))
        np.multiply(grad, grad, out=buffer)
        v += _scaled(1 - self.beta2, np.subtract(buffer, v, out=buffer))
        np.sqrt(v, out=buffer)
        buffer += EPSILON
        theta -= _scaled(lr_t, np.divide(m, buffer, out=buffer))


def _scaled(factor: float, array: Array) -> Array:
    """Factor * array, in place."""
    return np.multiply(factor, array, out=array)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adagrad": AdaGrad,
    "adam": Adam,
}
