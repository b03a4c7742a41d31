"""Each optimizer: steps by hand, ten updates by a plain loop, and formulas of other people."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from sgdprobe.nn import OPTIMIZERS, Adam, Momentum, Network, Optimizer, draw_params

# W1 = (1, -2), b1 = (1/2, 0), and their gradient.
THETA, GRAD = [1.0, -2.0, 0.5, 0.0], [0.5, -1.0, 2.0, 0.0]
ROOT2 = math.sqrt(2)


def by_hand(dtype: str = "float64") -> Network:
    W1, b1 = np.array([THETA[:2]], dtype), np.array(THETA[2:], dtype)
    return Network({"W1": W1, "b1": b1})


@pytest.mark.parametrize(
    ("name", "settings", "after"),
    [
        # theta - 0.1 grad, and the same again.
        ("sgd", {}, [[0.95, -1.9, 0.3, 0], [0.9, -1.8, 0.1, 0]]),
        # v = -0.1 grad, then 0.9 v - 0.1 grad = -0.19 grad: together -0.29 grad.
        ("momentum", {}, [[0.95, -1.9, 0.3, 0], [0.855, -1.71, -0.08, 0]]),
        # h = grad², then 2 grad²: 0.1 along the sign of grad, then 0.1 / sqrt(2).
        (
            "adagrad",
            {},
            [
                [0.9, -1.9, 0.4, 0],
                [0.9 - 0.1 / ROOT2, -1.9 + 0.1 / ROOT2, 0.4 - 0.1 / ROOT2, 0],
            ],
        ),
        # m = (1 - 0.9^t) grad and v = (1 - 0.999^t) grad², which lr_t undoes: 0.1 along the sign.
        ("adam", {}, [[0.9, -1.9, 0.4, 0], [0.8, -1.8, 0.3, 0]]),
        # W's gradient is (0.5 + 0.1 · 1, -1 + 0.1 · -2) = (0.6, -1.2); the biases' stays.
        ("sgd", {"weight_decay": 0.1}, [[0.94, -1.88, 0.3, 0]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_by_hand(
    name: str, settings: dict[str, float], after: list[list[float]], dtype: str
) -> None:
    network, optimizer = by_hand(dtype), OPTIMIZERS[name](0.1, **settings)
    for expected in after:
        network.grad[:] = GRAD
        optimizer.step(network)
        # 1e-5: Adam's 1e-7 beside sqrt(v) = sqrt(0.001) |grad|, which is 0.016 at least.
        np.testing.assert_allclose(network.theta, expected, rtol=0, atol=1e-5)
    assert network.theta.dtype == dtype
    assert {array.dtype.name for key, array in optimizer.state.items() if key != "t"} <= {dtype}


# The optimizers as the book writes them: out of place, one parameter after another.


def plain_sgd(kept: dict[str, Any], W: Any, grad: Any, t: int) -> Any:
    return W - 0.01 * grad


def plain_momentum(kept: dict[str, Any], W: Any, grad: Any, t: int) -> Any:
    kept["v"] = 0.9 * kept.get("v", 0) - 0.01 * grad
    return W + kept["v"]


def plain_adagrad(kept: dict[str, Any], W: Any, grad: Any, t: int) -> Any:
    kept["h"] = kept.get("h", 0) + grad * grad
    return W - 0.01 * grad / (np.sqrt(kept["h"]) + 1e-7)


def plain_adam(kept: dict[str, Any], W: Any, grad: Any, t: int) -> Any:
    lr_t = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    m, v = kept.get("m", 0), kept.get("v", 0)
    kept["m"], kept["v"] = m + (1 - 0.9) * (grad - m), v + (1 - 0.999) * (grad**2 - v)
    return W - lr_t * kept["m"] / (np.sqrt(kept["v"]) + 1e-7)


PLAIN = {
    "sgd": plain_sgd,
    "momentum": plain_momentum,
    "adagrad": plain_adagrad,
    "adam": plain_adam,
}


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_ten_updates_are_those_of_a_plain_loop(name: str, weight_decay: float) -> None:
    rng = np.random.default_rng(0)
    params = draw_params(rng, (6, 5, 3), scheme="normal", scale=1.0, dtype="float64")
    x, t = rng.random((7, 6)), rng.integers(0, 3, 7)
    network, optimizer = Network(params), OPTIMIZERS[name](0.01, weight_decay=weight_decay)
    kept: dict[str, dict[str, Any]] = {key: {} for key in params}
    for update in range(1, 11):
        network.gradient(x, t)
        optimizer.step(network)
        plain = Network(params)
        plain.gradient(x, t)
        for key, W in params.items():
            decay = weight_decay * W if key.startswith("W") else 0.0
            params[key] = PLAIN[name](kept[key], W, plain.grads[key] + decay, update)
    for key, values in params.items():
        np.testing.assert_allclose(network.params[key], values, rtol=1e-12, err_msg=key)


# What others wrote, in plain Python, for one weight.


def adam_of_the_paper(theta: float, gradients: Sequence[float]) -> float:
    """Algorithm 1 of Kingma and Ba 2015. It adds epsilon after the correction, the book before."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + (1 - 0.9) * g
        v = 0.999 * v + (1 - 0.999) * g**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        epsilon = 1e-7 / math.sqrt(1 - 0.999**t)
        theta -= 0.01 * m_hat / (math.sqrt(v_hat) + epsilon)
    return theta


def momentum_of_pytorch(theta: float, gradients: Sequence[float]) -> float:
    """torch.optim.SGD(lr=0.01, momentum=0.9), from its documentation."""
    buffer = 0.0
    for g in gradients:
        buffer = 0.9 * buffer + g
        theta -= 0.01 * buffer
    return theta


@pytest.mark.parametrize(
    ("optimizer", "independent"),
    [(Adam(0.01), adam_of_the_paper), (Momentum(0.01), momentum_of_pytorch)],
)
def test_a_hundred_updates_by_an_independent_implementation(
    optimizer: Optimizer, independent: Callable[[float, Sequence[float]], float]
) -> None:
    gradients = np.random.default_rng(0).standard_normal((100, 4)) * [1, 1e-3, 1e-6, 0]
    network = by_hand()
    for gradient in gradients:
        network.grad[:] = gradient
        optimizer.step(network)
    for k, start in enumerate(THETA):
        expected = independent(start, gradients[:, k].tolist())
        assert network.theta[k] == pytest.approx(expected, rel=1e-12), f"weight {k}"


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_step_changes_theta_in_place(name: str) -> None:
    network = by_hand()
    theta = network.theta
    network.grad[:] = GRAD
    OPTIMIZERS[name](0.1).step(network)
    assert network.theta is theta
    assert theta.tolist()[:3] != THETA[:3]
    assert network.params["W1"].tolist() == [theta[:2].tolist()]
