"""A fully connected network: hidden layers with one activation, then softmax, then a loss.

The weights of all layers lie one behind another in one flat array, `theta`, and so do their
gradients, in `grad`. `params["W1"]`, `grads["b2"]`, … are views into the two, so that one line
updates every layer, a check can walk over all weights, and each still has its name in the book.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sgdprobe.nn.functions import ACTIVATIONS, LOSSES, Array, Labels, softmax


def _views(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Name each parameter's stretch of a flat array, in the order of `shapes`."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    pieces = np.split(flat, ends[:-1])
    return {
        name: piece.reshape(shape)
        for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
    }


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's parameters, and the arrays that a pass over n examples writes into.

    W : (fan_in, units); b : (units,); dW, db : their gradients; all views into the flat arrays.
    h : (n, units) its output; delta : (n, units) the loss's derivative with respect to its a;
    slope : (n, units) its activation's derivative.
    """

    W: Array
    b: Array
    dW: Array
    db: Array
    h: Array
    delta: Array
    slope: Array


class Network:
    """A network with given weights.

    params : {"W1": (pixels, units), "b1": (units,), …}, all of one float type; copied.
    """

    def __init__(
        self,
        params: Mapping[str, Array],
        *,
        activation: str = "sigmoid",
        softmax_over: str = "sample",
        loss: str = "cross_entropy",
    ) -> None:
        shapes = {name: values.shape for name, values in params.items()}
        self.theta: Array = np.concatenate([values.ravel() for values in params.values()])
        self.grad: Array = np.zeros_like(self.theta)
        self.params = _views(self.theta, shapes)
        self.grads = _views(self.grad, shapes)
        self.depth = len(shapes) // 2
        self.activation = ACTIVATIONS[activation]
        self.softmax_over = softmax_over
        self.error = LOSSES[loss]
        self._layers: dict[int, list[Layer]] = {}
        self._ones: dict[int, Array] = {}

    def layers(self, n: int) -> list[Layer]:
        """The layers, with the arrays that the last pass over n examples wrote; made once a n."""
        if n not in self._layers:
            self._layers[n] = [self._layer(k, n) for k in range(1, self.depth + 1)]
            self._ones[n] = np.ones(n, self.theta.dtype)
        return self._layers[n]

    def _layer(self, k: int, n: int) -> Layer:
        W, b = self.params[f"W{k}"], self.params[f"b{k}"]
        # Column-major for the last layer: its reductions over 10 classes then run along the
        # examples, which is three times as fast, and matmul writes it just as well.
        order: Literal["C", "F"] = "F" if k == self.depth else "C"
        h, delta, slope = (np.empty((n, len(b)), b.dtype, order) for _ in range(3))
        return Layer(W, b, self.grads[f"W{k}"], self.grads[f"b{k}"], h, delta, slope)

    def scores(self, x: Array) -> Array:
        """What goes into the softmax, a : (n, classes). Overwritten by the next pass over n."""
        *hidden, last = self.layers(len(x))
        for layer in hidden:
            a = np.dot(x, layer.W, out=layer.h)
            a += layer.b
            x = self.activation.function(a, out=a)
        a = np.matmul(x, last.W, out=last.h)
        a += last.b
        return a

    def forward(self, x: Array) -> Array:
        """Y : (n, classes), after the softmax. Overwritten by the next pass over n."""
        a = self.scores(x)
        return softmax(a, self.softmax_over, out=a)

    def loss(self, x: Array, t: Labels) -> float:
        """The loss on a batch, as training sees it."""
        return self.error.function(self.forward(x), t)

    def gradient(self, x: Array, t: Labels) -> tuple[float, Array]:
        """Backprop: the loss on a batch and its derivative by every weight, `grad`.

        x : (n, pixels); t : (n,) integer labels. `grad` is overwritten by the next call.
        """
        y = self.forward(x)
        layers, ones = self.layers(len(x)), self._ones[len(x)]
        delta = layers[-1].delta
        loss = self.error.backward(y, t, self.softmax_over, delta)
        for k in range(self.depth - 1, 0, -1):
            layer, below = layers[k], layers[k - 1]
            np.dot(below.h.T, delta, out=layer.dW)
            np.dot(ones, delta, out=layer.db)
            delta = np.dot(delta, layer.W.T, out=below.delta)
            delta *= self.activation.derivative(below.h, out=below.slope)
        np.dot(x.T, delta, out=layers[0].dW)
        np.dot(ones, delta, out=layers[0].db)
        return loss, self.grad

    def accuracy(self, x: Array, t: Labels) -> float:
        """Share of the examples whose largest score is the true class, 0 … 1.

        The largest score is the largest y too: both softmaxes keep the order within a row.
        """
        return float(np.mean(self.scores(x).argmax(axis=1) == t))
