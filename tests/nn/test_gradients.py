"""Backprop equals central differences, whatever the network; if not, the weight is named."""

import numpy as np
import pytest
from oracle import assert_same_gradient, numerical_gradient, sharp_partial

from sgdprobe.nn import (
    ACTIVATIONS,
    INITIALIZERS,
    LOSS_REDUCTIONS,
    LOSSES,
    OUTPUTS,
    SOFTMAX_AXIS,
    Network,
    draw_params,
)
from sgdprobe.nn.functions import Array, Labels

STEP = 5e-4  # with Richardson's combination: larger, and so with less rounding, than the notes'
SEED = 27  # one of those for which no weighted sum comes close to relu's kink at 0


def problem(
    hidden: tuple[int, ...], scheme: str, scale: float = 1.0
) -> tuple[dict[str, Array], Array, Labels]:
    """Weights, with biases that are not zero, and a batch of 7 examples of 6 pixels, 3 classes."""
    rng = np.random.default_rng(SEED)
    params = draw_params(rng, (6, *hidden, 3), scheme=scheme, scale=scale, dtype="float64")
    for k in range(1, len(hidden) + 2):
        params[f"b{k}"] += rng.uniform(-0.5, 0.5, params[f"b{k}"].shape)
    return params, rng.random((7, 6)), rng.integers(0, 3, 7)


def check_gradient(network: Network, x: Array, t: Labels) -> None:
    network.gradient(x, t)
    for name, values in network.params.items():
        central = numerical_gradient(lambda _: network.loss(x, t), values, STEP, sharp_partial)
        assert_same_gradient(name, network.grads[name], dict(np.ndenumerate(central)))


def closest_to_the_kink(params: dict[str, Array], x: Array) -> float:
    """The smallest |a| in any hidden layer of a relu network."""
    h, closest = x, np.inf
    for k in range(1, len(params) // 2):
        a = h @ params[f"W{k}"] + params[f"b{k}"]
        closest = min(closest, float(np.abs(a).min()))
        h = np.maximum(a, 0)
    return closest


@pytest.mark.parametrize("scheme", sorted(INITIALIZERS))
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)], ids=str)
@pytest.mark.parametrize("over", sorted(SOFTMAX_AXIS))
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_backprop_equals_central_differences(
    activation: str, loss: str, over: str, hidden: tuple[int, ...], scheme: str
) -> None:
    params, x, t = problem(hidden, scheme)
    if activation == "relu":
        # A weight moved by a step moves the sums by at most that times an input, or times the
        # weights behind it: ten steps are far enough.
        assert closest_to_the_kink(params, x) > 10 * STEP, "choose another SEED"
    check_gradient(Network(params, activation=activation, softmax_over=over, loss=loss), x, t)


@pytest.mark.parametrize("over", sorted(SOFTMAX_AXIS))
def test_also_where_the_network_is_sure_and_wrong(over: str) -> None:
    # With scores far apart some true classes have y << 1e-7: the guard in the logarithm, and not
    # y, then decides what a sample teaches.
    params, x, t = problem((), "normal", scale=10.0)
    network = Network(params, softmax_over=over)
    picked = network.forward(x)[np.arange(7), t]
    assert picked.min() < 1e-8
    assert picked.max() > 1e-2
    check_gradient(network, x, t)


@pytest.mark.parametrize("over", sorted(SOFTMAX_AXIS))
def test_a_batch_of_one(over: str) -> None:
    params, x, t = problem((5,), "he")
    check_gradient(Network(params, softmax_over=over), x[:1], t[:1])


def test_a_wrong_gradient_is_told_with_both_numbers_and_the_name() -> None:
    backprop = np.zeros((4, 2))
    backprop[3, 1] = 0.0123
    central = {(0, 0): 0.0, (3, 1): 0.0241}
    with pytest.raises(AssertionError) as caught:
        assert_same_gradient("W2", backprop, central)
    assert str(caught.value).startswith(
        "W2[3, 1]: backprop 0.0123, central difference 0.0241, relative error 0.49"
    )


def test_a_missing_bias_gradient_is_noticed() -> None:
    params, x, t = problem((5,), "he")
    network = Network(params)
    network.gradient(x, t)
    central = numerical_gradient(lambda _: network.loss(x, t), network.params["b1"])
    with pytest.raises(AssertionError, match=r"^b1\[\d\]: backprop 0, .* relative error 1"):
        assert_same_gradient("b1", np.zeros(5), dict(np.ndenumerate(central)))


@pytest.mark.parametrize("reduction", LOSS_REDUCTIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", OUTPUTS)
def test_gradient_of_every_output(output: str, loss: str, reduction: str) -> None:
    rng = np.random.default_rng(3)
    params = draw_params(
        rng, (6, 5, 3), scheme="xavier", scale=1.0, dtype="float64", bias_scale=0.5
    )
    params["b2"] += 2.0  # outputs without a softmax stay above 0, where the logarithm needs them
    network = Network(params, loss=loss, output=output, loss_reduction=reduction)
    x, t = rng.random((7, 6)), rng.integers(0, 3, 7)
    check_gradient(network, x, t)


def test_the_sum_is_the_mean_times_the_batch() -> None:
    rng = np.random.default_rng(4)
    params = draw_params(rng, (6, 5, 3), scheme="xavier", scale=1.0, dtype="float64")
    mean, total = Network(params), Network(params, loss_reduction="sum")
    x, t = rng.random((7, 6)), rng.integers(0, 3, 7)
    assert total.gradient(x, t) == pytest.approx(7 * mean.gradient(x, t))
    np.testing.assert_allclose(total.grad, 7 * mean.grad)
