"""The layers of a network, as in the book: Affine, Activation, Softmax, SoftmaxWithLoss, Loss.

A layer is made for batches of n examples. It owns the arrays that it writes into, so a pass
allocates nothing, and what `forward` and `backward` return is overwritten by the next call.

    forward(x)     x : (n, fan_in) float -> (n, units) float
    backward(dout) dout : (n, units), dL/d(output) -> (n, fan_in), dL/d(input)
"""

from typing import Protocol

import numpy as np

from sgdprobe.nn.functions import ActivationFunction, Array, Labels, LossFunction, softmax_into


class Layer(Protocol):
    """One step of a network, there and back."""

    def forward(self, x: Array) -> Array:
        """Return the output for the input x."""

    def backward(self, dout: Array) -> Array:
        """Return the loss's derivative by the input, given the one by the output."""


class Affine:
    """x W + b.

    W, dW : (fan_in, units); b, db : (units,); dW and db are written by `backward`.
    column_major : store the output column by column. Reductions over 10 classes then run along
    the examples, which is three times as fast.
    """

    def __init__(
        self, W: Array, b: Array, dW: Array, db: Array, n: int, *, column_major: bool = False
    ) -> None:
        self.W, self.b, self.dW, self.db = W, b, dW, db
        self.x: Array = np.empty((0, len(W)), W.dtype)
        self.y: Array = np.empty((n, len(b)), W.dtype, order="F" if column_major else "C")
        self.dx: Array = np.empty((n, len(W)), W.dtype)
        self.ones = np.ones(n, W.dtype)
        self.WT = W.T
        # np.dot takes a microsecond less than np.matmul, but writes row-major arrays only.
        self.yT = self.y.T if column_major else None

    def forward(self, x: Array) -> Array:
        """Return x W + b."""
        self.x = x
        if self.yT is None:
            np.dot(x, self.W, self.y)
        else:
            np.dot(self.WT, x.T, self.yT)
        return np.add(self.y, self.b, self.y)

    def backward(self, dout: Array) -> Array:
        """Write dW and db; return dout W.T."""
        np.dot(self.x.T, dout, self.dW)
        np.dot(self.ones, dout, self.db)  # the sum over the examples
        return np.dot(dout, self.WT, self.dx)


class PixelAffine:
    """(factor · x - offset) W + b, multiplied out: the first layer, which is given pixels.

    x : (n, pixels) float, 0 … 255. Scaling the weighted sums, which are few, takes less time than
    scaling all of x. The first columns of x may be missing if they are 0 for all n. The first rows
    of W are not multiplied then; the gradient is as if they had been.
    """

    def __init__(
        self,
        W: Array,
        b: Array,
        dW: Array,
        db: Array,
        n: int,
        *,
        factor: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        self.W, self.b, self.dW, self.db = W, b, dW, db
        self.factor, self.offset = factor, offset
        self.missing = 0  # columns of x
        self.x: Array = np.empty((0, len(W)), W.dtype)
        self.y: Array = np.empty((n, len(b)), W.dtype)
        self.ones = np.ones(n, W.dtype)

    def forward(self, x: Array) -> Array:
        """Return (factor · x - offset) W + b."""
        self.x, y = x, self.y
        self.missing = len(self.W) - x.shape[1]
        np.dot(x, self.W[self.missing :], y)
        if self.factor != 1.0:
            y *= self.factor
        if self.offset != 0.0:
            y -= self.offset * np.add.reduce(self.W)
        return np.add(y, self.b, y)

    def backward(self, dout: Array) -> Array:
        """Write dW and db. Nothing lies below: return dout, which now is factor · dout."""
        np.dot(self.ones, dout, self.db)
        if self.factor != 1.0:
            dout *= self.factor
        self.dW[: self.missing] = 0.0
        np.dot(self.x.T, dout, self.dW[self.missing :])
        if self.offset != 0.0:
            self.dW -= self.offset * self.db
        return dout


class Activation:
    """An activation, element by element.

    like : an array of the shape and type of its input, (n, units). The output replaces the input
    in memory, unless the derivative is computed from the input.
    slope : (n, units) the derivative at each element, after `backward`.
    """

    def __init__(self, function: ActivationFunction, like: Array) -> None:
        self.function = function.function
        self.derivative = function.derivative
        self.keeps_input = function.keeps_input
        self.kept: Array = like  # what the derivative is computed from
        self.h: Array | None = np.empty_like(like) if function.keeps_input else None
        self.slope: Array = np.empty_like(like)

    @property
    def output(self) -> Array:
        """The output of the last pass : (n, units)."""
        return self.kept if self.h is None else self.h

    def forward(self, a: Array) -> Array:
        """Return the activation of a : (n, units)."""
        if self.h is None:
            self.kept = self.function(a, a)
            return self.kept
        self.kept = a
        return self.function(a, self.h)

    def backward(self, dout: Array) -> Array:
        """Return dout · slope, written into dout."""
        self.derivative(self.kept, self.slope)
        return np.multiply(dout, self.slope, dout)


class Softmax:
    """A softmax of each sample that is not the last function. like : an array as its input is."""

    def __init__(self, like: Array) -> None:
        self.y: Array = np.empty_like(like)

    def forward(self, a: Array) -> Array:
        """Return the softmax of a : (n, units)."""
        return softmax_into(self.y, a, "sample")

    def backward(self, dout: Array) -> Array:
        """Return y · (dout - sum of dout · y over the units), written into dout."""
        dout -= np.add.reduce(dout * self.y, axis=1, keepdims=True)
        return np.multiply(dout, self.y, dout)


class SoftmaxWithLoss:
    """Softmax and loss in one layer, since their common derivative is simple.

    over : "sample" or "batch", as in `softmax`. like : an array as its input is, (n, classes).
    keep_input : the layer below needs what it has put out, so do not overwrite it.
    """

    def __init__(
        self, loss_function: LossFunction, over: str, like: Array, *, keep_input: bool = False
    ) -> None:
        self.loss_function = loss_function
        self.over = over
        self.y: Array | None = np.empty_like(like) if keep_input else None
        self.dx: Array = np.empty_like(like)

    def forward(self, a: Array, t: Labels) -> float:
        """Return the loss of scores a : (n, classes) and labels t : (n,) integers.

        The derivative is computed here too, from what the loss has at hand. Overwrites a, unless it
        is to be kept.
        """
        y = softmax_into(a if self.y is None else self.y, a, self.over)
        return self.loss_function.backward(y, t, self.over, self.dx)

    def backward(self) -> Array:
        """Return the loss's derivative by the scores : (n, classes)."""
        return self.dx


class Loss:
    """A loss of outputs that have passed no softmax. like : an array as its input is."""

    def __init__(self, loss_function: LossFunction, like: Array) -> None:
        self.loss_function = loss_function
        self.dx: Array = np.empty_like(like)

    def forward(self, y: Array, t: Labels) -> float:
        """Return the loss of outputs y : (n, classes) and labels t : (n,) integers."""
        return self.loss_function.derivative(y, t, self.dx)

    def backward(self) -> Array:
        """Return the loss's derivative by the outputs : (n, classes)."""
        return self.dx
