"""What does a reader of the book write? Chapter 5's network, in NumPy and nothing else.

A class a layer, parameters in a dict, one-hot teachers, backprop, a new array for every result.

    x : (n, pixels)     t : (n, classes), one-hot     y : (n, classes)
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


class Affine:
    def __init__(self, W: Floats, b: Floats) -> None:
        self.W = W
        self.b = b

    def forward(self, x: Floats) -> Floats:
        self.x = x
        return np.asarray(np.dot(x, self.W) + self.b)

    def backward(self, dout: Floats) -> Floats:
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.asarray(np.dot(dout, self.W.T))


class Sigmoid:
    def forward(self, x: Floats) -> Floats:
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout: Floats) -> Floats:
        return dout * (1 - self.out) * self.out


class SoftmaxWithLoss:
    """axis=1 is a softmax for each sample; axis=None one over the whole batch, the notes' slip."""

    def __init__(self, axis: int | None) -> None:
        self.axis = axis

    def forward(self, x: Floats, t: Floats) -> float:
        self.t = t
        exp_x = np.exp(x - np.max(x, axis=self.axis, keepdims=True))
        self.y = exp_x / np.sum(exp_x, axis=self.axis, keepdims=True)
        return float(-np.sum(t * np.log(self.y + 1e-7)) / len(t))

    def backward(self) -> Floats:
        # Each of the n teachers pulls at all outputs that were divided by the same sum.
        teachers = 1 if self.axis == 1 else len(self.t)
        return np.asarray((teachers * self.y - self.t) / len(self.t))


class BookNetwork:
    """Affine and Sigmoid layers in turn; params "W1", "b1", …, are changed in place by `update`."""

    def __init__(self, params: dict[str, Floats], axis: int | None = 1) -> None:
        self.params = params
        numbers = range(1, len(params) // 2 + 1)
        self.affines = [Affine(params[f"W{k}"], params[f"b{k}"]) for k in numbers]
        self.layers: list[Affine | Sigmoid] = [self.affines[0]]
        for affine in self.affines[1:]:
            self.layers += [Sigmoid(), affine]
        self.last_layer = SoftmaxWithLoss(axis)

    def predict(self, x: Floats) -> Floats:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def accuracy(self, x: Floats, t: Floats) -> float:
        return float(np.mean(np.argmax(self.predict(x), axis=1) == np.argmax(t, axis=1)))

    def gradient(self, x: Floats, t: Floats) -> dict[str, Floats]:
        self.loss = self.last_layer.forward(self.predict(x), t)
        dout = self.last_layer.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        grads = {}
        for k, affine in enumerate(self.affines, start=1):
            grads[f"W{k}"], grads[f"b{k}"] = affine.dW, affine.db
        return grads

    def update(self, x: Floats, t: Floats, learning_rate: float) -> float:
        """One SGD step; the loss before it."""
        grads = self.gradient(x, t)
        for name, values in self.params.items():
            values -= learning_rate * grads[name]
        return self.loss
