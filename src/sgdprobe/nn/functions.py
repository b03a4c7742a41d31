"""Activations, softmax, losses and their derivatives, as in *Deep Learning from Scratch*.

Shapes, everywhere: n examples, d pixels, c classes.

    x : (n, d)   input           a : (n, units)  weighted sum, before the activation
    y : (n, c)   output          t : (n,) integer labels, or (n, c) one-hot ("teacher")

Every function works in float32 and float64 and keeps the type it is given. `out`, where there is
one, is an array to write into, as in NumPy; it may be the input itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sgdprobe.nn.foreign import is_foreign, load_foreign
from sgdprobe.nn.own import own_activation

Array = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

Row = TypeVar("Row")


def look_up(what: str, name: str, table: Mapping[str, Row]) -> Row:
    """Return the row of this name, or what FILE.py:NAME is in a file of the user's.

    Raises ValueError with all names if there is none.
    """
    if is_foreign(name):
        found: Row = load_foreign(name)
        return found
    if name not in table:
        raise ValueError(f"{what} must be one of {', '.join(table)}; got {name!r}")
    return table[name]


# The notes' guard against log 0. Its effect on the gradient is kept, not neglected.
LOG_EPSILON = 1e-7


# Activations. These derivatives are functions of the layer's output h, so that the layer can write
# it over its input a.


def sigmoid(a: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-a)), 0 … 1; exactly 0 where exp overflows, below a = -88 in float32.

    >>> sigmoid(np.array([0.0, np.log(3.0)]))
    array([0.5 , 0.75])
    """
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is 0, as it should be
        return _logistic(a, out)


def _logistic(a: Array, out: Array | None = None) -> Array:
    """`sigmoid` for callers that have set np.errstate already, which takes 1 µs."""
    h = np.negative(a, out)
    np.exp(h, h)
    np.add(h, 1.0, h)
    return np.reciprocal(h, h)


def sigmoid_derivative(h: Array, out: Array) -> Array:
    """Slope at the output h: h (1 - h), computed as h - h²."""
    np.square(h, out=out)
    return np.subtract(h, out, out=out)


def relu(a: Array, out: Array | None = None) -> Array:
    """max(a, 0).

    >>> relu(np.array([-2.0, 3.0]))
    array([0., 3.])
    """
    return np.maximum(a, 0.0, out=out)


def relu_derivative(h: Array, out: Array) -> Array:
    """Slope at the output h: 1 where h > 0, else 0."""
    return np.sign(h, out=out)


def tanh(a: Array, out: Array | None = None) -> Array:
    """Hyperbolic tangent, -1 … 1."""
    return np.tanh(a, out=out)


def tanh_derivative(h: Array, out: Array) -> Array:
    """Slope at the output h: 1 - h²."""
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


def activation_function(name: str) -> ActivationFunction:
    """Return the activation of this name, or that of FILE.py:NAME, tried as `own_activation` says.

    Raises ValueError.
    """
    if not is_foreign(name):
        return look_up("activation", name, ACTIVATIONS)
    function, derivative, max_slope = own_activation(name)
    return ActivationFunction(
        partial(_into, function), partial(_into, derivative), max_slope, keeps_input=True
    )


def _into(function: Callable[[Array], Array], a: Array, out: Array) -> Array:
    np.copyto(out, function(a))
    return out


ACTIVATIONS = {
    "sigmoid": ActivationFunction(_logistic, sigmoid_derivative, 0.25),
    "relu": ActivationFunction(relu, relu_derivative, 1.0),
    "tanh": ActivationFunction(tanh, tanh_derivative, 1.0),
    "identity": ActivationFunction(identity, identity_derivative, 1.0),
}


# Softmax and losses.

# The axis of a.T, whose rows are the classes, that a softmax sums over. "sample": the outputs of
# each sample sum to 1, which is right. "batch" is the notes' program: its softmax was written for
# one sample and is given a whole batch, so that all n · c outputs together sum to 1.
SOFTMAX_AXIS: dict[str, int | None] = {"sample": 0, "batch": None}


def softmax(a: Array, over: str = "sample", out: Array | None = None) -> Array:
    """Return exp(a) / sum(exp(a)), the sum over each sample's classes or over the whole batch.

    a : (n, c) or (c,) float. over : a name in SOFTMAX_AXIS. out : as a, which it may be. Returns y,
    shaped as a. Raises ValueError for other arrays and names.

    >>> a = np.log(np.array([[1.0, 3.0], [4.0, 4.0]]))
    >>> softmax(a).round(4)  # each row sums to 1
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    >>> softmax(a, over="batch").round(4)  # the notes' program: all of them sum to 1
    array([[0.0833, 0.25  ],
           [0.3333, 0.3333]])
    """
    out = np.empty_like(a) if out is None else out
    if a.ndim not in (1, 2) or a.dtype.kind != "f" or out.shape != a.shape:
        raise ValueError(
            f"a and out must be (n, c) or (c,) floats; got a {a.shape} {a.dtype}, out {out.shape}"
        )
    look_up("over", over, SOFTMAX_AXIS)
    return softmax_into(out, a, over)


def softmax_into(y: Array, a: Array, over: str) -> Array:
    """Write `softmax` of a into y and return it; for training, which needs no checks.

    Subtracting the largest a changes nothing in exact arithmetic and keeps exp from overflowing.
    """
    axis = SOFTMAX_AXIS[over]
    rows = y.T
    np.subtract(a.T, np.maximum.reduce(a.T, axis), rows)
    np.exp(rows, rows)
    rows /= np.add.reduce(rows, axis)
    return y


def cross_entropy_error(y: Array, t: Array | Labels) -> float:
    """Return -log(y of the true class + 1e-7), the mean over the samples.

    y : (n, c) float, 0 … 1; t : (n,) integer labels, 0 … c - 1, or (n, c) one-hot. One sample may
    be y : (c,) with t : () or (c,). Raises ValueError for other shapes, types and labels.
    (The notes give two functions this name, and the second hides the first: for one sample with a
    one-hot t it takes the 0s and 1s for labels.)

    >>> y = np.array([[0.25, 0.75], [0.5, 0.5]])
    >>> round(cross_entropy_error(y, np.array([1, 0])), 4)  # (ln 4/3 + ln 2) / 2
    0.4904
    """
    y, t = _as_batch(y, t)
    if t.ndim == y.ndim:
        return float(-np.sum(t * np.log(y + LOG_EPSILON)) / len(y))
    return float(-np.add.reduce(np.log(y[np.arange(len(y)), t] + LOG_EPSILON)) / len(y))


def mean_squared_error(y: Array, t: Array | Labels) -> float:
    """Return 1/2 · sum over the classes of (y - t)², the mean over samples (not over classes).

    Shapes and errors as in `cross_entropy_error`. (The notes' version has no mean over the
    samples, so that a batch of 100 trains with 100 times the learning rate.)

    >>> mean_squared_error(np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([1, 0]))
    0.15625
    """
    y, t = _as_batch(y, t)
    one_hot = np.eye(y.shape[-1], dtype=y.dtype)[t] if t.ndim < y.ndim else t
    return float(0.5 * np.sum((y - one_hot) ** 2) / len(y))


def _as_batch(y: Array, t: Any) -> tuple[Array, Any]:
    """Return y : (n, c) and t : (n,) or (n, c), checked; one sample is a batch of one."""
    y, t = np.asarray(y), np.asarray(t)
    if y.ndim not in (1, 2) or t.shape not in (y.shape, y.shape[:-1]) or not y.size:
        raise ValueError(
            f"y must be (n, c) or (c,), and t integer labels {y.shape[:-1]} or one-hot {y.shape}; "
            f"got y {y.shape} and t {t.shape}"
        )
    if t.ndim < y.ndim:
        check_labels(t, y.shape[-1])
    return (y, t) if y.ndim == 2 else (y[np.newaxis], t[np.newaxis])


def check_labels(t: Labels, classes: int) -> None:
    """Raise ValueError unless t holds integers, 0 … classes - 1."""
    if t.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers; got {t.dtype}")
    # As unsigned numbers negative labels are large: one comparison finds both kinds.
    if t.astype(np.uintp).max() >= classes:
        wrong = t[(t < 0) | (t >= classes)].flat[0] if t.ndim else t
        raise ValueError(f"labels must be 0 … {classes - 1}; got {wrong}")


# The function between the scores, which the last layer's weights give, and the loss. Where the name
# has two parts, the scores pass through the first before they come to the softmax: programs do that
# by mistake, since their loss has a softmax of its own. Without a softmax the loss sees the values
# themselves, as in networks that predict numbers.
@dataclass(frozen=True)
class Output:
    """The last functions of a network: `first` of the scores, if any, and a softmax, if any.

    first : "softmax", or a name in ACTIVATIONS.
    """

    first: str | None
    softmax: bool


OUTPUTS = {
    "softmax": Output(None, softmax=True),
    "softmax_softmax": Output("softmax", softmax=True),
    "sigmoid_softmax": Output("sigmoid", softmax=True),
    "relu_softmax": Output("relu", softmax=True),
    "sigmoid": Output("sigmoid", softmax=False),
    "relu": Output("relu", softmax=False),
    "identity": Output(None, softmax=False),
}

# Over the n examples of a batch; with "sum" the gradient, and so each step, is n times as long.
LOSS_REDUCTIONS = {"mean": False, "sum": True}

# Losses with their derivative by a, the input of the softmax. With g = dL/dy it is
# dL/da = y (g - sum(g y)), and the sum is the softmax's. Both work on y.T and out.T: rows of
# classes, which is how a network of several layers has them in memory. Training calls them, so
# they check nothing.


def cross_entropy_backward(y: Array, t: Labels, over: str, out: Array) -> float:
    """Return cross_entropy_error and write dL/da into out : (n, c), another array than y.

    y : (n, c); t : (n,) integer labels, 0 … c - 1; over : a name in SOFTMAX_AXIS.

    g is zero except at the true class, where g y = -w with w = y / (y + 1e-7) / n. Without the
    1e-7 this is the book's (y - t) / n; with it, a sample whose true class has y << 1e-7 has
    nearly no gradient.
    """
    n = len(y)
    y, out = y.T, out.T
    # Indices into the rows laid end to end: half the time of a pair of indices.
    true_class = t.astype(np.intp, copy=False) * n  # labels may be bytes
    true_class += _positions(n)
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


@lru_cache(maxsize=16)  # a whole run has three batch sizes
def _positions(n: int) -> Labels:
    return np.arange(n)


def mean_squared_backward(y: Array, t: Labels, over: str, out: Array) -> float:
    """Return mean_squared_error and write dL/da into out, as in `cross_entropy_backward`."""
    n = len(y)
    y, out = y.T, out.T
    np.copyto(out, y)
    out[t, np.arange(n)] -= 1.0
    loss = float(0.5 * np.sum(out * out) / n)
    out *= 1 / n
    out -= np.add.reduce(out * y, SOFTMAX_AXIS[over])
    out *= y
    return loss


# The same losses for outputs without a softmax, with their derivative by y.


def cross_entropy_derivative(y: Array, t: Labels, out: Array) -> float:
    """Return cross_entropy_error and write dL/dy, which is 0 but for the true class, into out."""
    picked = y[np.arange(len(y)), t] + LOG_EPSILON
    out.fill(0.0)
    out[np.arange(len(y)), t] = -1 / (len(y) * picked)
    return -float(np.log(picked).sum()) / len(y)


def mean_squared_derivative(y: Array, t: Labels, out: Array) -> float:
    """Return mean_squared_error and write dL/dy = (y - t) / n into out."""
    np.copyto(out, y)
    out[np.arange(len(y)), t] -= 1.0
    loss = float(0.5 * np.sum(out * out) / len(y))
    out *= 1 / len(y)
    return loss


@dataclass(frozen=True)
class LossFunction:
    """A loss of (y, t), the same with its derivative by the softmax's input, and with that by y."""

    function: Callable[[Array, Labels], float]
    backward: Callable[[Array, Labels, str, Array], float]
    derivative: Callable[[Array, Labels, Array], float]


LOSSES = {
    "cross_entropy": LossFunction(
        cross_entropy_error, cross_entropy_backward, cross_entropy_derivative
    ),
    "mean_squared_error": LossFunction(
        mean_squared_error, mean_squared_backward, mean_squared_derivative
    ),
}
