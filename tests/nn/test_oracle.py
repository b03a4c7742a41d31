"""Our network against the notes' program, from the same weights and on the same batches."""

from typing import Any

import numpy as np
import oracle
import pytest

from sgdprobe.data import Dataset, load
from sgdprobe.nn import SGD, Examples, Network, accuracy, draw_params, train
from sgdprobe.nn.functions import Array, Labels

# Those of the notes' program.
RATE = 0.01
NOTES: dict[str, Any] = {"activation": "sigmoid", "softmax_over": "batch", "loss": "cross_entropy"}


def notes_weights(*sizes: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return draw_params(rng, sizes, scheme="normal", scale=1.0, dtype="float64")


# The oracle itself says what the notes print.


def test_the_oracle_prints_the_notes_losses() -> None:
    y = np.array([0.1, 0.7, 0.2])
    assert oracle.cross_entropy_error(y, np.array([0, 1, 0])) == 0.3566748010815999
    assert oracle.cross_entropy_error(np.array([y, y]), np.eye(3)[[0, 0]]) == 2.302584092994546


def test_the_oracle_prints_the_notes_gradient() -> None:
    x = np.array([3.0, 4.0])
    gradient = oracle.numerical_gradient(lambda x: float(x[0] * x[0] + x[1] * x[1]), x)
    np.testing.assert_allclose(gradient, [6.0, 8.0], rtol=1e-9)
    assert x.tolist() == [3.0, 4.0]


def test_two_steps_are_sharper_than_one() -> None:
    # Of x⁵ at 1, h = 0.1: 5 + 10 h² + h⁴ = 5.1001 with one step; 5 - h⁴/4 = 4.999975 with two.
    x = np.array([1.0])
    one, two = (
        derivative(lambda x: float(x[0] ** 5), x, (0,), 0.1)
        for derivative in (oracle.partial, oracle.sharp_partial)
    )
    assert one == pytest.approx(5.1001, rel=1e-12)
    assert two == pytest.approx(4.999975, rel=1e-12)


# A network small enough to take the notes' way through every weight.


@pytest.mark.parametrize(
    ("gradient", "tolerance"),
    [
        # The same formula in another order: rounding only, 1e-16 / 2h, times the rate.
        ("numerical", 5e-12),
        # With pixels up to 8 a step h = 1e-4 moves a sum by 8e-4, and a central difference is off
        # by about (8e-4)² / 6 = 1e-7; times the rate, that is 1e-9 an update.
        ("backprop", 1e-9),
    ],
)
def test_five_updates_of_every_weight(gradient: str, tolerance: float) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 9, (60, 12), dtype=np.uint8)
    data = Examples(images, rng.integers(0, 3, 60), dtype="float64")
    params = notes_weights(12, 5, 6, 3)
    ours, theirs = Network(params, **NOTES), oracle.NotesNetwork(params)

    [metrics] = train(
        ours,
        data,
        data,
        np.random.default_rng(2),
        SGD(RATE),
        batch_size=10,
        updates=5,
        gradient=gradient,
    )

    draws, losses = np.random.default_rng(2), []
    for _ in range(5):
        mask = draws.choice(60, 10)
        x, t = images[mask].astype(np.float64), np.eye(3, dtype=int)[data.labels[mask]]
        losses.append(theirs.loss(x, t))
        theirs.update(theirs.grad(x, t))

    assert metrics.losses == pytest.approx(losses, rel=1e-9)
    for name, values in theirs.params.items():
        np.testing.assert_allclose(ours.params[name], values, rtol=0, atol=tolerance, err_msg=name)
        moved = float(np.abs(values - params[name]).max())
        assert moved > 1e5 * tolerance, f"{name} moved by {moved:.1g}: that shows nothing"


# The network itself, on the images themselves.


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return load("mnist", None)


def test_losses_and_gradients_of_the_notes_network_on_raw_pixels(mnist: Dataset) -> None:
    params = notes_weights(784, 50, 100, 10)
    ours, theirs = Network(params, **NOTES), oracle.NotesNetwork(params)
    draws = np.random.default_rng(3)
    for _ in range(3):
        mask = draws.choice(60_000, 100)
        x, t = mnist.train_images[mask].astype(np.float64), mnist.train_labels[mask].astype(np.intp)
        loss = ours.gradient(x, t)
        one_hot = np.eye(10, dtype=int)[t]
        assert loss == pytest.approx(theirs.loss(x, one_hot), rel=1e-9)
        check_some_derivatives(ours.grads, theirs, x, one_hot)
        theirs.update(ours.grads)
        ours.theta -= RATE * ours.grad
        for name, values in theirs.params.items():
            np.testing.assert_allclose(ours.params[name], values, rtol=1e-14, err_msg=name)


def check_some_derivatives(
    grads: dict[str, Array], theirs: oracle.NotesNetwork, x: Array, t: Labels
) -> None:
    rng = np.random.default_rng(4)
    for name, values in theirs.params.items():
        # The notes' h = 1e-4 times a pixel of 255 moves a sum by 0.026, which leaves four digits of
        # a derivative right; a smaller h would round them away. Two steps (sharp_partial) leave
        # eight, and for inputs up to 1 the step can be as long in terms of the sum.
        h = 0.02 / (255 if name == "W1" else 1)
        central = {
            index: oracle.sharp_partial(lambda _: theirs.loss(x, t), values, index, h)
            for index in some_indices(grads[name], rng)
        }
        oracle.assert_same_gradient(name, grads[name], central)


def some_indices(gradient: Array, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Of 8 weights whose derivative is not negligible, or as many as there are, and of 2 others.

    Of W1 nearly all is negligible: the notes' sums of raw pixels saturate their sigmoids.
    """
    size = np.abs(gradient).ravel()
    telling = np.flatnonzero(size > oracle.NEGLIGIBLE * size.max())
    chosen = [*rng.choice(telling, min(8, telling.size), replace=False), *rng.choice(size.size, 2)]
    return [tuple(map(int, np.unravel_index(k, gradient.shape))) for k in chosen]


def test_accuracy_is_the_notes_accuracy(mnist: Dataset) -> None:
    params = notes_weights(784, 50, 100, 10)
    test = Examples(mnist.test_images, mnist.test_labels, dtype="float64")
    theirs = oracle.NotesNetwork(params).accuracy(
        mnist.test_images.astype(np.float64), np.eye(10, dtype=int)[mnist.test_labels]
    )
    assert 0 < theirs < 1
    assert accuracy(Network(params, **NOTES), test) == pytest.approx(theirs, rel=1e-12)
