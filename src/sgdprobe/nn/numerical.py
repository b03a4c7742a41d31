"""Derivatives by central differences, (f(x + h) - f(x - h)) / 2h: slow, and right by definition."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sgdprobe.nn.functions import Array, Labels
from sgdprobe.nn.network import Network

STEP = 1e-4  # the notes' h


def numerical_diff(f: Callable[[Any], Any], x: Any, h: float = STEP) -> Any:
    """Return the derivative of f at x; element by element where x is an array.

    >>> round(numerical_diff(lambda x: x**2, 3.0), 6)
    6.0
    """
    return (f(x + h) - f(x - h)) / (2 * h)


def numerical_gradient(f: Callable[[Array], Any], x: Array, h: float = STEP) -> Array:
    """Return the partial derivatives of f by every element of x, in x's shape.

    x must be of a float type, or TypeError is raised: it is changed one element at a time, and
    restored, also when f raises. (In an integer array such as `np.array([3, 4])`, adding h would
    change nothing.) Raises ValueError if f returns an array.

    >>> numerical_gradient(lambda x: np.sum(x**2), np.array([3.0, 4.0])).round(6)
    array([6., 8.])
    """
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"x must be an array of floats; got {x.dtype}")
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        try:
            x[index] = kept + h
            above = f(x)
            x[index] = kept - h
            below = f(x)
        finally:
            x[index] = kept
        if np.ndim(above):
            raise ValueError(f"f must return one number; got an array of {np.shape(above)}")
        grad[index] = (above - below) / (2 * h)
    return grad


def gradient_descent(
    f: Callable[[Array], Any], init_x: Array, lr: float = 0.01, step_num: int = 100
) -> tuple[Array, Array]:
    """Return the end of step_num steps down f from init_x, and the path with both ends.

    The path is (step_num + 1, *x.shape). init_x is not changed. (In the notes it is, and so it
    ends where x ends.)

    >>> end, path = gradient_descent(lambda x: x[0] ** 2, np.array([1.0]), lr=0.25, step_num=2)
    >>> path.round(6).tolist()  # each step halves x
    [[1.0], [0.5], [0.25]]
    """
    x = init_x.copy()
    path = [x.copy()]
    for _ in range(step_num):
        x -= lr * numerical_gradient(f, x)
        path.append(x.copy())
    return x, np.array(path)


def central_differences(network: Network, x: Array, t: Labels) -> float:
    """Do what `Network.gradient` does, the notes' way: two forward passes a weight."""
    loss = network.loss(x, t)
    network.grad[:] = numerical_gradient(lambda _: network.loss(x, t), network.theta)
    return loss


# Each writes network.grad and returns the loss of the batch. NumPy may report overflow.
GRADIENTS: dict[str, Callable[[Network, Array, Labels], float]] = {
    "backprop": Network.backprop,
    "numerical": central_differences,
}
