"""Diagnostics that reports draw: by hand on tiny networks, and that they change nothing."""

import numpy as np
import pytest

from sgdprobe.data import Dataset
from sgdprobe.nn import Examples, Network
from sgdprobe.run.learned import (
    BINS,
    DECADES,
    Predictions,
    histograms,
    image_facts,
    pack_images,
    unpack_images,
)

# Two pixels, two classes: class 0 where pixel 0 is brighter. Scores are the pixels themselves.
IMAGES = np.array([[3, 0], [0, 1], [2, 0], [0, 9]], np.uint8)
PARAMS = {"W1": np.eye(2), "b1": np.zeros(2)}
LABELS = np.array([0, 0, 1, 0], np.uint8)


def dataset(images: np.ndarray, shape: tuple[int, ...] = ()) -> Dataset:
    labels = np.zeros(len(images), np.uint8)
    return Dataset("made", images, labels, images, labels, shape=shape)


def test_predictions_are_in_the_data_sets_order() -> None:
    # Stored backwards: example i is in row 3 - i.
    examples = Examples(
        IMAGES[::-1], LABELS[::-1], position=np.array([3, 2, 1, 0]), dtype="float64"
    )
    found = Predictions.of(Network(PARAMS), examples)
    assert found.labels.tolist() == [0, 0, 1, 0]
    assert found.predicted.tolist() == [0, 1, 0, 1]
    sure = 1 / (1 + np.exp(-np.array([3.0, 1.0, 2.0, 9.0])))
    np.testing.assert_allclose(found.probability, sure, rtol=1e-12)
    assert found.confusion_matrix(2).tolist() == [[1, 2], [1, 0]]


def test_the_surest_errors_come_first_with_their_pixels() -> None:
    found = Predictions.of(Network(PARAMS), Examples(IMAGES, LABELS, dtype="float64"))
    wrong = found.most_wrong(dataset(IMAGES))
    assert wrong["images"] == [3, 2, 1]
    assert wrong["labels"] == [0, 1, 0]
    assert wrong["predicted"] == [1, 0, 1]
    assert wrong["probabilities"] == [0.999877, 0.880797, 0.731059]
    assert unpack_images(wrong["pixels"], 1, 2).tolist() == [[[0, 9]], [[2, 0]], [[0, 1]]]


@pytest.mark.parametrize("text", ["eA==", "no base64", pack_images(np.zeros((1, 3), np.uint8))])
def test_damaged_pixels(text: str) -> None:
    with pytest.raises(ValueError, match=r"damaged|padded|reshape"):
        unpack_images(text, 1, 2)


def test_pixels_that_unpack_to_too_many_are_cut() -> None:
    assert unpack_images(pack_images(np.zeros((10**6, 2), np.uint8)), 1, 2).shape == (25, 1, 2)


def test_histograms_by_hand() -> None:
    # One hidden ReLU unit: outputs 0, 1, 2 for the pixels 0, 1, 2; the second layer sees them.
    params = {
        "W1": np.ones((1, 1)), "b1": np.zeros(1), "W2": np.array([[1.0, -1.0]]), "b2": np.zeros(2),
    }  # fmt: skip
    network = Network(params, activation="relu")
    examples = Examples(np.array([[0], [1], [2]], np.uint8), np.array([0, 1, 1]), dtype="float64")
    theta = network.theta.copy()
    first, second = histograms(network, examples)
    assert np.array_equal(network.theta, theta)
    activation = first["activation"]
    assert (activation["low"], activation["high"], activation["not_finite"]) == (0.0, 2.0, 0.0)
    assert [k for k, count in enumerate(activation["counts"]) if count] == [0, BINS // 2, BINS - 1]
    # dL/dW2 is the sum of h (y - t) / 3: sigmoid(2) / 3 + 2 sigmoid(4) / 3 = 0.94828 for class 0.
    assert network.grads["W2"][0, 0] == pytest.approx(0.94828, abs=1e-4)
    low, high = DECADES
    place = int((np.log10(0.94828) - low) / (high - low) * BINS)
    assert second["gradient"]["counts"][place] == 2
    assert "activation" not in second


def test_zeros_and_infinities_are_counted_apart() -> None:
    params = {"W1": np.eye(2), "b1": np.zeros(2)}
    examples = Examples(np.array([[255, 0]], np.uint8), np.array([0]), dtype="float64")
    (layer,) = histograms(Network(params | {"W1": np.array([[0.0, 0.1], [1, 1]])}), examples)
    found = layer["gradient"]
    assert (found["zeros"], found["not_finite"]) == (0.5, 0.0), "pixel 1 is dark"
    assert sum(found["counts"]) == 2
    (layer,) = histograms(Network(params | {"W1": np.full((2, 2), 1e308)}), examples)
    found = layer["gradient"]
    assert (found["zeros"], found["not_finite"]) == (0.0, 1.0), "the scores overflow"
    assert sum(found["counts"]) == 0


def test_large_arrays_are_sampled() -> None:
    params = {"W1": np.zeros((300, 100), np.float32), "b1": np.zeros(100, np.float32)}
    images = np.full((1, 300), 255, np.uint8)
    (layer,) = histograms(Network(params), Examples(images, np.array([0])))
    assert sum(layer["gradient"]["counts"]) == 20_000


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 8), (2, 8)), ((16,), (4, 4)), ((), (4, 4)), ((12,), (1, 12))]
)
def test_the_size_of_an_image(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    images = np.zeros((1, 12 if shape == (12,) else 16), np.uint8)
    facts = image_facts(dataset(images, shape))
    assert (facts["height"], facts["width"]) == size


def test_the_border_of_the_images() -> None:
    images = np.full((5, 3, 3), 200, np.uint8)
    images[:, 1, 1] = 0
    assert image_facts(dataset(images.reshape(5, 9), (3, 3)))["border"] == 200.0
