"""The notes' program, written down once more, literally and slowly, to hold ours against.

Nothing of sgdprobe is imported here. Three things differ from the notes: the weights are given
instead of drawn, a step h can be chosen, and warnings of exp(-x) for large -x are silenced (the
notes' program prints them; the result, 1 / (1 + inf) = 0, is right).

    x : (n, pixels)     t : (n, classes), one-hot     y : (n, classes), all of it sums to 1
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def cross_entropy_error(y: Array, t: NDArray[Any]) -> float:
    batch_size = 1
    if y.ndim > 1:
        batch_size = y.shape[0]
    return float(-np.sum(t * np.log(y + 1e-7)) / batch_size)


def softmax(a: Array) -> Array:
    """Over all of `a`: of a batch too, which is the notes' slip."""
    c = np.max(a)
    exp_a = np.exp(a - c)
    y: Array = exp_a / np.sum(exp_a)
    return y


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        y: Array = 1 / (1 + np.exp(-x))
    return y


def partial(f: Callable[[Array], float], x: Array, index: tuple[int, ...], h: float) -> float:
    """The partial derivative of f by x[index]: the body of the notes' numerical_gradient."""
    tmp_val = float(x[index])
    x[index] = tmp_val + h
    fxh1 = f(x)
    x[index] = tmp_val - h
    fxh2 = f(x)
    x[index] = tmp_val
    return (fxh1 - fxh2) / (2 * h)


def sharp_partial(f: Callable[[Array], float], x: Array, index: tuple[int, ...], h: float) -> float:
    """Richardson's combination of two steps: the error falls from h²f'''/6 to h⁴f'''''/480."""
    return (4 * partial(f, x, index, h / 2) - partial(f, x, index, h)) / 3


def numerical_gradient(
    f: Callable[[Array], float],
    x: Array,
    h: float = 1e-4,
    derivative: Callable[..., float] = partial,
) -> Array:
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        grad[index] = derivative(f, x, index, h)
    return grad


class NotesNetwork:
    """The notes' TestMNIST with given weights W1, b1, W2, …: sigmoid layers, then softmax."""

    def __init__(self, params: Mapping[str, NDArray[Any]]) -> None:
        self.rate = 0.01
        self.params = {name: np.array(values, np.float64) for name, values in params.items()}
        self.last = len(params) // 2

    def forward(self, x: Array) -> Array:
        tmp = x
        for k in range(1, self.last):
            tmp = sigmoid(np.dot(tmp, self.params[f"W{k}"]) + self.params[f"b{k}"])
        return softmax(np.dot(tmp, self.params[f"W{self.last}"]) + self.params[f"b{self.last}"])

    def loss(self, x: Array, t: NDArray[Any]) -> float:
        return cross_entropy_error(self.forward(x), t)

    def grad(self, x: Array, t: NDArray[Any]) -> dict[str, Array]:
        return {
            name: numerical_gradient(lambda _: self.loss(x, t), values)
            for name, values in self.params.items()
        }

    def update(self, grads: Mapping[str, NDArray[Any]]) -> None:
        for name in self.params:
            self.params[name] -= self.rate * grads[name]

    def accuracy(self, x: Array, t: NDArray[Any], batch_size: int = 100) -> float:
        """The notes' mean over batches, which is right where batch_size divides n."""
        accuracy_cnt = 0.0
        for i in range(0, len(x), batch_size):
            p = np.argmax(self.forward(x[i : i + batch_size]), axis=1)
            accuracy_cnt += float(
                np.sum(p == np.argmax(t[i : i + batch_size], axis=1)) / batch_size
            )
        return accuracy_cnt / (len(x) / batch_size)


# What counts as the same gradient.

# A derivative under this share of its array's largest is compared with that share instead: close
# to zero, a rounding error is a large part of it.
NEGLIGIBLE = 1e-2


def assert_same_gradient(
    name: str,
    backprop: Array,
    central: Mapping[Any, Any],
    tolerance: float = 1e-6,
) -> None:
    """Compare backprop with central differences, by index; tell the worst if one differs.

    The relative error is |a - b| / max(|a|, |b|, NEGLIGIBLE · the largest of all).
    """
    largest = max(float(np.abs(backprop).max()), *map(abs, central.values()))
    errors = {
        index: abs(b - a) / max(abs(a), abs(b), NEGLIGIBLE * largest, np.finfo(float).tiny)
        for index, b in central.items()
        for a in [float(backprop[index])]
    }
    worst = max(errors, key=errors.__getitem__)
    assert errors[worst] <= tolerance, (
        f"{name}[{', '.join(map(str, worst))}]: backprop {backprop[worst]:.3g}, "
        f"central difference {central[worst]:.3g}, relative error {errors[worst]:.2g}"
    )
