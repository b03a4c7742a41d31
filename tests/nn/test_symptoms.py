"""Signs of a network that can't learn, on networks that have them and on one that hasn't."""

import math

import numpy as np
import pytest

from sgdprobe.nn import Network, draw_params, symptoms

LABELS = np.array([0, 1] * 20)


def one_layer(*pre_activations: float, activation: str = "sigmoid") -> Network:
    """A network whose hidden units have these weighted sums for the input 1."""
    units = len(pre_activations)
    params = {
        "W1": np.array([pre_activations]),
        "b1": np.zeros(units),
        "W2": np.ones((units, 2)),
        "b2": np.zeros(2),
    }
    return Network(params, activation=activation)


def mnist_like(scheme_scale: float, brightest: float) -> dict[str, float]:
    """Symptoms of the notes' network on random images, pixels 0 … brightest."""
    rng = np.random.default_rng(0)
    params = draw_params(
        rng, (784, 50, 100, 10), scheme="normal", scale=scheme_scale, dtype="float64"
    )
    return symptoms(Network(params), brightest * rng.random((40, 784)), LABELS)


def test_the_notes_weights_on_raw_pixels_saturate_the_first_layer() -> None:
    # A sum of 784 products, pixel 0 … 255 times N(0, 1), has std 255 · sqrt(784 / 3) = 4,122;
    # a sigmoid is flat beyond 6.
    signs = mnist_like(1.0, 255)
    assert signs["saturated_1"] > 0.9
    assert signs["gradient_norm_3"] > 0


def test_small_weights_on_scaled_pixels_saturate_nothing() -> None:
    signs = mnist_like(0.01, 1)
    assert (signs["saturated_1"], signs["saturated_2"]) == (0.0, 0.0)
    assert (signs["dead_1"], signs["dead_2"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("activation", "sums", "saturated"),
    [
        # Saturated: a slope under 1 % of the steepest. The sigmoid's steepest is 1/4, and
        # h (1 - h) = 0.0025 at a = log(h / (1 - h)) = ±5.986.
        ("sigmoid", [0.0, 5.9, -5.9, 6.1, -6.1], 2 / 5),
        ("tanh", [0.0, 2.9, 3.1, -3.1], 2 / 4),  # 1 - h² = 0.01 at a = ±2.993
        ("relu", [1e-3, 1e3, -1e-3, -1e3], 2 / 4),
        ("identity", [0.0, 1e9], 0.0),
    ],
)
def test_the_saturated_share_by_hand(activation: str, sums: list[float], saturated: float) -> None:
    network = one_layer(*sums, activation=activation)
    signs = symptoms(network, np.ones((3, 1)), np.array([0, 1, 0]))
    assert signs["saturated_1"] == pytest.approx(saturated)


def test_a_unit_is_dead_if_no_example_wakes_it() -> None:
    # Inputs 1 and -1: unit 1 lives on the first, unit 2 on the second, units 3 and 4 on none.
    network = one_layer(2.0, -2.0, 0.0, 0.0, activation="relu")
    network.params["b1"][:] = [0, 0, -1, -2]
    signs = symptoms(network, np.array([[1.0], [-1.0]]), np.array([0, 1]))
    assert signs["dead_1"] == 2 / 4
    assert signs["saturated_1"] == 6 / 8


def test_gradient_norms_by_hand() -> None:
    # One example x = 1, hidden sums (0, log 3): h = (1/2, 3/4), slopes (1/4, 3/16).
    network = one_layer(0.0, math.log(3))
    network.params["W2"][:] = [[0, 3], [0, 4]]
    network.params["b2"][:] = [4.5, 0]
    signs = symptoms(network, np.array([[1.0]]), np.array([0]))
    # Scores (4.5, 1.5 + 3) = (4.5, 4.5): y = (1/2, 1/2), delta_2 = y - t = (-1/2, 1/2).
    # dW2 = h delta_2 and db2 = delta_2: norm |delta_2| · |(1/2, 3/4, 1)|, |delta_2| = sqrt(1/2).
    assert signs["gradient_norm_2"] == pytest.approx(
        math.sqrt(1 / 2) * math.sqrt(1 / 4 + 9 / 16 + 1), rel=1e-6
    )
    # delta_1 = (3/2, 2) · slopes = (3/8, 3/8): norm |delta_1| · |(x, 1)| = 3/8 · sqrt(2) · sqrt(2).
    assert signs["gradient_norm_1"] == pytest.approx(3 / 4, rel=1e-6)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
def test_every_layer_has_its_signs_and_weights_stay(hidden: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    params = draw_params(rng, (5, *hidden, 2), scheme="normal", scale=1.0, dtype="float64")
    network = Network(params)
    before = network.theta.copy()
    signs = symptoms(network, rng.random((40, 5)), LABELS)
    last = len(hidden) + 1
    expected = {f"gradient_norm_{k}" for k in range(1, last + 1)}
    expected |= {f"{sign}_{k}" for sign in ("saturated", "dead") for k in range(1, last)}
    assert set(signs) == expected
    np.testing.assert_array_equal(network.theta, before)
