"""What training gets, from settings and data: is leaving out dark pixels leaving out nothing?"""

import numpy as np
import pytest

from sgdprobe.assembly import build, first_params, random_streams, seen, splits, whole_params
from sgdprobe.data import Dataset, load
from sgdprobe.nn import Examples, Network, train
from sgdprobe.settings import Settings


def tiny(pixels: list[list[int]]) -> Dataset:
    """Four training images and the first two of them again as test images."""
    images = np.array(pixels, np.uint8)
    labels = np.array([0, 1, 2, 1], np.uint8)
    return Dataset("tiny", images, labels, images[:2], labels[:2])


# The second pixel and the last are 0 in every image.
DARK = [[10, 0, 200, 0], [0, 0, 30, 0], [255, 0, 7, 0], [90, 0, 0, 0]]


def settings(scale: str) -> Settings:
    return Settings.of(
        {
            "dtype": "float64",
            "data": {"scale": scale},
            "network": {"hidden": [3]},
            "init": {"scale": 1},
            "training": {"iterations": 5, "batch_size": 2},
        }
    )


def test_pixels_that_are_always_0_are_left_out() -> None:
    data = tiny(DARK)
    assert data.lit.tolist() == [0, 2]
    assert data.trimmed.train_images.tolist() == [[10, 200], [0, 30], [255, 7], [90, 0]]
    assert data.trimmed.pixels == 2
    assert data.pixels == 4
    assert not data.trimmed.test_images.flags.writeable


@pytest.mark.parametrize("scale", ["none", "unit"])
def test_training_without_them_is_training_with_them(scale: str) -> None:
    data, chosen = tiny(DARK), settings(scale)
    first = first_params(chosen, data, random_streams(0)["weights"])
    trimmed, whole = build(chosen, data, first), Network(first)
    assert trimmed.params["W1"].shape == (2, 3)
    factor = 1 / 255 if scale == "unit" else 1.0
    examples = Examples(data.train_images, data.train_labels, factor=factor, dtype="float64")
    rate = {"learning_rate": 0.1, "batch_size": 2, "updates": 5}
    losses = []
    for network, x in ((trimmed, splits(chosen, data).train), (whole, examples)):
        (*_, last) = train(network, x, x, random_streams(0)["batches"], **rate)  # type: ignore[arg-type]
        losses.append(last.loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    ours = whole_params(chosen, data, first, trimmed)
    assert list(ours) == list(whole.params)
    for name, values in whole.params.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(ours["W1"][[1, 3]], first["W1"][[1, 3]])


def test_a_dark_pixel_stays_where_it_is_not_0_after_scaling() -> None:
    data, chosen = tiny(DARK), settings("standard")
    assert seen(chosen, data).pixels == 4
    x, _ = splits(chosen, data).train.batch(np.array([0]))
    mean = np.mean(DARK)
    np.testing.assert_allclose(x[0], (np.array(DARK[0]) - mean) / np.std(DARK))


def test_mnist_has_719_pixels_that_are_not_always_0() -> None:
    assert len(load("mnist", None).lit) == 719
