"""Activations, softmax, losses and their derivatives, as in *Deep Learning from Scratch*.

Shapes, everywhere: n examples, d pixels, c classes.

    x : (n, d)   input           a : (n, units)  weighted sum, before the activation
    y : (n, c)   output          t : (n,) integer labels, or (n, c) one-hot ("teacher")

Every function works in float32 and float64 and keeps the type it is given. `out`, where there is
one, is an array to write into, as in NumPy; it may be the input itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

LOG_EPSILON = (
    1e-7  # the notes' guard against log 0; its effect on the gradient is kept, not neglected
)


# Activations. These derivatives are functions of the layer's output h, so that the layer can write
# it over its input a.


def sigmoid(a: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-a)); exactly 0 where exp overflows, below a = -88 in float32."""
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is 0, as it should be
        return _logistic(a, out)


def _logistic(a: Array, out: Array | None = None) -> Array:
    """A sigmoid for callers that have told NumPy what to do about overflow: that takes 1 µs."""
    h = np.negative(a, out)
    np.exp(h, h)
    np.add(h, 1.0, h)
    return np.reciprocal(h, h)


def sigmoid_derivative(h: Array, out: Array) -> Array:
    """H - h²."""
    np.square(h, out=out)
    return np.subtract(h, out, out=out)


def relu(a: Array, out: Array | None = None) -> Array:
    """max(a, 0)."""
    return np.maximum(a, 0.0, out=out)


def relu_derivative(h: Array, out: Array) -> Array:
    """1 where h > 0, else 0."""
    return np.sign(h, out=out)


def tanh(a: Array, out: Array | None = None) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(a, out=out)


def tanh_derivative(h: Array, out: Array) -> Array:
    """1 - h²."""
    np.square(h, out=out)
    return np.subtract(1.0, out, out=out)


def identity(a: Array, out: Array | None = None) -> Array:
    """a, unchanged: the layers then collapse into one linear map."""
    if out is None:
        return a.copy()
    if out is not a:
        np.copyto(out, a)
    return out


def identity_derivative(h: Array, out: Array) -> Array:
    """1."""
    out.fill(1.0)
    return out


@dataclass(frozen=True)
class ActivationFunction:
    """An activation and its derivative, both called with the array to write into.

    max_slope : the derivative's largest absolute value.
    keeps_input : the derivative is a function of the input a, not of the output h; the layer then
    keeps a and takes one more array.
    """

    function: Callable[..., Array]
    derivative: Callable[..., Array]
    max_slope: float
    keeps_input: bool = False


ACTIVATIONS = {
    "sigmoid": ActivationFunction(_logistic, sigmoid_derivative, 0.25),
    "relu": ActivationFunction(relu, relu_derivative, 1.0),
    "tanh": ActivationFunction(tanh, tanh_derivative, 1.0),
    "identity": ActivationFunction(identity, identity_derivative, 1.0),
}


# Softmax and losses.

# What of a.T, whose rows are the classes, a softmax sums over. "batch" is the notes' program: its
# softmax was written for one sample and given a whole batch, so that all n · c outputs together
# sum to 1. The right form for a batch is "sample": the outputs of each sample sum to 1.
SOFTMAX_AXIS: dict[str, int | None] = {"sample": 0, "batch": None}


def softmax(a: Array, over: str = "sample", out: Array | None = None) -> Array:
    """exp(a) / sum(exp(a)), the sum over each sample's classes or over the whole batch.

    Subtracting the largest a changes nothing in exact arithmetic and keeps exp from overflowing.
    """
    axis = SOFTMAX_AXIS[over]
    y = np.empty_like(a) if out is None else out
    rows = y.T
    np.subtract(a.T, np.maximum.reduce(a.T, axis), rows)
    np.exp(rows, rows)
    rows /= np.add.reduce(rows, axis)
    return y


def _batched(y: Array, t: Any) -> tuple[Array, Any]:
    """One sample as a batch of one. `t` has one dimension less than `y` when it holds labels."""
    if y.ndim > 1:
        return y, t
    return y[np.newaxis], np.asarray(t)[np.newaxis]


def cross_entropy_error(y: Array, t: Array | Labels) -> float:
    """-log(y of the true class + 1e-7), mean over the samples.

    One sample or a batch, one-hot or integer labels. (The notes give two functions this name, and
    the second hides the first: for one sample with a one-hot t it takes the 0s and 1s for labels.)
    """
    y, t = _batched(y, t)
    if t.ndim == y.ndim:
        return float(-np.sum(t * np.log(y + LOG_EPSILON)) / len(y))
    return float(-np.add.reduce(np.log(y[np.arange(len(y)), t] + LOG_EPSILON)) / len(y))


def mean_squared_error(y: Array, t: Array | Labels) -> float:
    """1/2 · sum over the classes of (y - t)², mean over the samples (and not over the classes).

    One sample or a batch, one-hot or integer labels. (The notes' version has no mean over the
    samples, so that a batch of 100 trains with 100 times the learning rate.)
    """
    y, t = _batched(y, t)
    one_hot = np.eye(y.shape[-1], dtype=y.dtype)[t] if t.ndim < y.ndim else t
    return float(0.5 * np.sum((y - one_hot) ** 2) / len(y))


# A loss with its derivative with respect to a, the input of the softmax. With g = dL/dy,
# dL/da = y (g - sum(g y)), the sum over what the softmax sums over. Both work on y.T and out.T:
# rows of classes, which is how a network of several layers has them in memory.


def cross_entropy_backward(y: Array, t: Labels, over: str, out: Array) -> float:
    """cross_entropy_error, and into `out` dL/da; integer labels; `out` : (n, c), not `y`.

    g is zero except at the true class, where g y = -w with w = y / (y + 1e-7) / n. Without the
    1e-7 this is the book's (y - t) / n; with it, a sample whose true class has y << 1e-7 stops
    to teach anything.
    """
    n = len(y)
    y, out = y.T, out.T
    # Indices into the rows laid end to end: half the time of a pair of indices.
    true_class = np.multiply(t, n, dtype=np.intp)  # labels may be bytes
    true_class += np.arange(n)
    picked = y.take(true_class)
    guarded = picked + LOG_EPSILON
    w = picked / guarded
    w *= 1 / n
    share = w if over == "sample" else np.add.reduce(w)
    np.multiply(y, share, out)
    picked *= share
    picked -= w
    out.put(true_class, picked)
    return -float(np.add.reduce(np.log(guarded, guarded))) / n


def mean_squared_backward(y: Array, t: Labels, over: str, out: Array) -> float:
    """mean_squared_error, and into `out` dL/da; integer labels; `out` : (n, c), not `y`."""
    n = len(y)
    y, out = y.T, out.T
    np.copyto(out, y)
    out[t, np.arange(n)] -= 1.0
    loss = float(0.5 * np.sum(out * out) / n)
    out *= 1 / n
    out -= np.add.reduce(out * y, SOFTMAX_AXIS[over])
    out *= y
    return loss


@dataclass(frozen=True)
class LossFunction:
    """A loss of (y, t), and the same loss with its derivative with respect to the scores."""

    function: Callable[[Array, Labels], float]
    backward: Callable[[Array, Labels, str, Array], float]


LOSSES = {
    "cross_entropy": LossFunction(cross_entropy_error, cross_entropy_backward),
    "mean_squared_error": LossFunction(mean_squared_error, mean_squared_backward),
}
