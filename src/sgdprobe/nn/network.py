"""A fully connected network: hidden layers with one activation, then softmax, then a loss.

The weights of all layers lie one behind another in one flat array, `theta`, and so do their
gradients, in `grad`. `params["W1"]`, `grads["b2"]`, … are views into the two, so that one line
updates every layer, a check can walk over all weights, and each still has its name in the book.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from sgdprobe.nn.functions import ACTIVATIONS, LOSSES, Array, Labels, softmax

Steps = list[Callable[[], object]]


def _views(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Name each parameter's stretch of a flat array, in the order of `shapes`."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    pieces = np.split(flat, ends[:-1])
    return {
        name: piece.reshape(shape)
        for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
    }


@dataclass(frozen=True)
class Pass:
    """The arrays that a pass over n examples writes into, layer by layer, and what it does to them.

    h : (n, units) each layer's output; of the last one its a, or its y once the softmax is done.
    delta : (n, units) the loss's derivative with respect to each layer's weighted sums, times what
    was asked for; of the first layer with respect to x W1. slope : (n, units) the activation's
    derivative, of hidden layers only.
    forward, backward : all that lies between the first layer's sums and the softmax, and back.
    Written down once: to look up every array anew for each batch would take Python some per cent
    of an update.
    """

    h: list[Array]
    delta: list[Array]
    slope: list[Array]
    forward: Steps
    backward: Steps


class Network:
    """A network with given weights, that sees factor · x - offset.

    params : {"W1": (pixels, units), "b1": (units,), …}, all of one float type; copied.
    factor, offset : so x can be left as pixels, 0 … 255: to scale the weighted sums and the deltas
    of the first layer, which are few, takes less time than to scale all of x.

    Where it takes x : (n, pixels), the first columns may be missing if they are 0 for all n. The
    first rows of W1 are not multiplied then; their gradient is 0.
    """

    def __init__(
        self,
        params: Mapping[str, Array],
        *,
        activation: str = "sigmoid",
        softmax_over: str = "sample",
        loss: str = "cross_entropy",
        factor: float = 1.0,
        offset: float = 0.0,
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
        self.factor, self.offset = factor, offset
        self._passes: dict[int, Pass] = {}

    def last_pass(self, n: int) -> Pass:
        """The arrays that the last pass over n examples wrote; new and empty if there was none."""
        if n not in self._passes:
            self._passes[n] = self._new_pass(n)
        return self._passes[n]

    def _new_pass(self, n: int) -> Pass:
        W, b, dW, db = (
            [of[f"{letter}{k}"] for k in range(1, self.depth + 1)]
            for of in (self.params, self.grads)
            for letter in "Wb"
        )
        h, delta = ([np.empty((n, len(units)), units.dtype) for units in b] for _ in range(2))
        if self.depth > 1:  # the first layer's sums are written by rows
            # Column-major: reductions over 10 classes then run along the examples, which is three
            # times as fast.
            h[-1], delta[-1] = (np.empty_like(a, order="F") for a in (h[-1], delta[-1]))
        slope = [np.empty_like(a) for a in h[:-1]]
        ones = np.ones(n, self.theta.dtype)
        function, derivative = self.activation.function, self.activation.derivative
        forward: Steps = []
        backward: Steps = [partial(np.dot, ones, delta[0], db[0])]
        for k in range(1, self.depth):  # the layer above h[k - 1]
            forward += [
                partial(function, h[k - 1], h[k - 1]),
                product(h[k - 1], W[k], h[k]),
                partial(np.add, h[k], b[k], h[k]),
            ]
            backward = [
                partial(np.dot, h[k - 1].T, delta[k], dW[k]),
                partial(np.dot, ones, delta[k], db[k]),
                partial(np.dot, delta[k], W[k].T, delta[k - 1]),
                partial(derivative, h[k - 1], slope[k - 1]),
                partial(np.multiply, delta[k - 1], slope[k - 1], delta[k - 1]),
                *backward,
            ]
        return Pass(h, delta, slope, forward, backward)

    def scores(self, x: Array) -> Array:
        """What goes into the softmax, a : (n, classes). Overwritten by the next pass over n."""
        # Meant for exp, which overflows where a sigmoid is 0, as it should be.
        with np.errstate(over="ignore"):
            return self._scores(x)

    def forward(self, x: Array) -> Array:
        """Y : (n, classes), after the softmax. Overwritten by the next pass over n."""
        a = self.scores(x)
        return softmax(a, self.softmax_over, a)

    def loss(self, x: Array, t: Labels) -> float:
        """The loss on a batch, as training sees it."""
        return self.error.function(self.forward(x), t)

    def gradient(self, x: Array, t: Labels) -> tuple[float, Array]:
        """The loss on a batch and its derivative by every weight, `grad`.

        x : (n, pixels); t : (n,) integer labels. `grad` is overwritten by the next call.
        """
        with np.errstate(over="ignore"):
            return self.backprop(x, t)

    def backprop(self, x: Array, t: Labels, times: float = 1.0) -> tuple[float, Array]:
        """The loss and `times` its gradient; as `gradient`, but NumPy may report overflow.

        To multiply costs least where the derivative begins, at the scores: what follows is linear.
        """
        a = self._scores(x)
        y = softmax(a, self.softmax_over, a)
        this = self._passes[len(x)]
        loss = self.error.backward(y, t, self.softmax_over, times, this.delta[-1])
        for step in this.backward:
            step()
        # (factor · x - offset).T delta, multiplied out.
        delta, dW = this.delta[0], self.grads["W1"]
        missing = len(dW) - x.shape[1]
        if self.factor != 1.0:
            delta *= self.factor
        dW[:missing] = 0.0
        np.dot(x.T, delta, dW[missing:])
        if self.offset != 0.0:
            dW -= self.offset * self.grads["b1"]
        return loss, self.grad

    def accuracy(self, x: Array, t: Labels) -> float:
        """Share of the examples whose largest score is the true class, 0 … 1.

        The largest score is the largest y too: both softmaxes keep the order within a row.
        """
        return float(np.mean(self.scores(x).argmax(axis=1) == t))

    def _scores(self, x: Array) -> Array:
        this = self.last_pass(len(x))
        # (factor · x - offset) W + b, multiplied out.
        W, a = self.params["W1"], this.h[0]
        np.dot(x, W[len(W) - x.shape[1] :], a)
        if self.factor != 1.0:
            a *= self.factor
        if self.offset != 0.0:
            a -= self.offset * np.add.reduce(W)
        a += self.params["b1"]
        for step in this.forward:
            step()
        return this.h[-1]


def product(x: Array, W: Array, out: Array) -> Callable[[], object]:
    """X W into out, to be carried out when called.

    x : (n, fan_in); W : (fan_in, units); out : (n, units), row-major or column-major. np.dot takes
    a microsecond less than np.matmul, but writes row-major arrays only.
    """
    if out.flags.c_contiguous:
        return partial(np.dot, x, W, out)
    return partial(np.dot, W.T, x.T, out.T)
