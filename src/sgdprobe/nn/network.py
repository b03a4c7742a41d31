"""A fully connected network: hidden layers with one activation, then softmax, then a loss.

The weights of all layers lie one behind another in one flat array, `theta`, and so do their
gradients, in `grad`. `params["W1"]`, `grads["b2"]`, … are views into the two, so that one line
updates every layer, a check can walk over all weights, and each still has its name in the book.
"""

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Buffers:
    """The arrays that one pass over n examples writes into; made once for each n.

    `outputs[k]` is layer k's output h, `deltas[k]` the loss's derivative with respect to its a,
    `slopes[k]` its activation's derivative; all (n, units of layer k). `ones` : (n,).
    """

    outputs: list[Array]
    deltas: list[Array]
    slopes: list[Array]
    ones: Array


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
        layers = range(1, self.depth + 1)
        self._W = [self.params[f"W{k}"] for k in layers]
        self._b = [self.params[f"b{k}"] for k in layers]
        self._dW = [self.grads[f"W{k}"] for k in layers]
        self._db = [self.grads[f"b{k}"] for k in layers]
        self.activation = ACTIVATIONS[activation]
        self.softmax_over = softmax_over
        self.error = LOSSES[loss]
        self._buffers: dict[int, Buffers] = {}

    def buffers(self, n: int) -> Buffers:
        """The arrays of the last pass over n examples."""
        if n not in self._buffers:
            self._buffers[n] = self._new_buffers(n)
        return self._buffers[n]

    def _new_buffers(self, n: int) -> Buffers:
        # Column-major for the last layer: its reductions over 10 classes then run along the
        # examples, which is three times as fast, and matmul writes it just as well.
        def arrays() -> list[Array]:
            return [
                np.empty((n, len(b)), b.dtype, order="F" if b is self._b[-1] else "C")
                for b in self._b
            ]

        return Buffers(arrays(), arrays(), arrays(), np.ones(n, self.theta.dtype))

    def scores(self, x: Array) -> Array:
        """What goes into the softmax, a : (n, classes). Overwritten by the next pass over n."""
        h = x
        outputs = self.buffers(len(x)).outputs
        for W, b, out in zip(self._W, self._b, outputs, strict=True):
            np.matmul(h, W, out=out)
            out += b
            if out is not outputs[-1]:
                self.activation.function(out, out=out)
            h = out
        return h

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
        buffers = self.buffers(len(x))
        inputs = [x, *buffers.outputs]
        delta = buffers.deltas[-1]
        loss = self.error.backward(y, t, self.softmax_over, delta)
        for k in reversed(range(self.depth)):
            np.matmul(inputs[k].T, delta, out=self._dW[k])
            # A product with ones sums over the batch in half the time of add.reduce.
            np.matmul(buffers.ones, delta, out=self._db[k])
            if k > 0:
                delta = np.matmul(delta, self._W[k].T, out=buffers.deltas[k - 1])
                self.activation.derivative(inputs[k], buffers.slopes[k - 1])
                delta *= buffers.slopes[k - 1]
        return loss, self.grad

    def accuracy(self, x: Array, t: Labels) -> float:
        """Share of the examples whose largest score is the true class, 0 … 1.

        The largest score is the largest y too: both softmaxes keep the order within a row.
        """
        return float(np.mean(self.scores(x).argmax(axis=1) == t))
