"""A network built from given weights: its outputs, its loss, its gradient."""

import math
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sgdprobe.nn import ACTIVATIONS, GRADIENTS, LOSSES, SOFTMAX_AXIS, Network, draw_params
from sgdprobe.nn.functions import Array, Labels

X = np.eye(2)  # two examples of two pixels: x @ W is W itself
T = np.array([0, 1])
SCORES = [[0.0, math.log(2)], [math.log(3), math.log(4)]]  # exp of these: 1 2 / 3 4
GUARD = 1e-6  # what the 1e-7 added to y, of 0.1 and more here, can change
DTYPES = ["float32", "float64"]


def no_hidden_layer(W: list[list[float]], dtype: str = "float64") -> dict[str, Array]:
    return {"W1": np.array(W, dtype), "b1": np.zeros(len(W[0]), dtype)}


def drawn(
    hidden: tuple[int, ...] = (5, 4), scale: float = 1.0, dtype: str = "float64"
) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return draw_params(rng, (6, *hidden, 3), scheme="normal", scale=scale, dtype=dtype)


def batch(n: int, dtype: str = "float64") -> tuple[Array, Labels]:
    rng = np.random.default_rng(1)
    return rng.random((n, 6)).astype(dtype), rng.integers(0, 3, n)


def test_the_softmax_over_each_sample_by_hand() -> None:
    network = Network(no_hidden_layer(SCORES))
    np.testing.assert_allclose(network.forward(X), [[1 / 3, 2 / 3], [3 / 7, 4 / 7]], rtol=1e-14)
    loss = network.gradient(X, T)
    assert loss == pytest.approx(-math.log(1 / 3 * 4 / 7) / 2, rel=GUARD)
    # delta = (y - t) / 2; dW1 = x.T @ delta is delta itself, db1 its column sums.
    delta = [[-1 / 3, 1 / 3], [3 / 14, -3 / 14]]
    np.testing.assert_allclose(network.grads["W1"], delta, atol=GUARD)
    np.testing.assert_allclose(network.grads["b1"], [-5 / 42, 5 / 42], atol=GUARD)


def test_the_notes_softmax_over_the_batch_by_hand() -> None:
    network = Network(no_hidden_layer(SCORES), softmax_over="batch")
    np.testing.assert_allclose(network.forward(X), [[0.1, 0.2], [0.3, 0.4]], rtol=1e-14)
    loss = network.gradient(X, T)
    assert loss == pytest.approx(-math.log(0.1 * 0.4) / 2, rel=GUARD)
    # All of y sums to 1, and so do both samples' shares of 1/2: delta = y - t / 2.
    delta = [[-0.4, 0.2], [0.3, -0.1]]
    np.testing.assert_allclose(network.grads["W1"], delta, atol=GUARD)
    np.testing.assert_allclose(network.grads["b1"], [-0.1, 0.1], atol=GUARD)


def test_mean_squared_error_by_hand() -> None:
    # One example, y = (1/4, 3/4), t = (1, 0): loss 1/2 (9/16 + 9/16) = 9/16.
    # dL/dy = y - t = (-3/4, 3/4); dL/da = y (dL/dy - sum(dL/dy y)), with sum = -3/16 + 9/16 = 3/8:
    # (1/4 · -9/8, 3/4 · 3/8) = (-9/32, 9/32).
    network = Network(no_hidden_layer([[0.0, math.log(3)]]), loss="mean_squared_error")
    loss = network.gradient(np.array([[1.0]]), np.array([0]))
    assert loss == pytest.approx(9 / 16)
    np.testing.assert_allclose(network.grad, [-9 / 32, 9 / 32, -9 / 32, 9 / 32], rtol=1e-14)


@pytest.mark.parametrize(
    ("over", "nothing_known"), [("sample", math.log(10)), ("batch", math.log(100 * 10))]
)
def test_a_network_of_zeros_gives_every_class_the_same(over: str, nothing_known: float) -> None:
    network = Network(no_hidden_layer([[0.0] * 10] * 6), softmax_over=over)
    x, _ = batch(100)
    # y + 1e-7 is y (1 + 1e-6) for y = 1/10, and y (1 + 1e-4) for y = 1/1000.
    assert network.loss(x, np.arange(100) % 10) == pytest.approx(nothing_known, abs=1.1e-4)


def test_hidden_layers_by_a_plain_loop() -> None:
    params, (x, _) = drawn(), batch(7)
    h = x
    for k in (1, 2):
        h = np.tanh(h @ params[f"W{k}"] + params[f"b{k}"])
    scores = h @ params["W3"] + params["b3"]
    network = Network(params, activation="tanh")
    np.testing.assert_allclose(network.scores(x), scores, rtol=1e-12)
    y = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.forward(x), y, rtol=1e-12)


# Wrong shapes that NumPy would broadcast, cut or wrap to some result.
@pytest.mark.parametrize(
    ("x", "t", "words"),
    [
        (np.ones((2, 3)), np.array([0, 1]), "x must be (n, 2); got (2, 3)"),
        (np.ones(2), np.array([0]), "x must be (n, 2); got (2,)"),
        (X, np.array([[0], [1]]), "t must be (2,) labels; got (2, 1)"),
        (X, np.array([0]), "t must be (2,) labels; got (1,)"),
        (X, np.array([0, 3]), "labels must be 0 … 2; got 3"),
        (X, np.array([0, -1]), "labels must be 0 … 2; got -1"),
        (X, np.array([0.0, 1.0]), "labels must be integers; got float64"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(x: Array, t: NDArray[Any], words: str) -> None:
    network = Network(no_hidden_layer([[1.0, 2.0, 0.0], [5.0, 4.0, 3.0]]))
    with pytest.raises(ValueError, match=re.escape(words)):
        network.gradient(x, t)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "params must be W1, b1, W2, b2, … in this order; got []"),
        ({"b1": np.ones(2), "W1": np.ones((3, 2))}, "in this order; got ['b1', 'W1']"),
        ({"W1": np.ones((3, 2)), "b1": np.ones(1)}, "W1 must be (3, units) and b1 (units,)"),
        ({"W1": np.ones(3), "b1": np.ones(3)}, "got (3,) and (3,)"),
        (
            {"W1": np.ones((3, 2)), "b1": np.ones(2), "W2": np.ones((4, 5)), "b2": np.ones(5)},
            "W2 must be (2, units) and b2 (units,); got (4, 5) and (5,)",
        ),
    ],
)
def test_weights_that_do_not_fit_each_other_are_refused(
    params: dict[str, Array], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Network(params)


@pytest.mark.parametrize("over", sorted(SOFTMAX_AXIS))
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_loss_is_the_same_however_it_is_asked_for(name: str, over: str) -> None:
    network, (x, t) = Network(drawn(), softmax_over=over, loss=name), batch(7)
    loss = network.gradient(x, t)
    assert network.loss(x, t) == pytest.approx(loss, rel=1e-14)
    assert network.loss(x, np.eye(3, dtype=int)[t]) == pytest.approx(loss, rel=1e-14)
    assert LOSSES[name].function(network.forward(x), t) == pytest.approx(loss, rel=1e-14)


def test_weights_are_copied_and_named_views_of_theta() -> None:
    given = drawn()
    network = Network(given)
    network.theta += 1.0
    for name, values in network.params.items():
        np.testing.assert_array_equal(values, given[name] + 1.0, err_msg=name)
    assert network.theta.size == sum(values.size for values in given.values())
    assert {name: g.shape for name, g in network.grads.items()} == {
        name: values.shape for name, values in given.items()
    }


def test_the_flat_gradient_lies_as_theta_does() -> None:
    network, (x, t) = Network(drawn()), batch(7)
    before = network.theta.copy()
    network.gradient(x, t)
    np.testing.assert_array_equal(
        network.grad, np.concatenate([network.grads[name].ravel() for name in network.params])
    )
    assert network.grad.any()
    np.testing.assert_array_equal(network.theta, before)


HIDDEN = [(), (5,), (5, 4)]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("factor", "offset"), [(1 / 255, 0.0), (0.01, 2.0), (1.0, 0.5)])
def test_what_the_network_makes_of_pixels_is_as_if_they_had_been_scaled(
    factor: float, offset: float, hidden: tuple[int, ...]
) -> None:
    pixels, t = 255 * batch(7)[0], batch(7)[1]
    raw = Network(drawn(hidden), factor=factor, offset=offset)
    scaled = Network(drawn(hidden))
    x = factor * pixels - offset
    np.testing.assert_allclose(raw.scores(pixels), scaled.scores(x), rtol=1e-12, atol=1e-12)
    assert raw.gradient(pixels, t) == pytest.approx(scaled.gradient(x, t), rel=1e-12)
    np.testing.assert_allclose(raw.grad, scaled.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("factor", "offset"), [(1.0, 0.0), (0.01, 2.0)])
def test_first_columns_of_0_may_be_missing(
    factor: float, offset: float, hidden: tuple[int, ...]
) -> None:
    x, t = batch(7)
    x[:, :2] = 0.0
    network = Network(drawn(hidden), factor=factor, offset=offset)
    scores = network.scores(x).copy()
    loss = network.gradient(x, t)
    grad = network.grad.copy()
    # Leave something in the gradient that must not stay there.
    network.grad[:] = 9.0
    np.testing.assert_allclose(network.scores(x[:, 2:].copy()), scores, rtol=1e-12, atol=1e-12)
    assert network.gradient(x[:, 2:].copy(), t) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(network.grad, grad, rtol=1e-10, atol=1e-12)
    if offset == 0:
        assert not network.grads["W1"][:2].any()


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("over", sorted(SOFTMAX_AXIS))
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_both_ways_to_the_gradient_write_it_and_return_the_loss(
    loss: str, over: str, hidden: tuple[int, ...]
) -> None:
    network, (x, t) = Network(drawn(hidden), softmax_over=over, loss=loss), batch(7)
    results = []
    for name in ("backprop", "numerical"):
        value = GRADIENTS[name](network, x, t)
        results.append((value, network.grad.copy()))
    (backprop, grad), (numerical, central) = results
    assert backprop == pytest.approx(numerical, rel=1e-14)
    np.testing.assert_allclose(grad, central, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("over", sorted(SOFTMAX_AXIS))
def test_batches_of_changing_sizes_do_not_mix(over: str) -> None:
    network = Network(drawn(), softmax_over=over)
    for n in (5, 3, 5, 1, 3):
        x, t = batch(n)
        fresh = Network(drawn(), softmax_over=over)
        assert network.gradient(x, t) == fresh.gradient(x, t)
        np.testing.assert_array_equal(network.grad, fresh.grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_float_type_is_kept(activation: str, loss: str, dtype: str) -> None:
    network = Network(drawn(dtype=dtype), activation=activation, loss=loss)
    x, t = batch(7, dtype)
    network.gradient(x, t)
    grad = network.grad
    kept = [network.theta, grad, network.forward(x), network.params["W1"], network.grads["b3"]]
    assert {array.dtype.name for array in kept} == {dtype}
    wide = Network(drawn(), activation=activation, loss=loss)
    wide.gradient(*batch(7))
    assert grad.any()
    np.testing.assert_allclose(grad, wide.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("over", sorted(SOFTMAX_AXIS))
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_raw_pixels_and_wide_weights_give_numbers_and_no_warning(
    activation: str, loss: str, over: str, dtype: str
) -> None:
    # The notes' sums have a standard deviation of thousands; through identity and relu the scores
    # grow to 10^5. A warning would fail the test.
    rng = np.random.default_rng(0)
    params = draw_params(rng, (784, 50, 100, 10), scheme="normal", scale=1.0, dtype=dtype)
    x = rng.integers(0, 256, (100, 784)).astype(dtype)
    network = Network(params, activation=activation, softmax_over=over, loss=loss)
    t = rng.integers(0, 10, 100)
    value, grad = network.gradient(x, t), network.grad
    assert 0 < value <= -math.log(1e-7) * (1 + 1e-6)
    assert np.isfinite(grad).all()
    # What sums to one: each of the 100 rows, or all of them together.
    whole = {"sample": 100.0, "batch": 1.0}[over]
    assert float(network.forward(x).sum()) == pytest.approx(whole, rel=1e-5)
    if activation != "sigmoid":  # nothing else may overflow that `scores` would not report
        h: Array = x
        with np.errstate(over="raise"):
            for layer in network.layers(100).up_to_scores:
                h = layer.forward(h)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("t", "loss"), [([0, 1], 0.0), ([1, 0], 7 * math.log(10))])
def test_scores_of_1e30_right_and_wrong(dtype: str, t: list[int], loss: float) -> None:
    network = Network(no_hidden_layer([[1e30, -1e30], [-1e30, 1e30]], dtype))
    found = network.gradient(X.astype(dtype), np.array(t))
    assert found == pytest.approx(loss, abs=1e-5)
    # Sure and right, there is nothing to learn; sure and wrong, y = 0 of the true class teaches
    # nothing either, for the guard's sake.
    np.testing.assert_allclose(network.grad, np.zeros(6), atol=1e-6)


@pytest.mark.parametrize(
    ("output", "softmax_over", "expected"),
    [
        # The scores are the pixels themselves: 0 and ln 3, then -1 and -3.
        ("softmax", "sample", [[0.25, 0.75], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]]),
        ("softmax", "batch", [[0.25, 0.75], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]]),
        # Cut off below 0 and divided by the sum; none is above 0 in the second sample.
        ("identity", "sample", [[0, 1], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]]),
        ("relu", "sample", [[0, 1], [0.5, 0.5]]),
        # sigmoid(ln 3) is 3 / 4, beside sigmoid(0), which is 1 / 2.
        ("sigmoid", "sample", [[0.4, 0.6], [0.850092, 0.149908]]),
    ],
)
def test_probabilities_by_hand(output: str, softmax_over: str, expected: list[Any]) -> None:
    params = {"W1": np.eye(2), "b1": np.zeros(2)}
    network = Network(params, output=output, softmax_over=softmax_over)
    x = np.array([[0, np.log(3)], [-1, -3]])
    found = network.probabilities(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    network.scores(x * 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg="a buffer was handed out")


def test_hidden_outputs_are_those_of_the_last_pass() -> None:
    params = {
        "W1": np.eye(2), "b1": np.zeros(2), "W2": np.eye(2), "b2": np.zeros(2),
    }  # fmt: skip
    for activation, expected in (("relu", [[0, 2]]), ("identity", [[-1, 2]])):
        network = Network(params, activation=activation, output="sigmoid_softmax")
        network.gradient(np.array([[-1.0, 2.0]]), np.array([0]))
        (found,) = network.outputs(1)
        assert found.tolist() == expected, "the output's own sigmoid is no hidden layer"
