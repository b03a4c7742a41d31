"""A network of two layers in the book's style: a class with params, predict, loss and gradient.

    python src/check.py examples/two_layer_net.py:TwoLayerNet

It needs NumPy alone. Labels may be integers or one-hot.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without an overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def softmax(a: Array) -> Array:
    """exp(a) / sum(exp(a)) of each row; the largest is subtracted, so that exp cannot overflow."""
    exp_a = np.exp(a - a.max(axis=1, keepdims=True))
    y: Array = exp_a / exp_a.sum(axis=1, keepdims=True)
    return y


def one_hot(t: Array, like: Array) -> Array:
    """Return labels as rows of 0s and a 1, as `like` is; one-hot labels as they are."""
    return np.eye(like.shape[1], dtype=like.dtype)[t] if t.ndim == 1 else t


def cross_entropy_error(y: Array, t: Array) -> float:
    """-log of the true class's y, the mean over the batch; 1e-7 guards against log 0."""
    return float(-np.sum(one_hot(t, y) * np.log(y + 1e-7)) / len(y))


class TwoLayerNet:
    """Affine, sigmoid, affine, softmax. x : (n, input_size), t : (n,) or (n, output_size)."""

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, weight_init_std: float = 0.01
    ) -> None:
        rng = np.random.default_rng(0)
        self.params = {
            "W1": weight_init_std * rng.standard_normal((input_size, hidden_size)),
            "b1": np.zeros(hidden_size),
            "W2": weight_init_std * rng.standard_normal((hidden_size, output_size)),
            "b2": np.zeros(output_size),
        }

    def predict(self, x: Array) -> Array:
        """Return the probability of each class : (n, output_size)."""
        z1 = sigmoid(x @ self.params["W1"] + self.params["b1"])
        return softmax(z1 @ self.params["W2"] + self.params["b2"])

    def loss(self, x: Array, t: Array) -> float:
        """Return the mean loss of a batch."""
        return cross_entropy_error(self.predict(x), t)

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the loss's derivative by each parameter, by backpropagation."""
        z1 = sigmoid(x @ self.params["W1"] + self.params["b1"])
        y = softmax(z1 @ self.params["W2"] + self.params["b2"])
        grads = {}
        dy = (y - one_hot(t, y)) / len(x)
        grads["W2"] = z1.T @ dy
        grads["b2"] = dy.sum(axis=0)
        da1 = (dy @ self.params["W2"].T) * z1 * (1 - z1)
        grads["W1"] = x.T @ da1
        grads["b1"] = da1.sum(axis=0)
        return grads
