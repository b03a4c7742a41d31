"""Layers one by one: worked numbers, buffers, and an activation that keeps its input."""

import numpy as np
import pytest
from oracle import assert_same_gradient, numerical_gradient, sharp_partial

from sgdprobe.nn import ACTIVATIONS, Network, draw_params, symptoms
from sgdprobe.nn.functions import LOSSES, ActivationFunction, Array, sigmoid
from sgdprobe.nn.layers import Activation, Affine, PixelAffine, SoftmaxWithLoss

W = np.array([[1.0, 2.0], [0.0, -1.0]])
B = np.array([10.0, 20.0])


@pytest.mark.parametrize("column_major", [False, True])
def test_affine_by_hand(column_major: bool) -> None:
    layer = Affine(W, B, np.empty((2, 2)), np.empty(2), n=2, column_major=column_major)
    # (1 2) W = (1, 2 - 2) and (3 0) W = (3, 6), and b is added.
    assert layer.forward(np.array([[1.0, 2.0], [3.0, 0.0]])).tolist() == [[11, 20], [13, 26]]
    # dout W.T: (1·1 + 1·2, 0·1 - 1·1) and (0·1 + 2·2, -2·1).
    dx = layer.backward(np.array([[1.0, 1.0], [0.0, 2.0]]))
    assert dx.tolist() == [[3, -1], [4, -2]]
    assert layer.dW.tolist() == [[1, 7], [2, 2]]  # x.T dout
    assert layer.db.tolist() == [1, 3]  # the column sums of dout


def test_pixel_affine_by_hand() -> None:
    layer = PixelAffine(W, B, np.empty((2, 2)), np.empty(2), n=1, factor=0.5, offset=1.0)
    # 0.5 · (4 2) - 1 = (1 0), and (1 0) W = (1 2).
    assert layer.forward(np.array([[4.0, 2.0]])).tolist() == [[11, 22]]
    layer.backward(np.array([[2.0, 3.0]]))
    assert layer.dW.tolist() == [[2, 3], [0, 0]]
    assert layer.db.tolist() == [2, 3]


def test_softmax_with_loss_by_hand() -> None:
    # exp: 1 and 3, so y = (1/4, 3/4), and dL/da = y - t = (1/4, -1/4).
    a = np.log([[1.0, 3.0]])
    layer = SoftmaxWithLoss(LOSSES["cross_entropy"], "sample", like=a)
    assert layer.forward(a, np.array([1])) == pytest.approx(-np.log(3 / 4), rel=1e-6)
    np.testing.assert_allclose(layer.backward(), [[1 / 4, -1 / 4]], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_computed_from_its_output_takes_no_array_for_it(name: str) -> None:
    a = np.array([[-1.0, 2.0]])
    assert Activation(ACTIVATIONS[name], like=a).forward(a) is a


# An activation whose derivative can't be had from its output: a · sigmoid(a) takes most of its
# negative values twice.


def swish(a: Array, out: Array | None = None) -> Array:
    """a · sigmoid(a); Ramachandran et al. 2017."""
    return np.multiply(a, sigmoid(a), out=out)


def swish_derivative(a: Array, out: Array) -> Array:
    """s + a s (1 - s) with s = sigmoid(a)."""
    s = sigmoid(a)
    return np.add(s, a * s * (1 - s), out=out)


SWISH = ActivationFunction(swish, swish_derivative, max_slope=1.1, keeps_input=True)


@pytest.mark.parametrize("hidden", [(5,), (5, 4)])
def test_an_activation_may_keep_its_input(
    hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ACTIVATIONS, "swish", SWISH)
    rng = np.random.default_rng(0)
    params = draw_params(rng, (6, *hidden, 3), scheme="normal", scale=1.0, dtype="float64")
    x, t = rng.random((7, 6)), rng.integers(0, 3, 7)
    network = Network(params, activation="swish")
    network.gradient(x, t)
    for name, values in network.params.items():
        central = numerical_gradient(lambda _: network.loss(x, t), values, 5e-4, sharp_partial)
        assert_same_gradient(name, network.grads[name], dict(np.ndenumerate(central)))
    # Its slope is negative below a = -1.28: small is what is small in size.
    slope = network.slopes(7)[0]
    assert slope.min() < -0.05
    expected = np.mean(np.abs(slope) < 0.01 * 1.1)
    assert symptoms(network, x, t)["saturated_1"] == expected
