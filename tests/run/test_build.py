"""What training gets, from settings and data: is leaving out dark pixels leaving out nothing?"""

from pathlib import Path

import numpy as np
import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.errors import DataError
from sgdprobe.nn import SGD, AdaGrad, Adam, Momentum, Network, Optimizer, train
from sgdprobe.nn.functions import Array
from sgdprobe.run.build import (
    build_network,
    build_optimizer,
    factor_and_offset,
    initial_params,
    load_data,
    params_in_pixel_order,
    random_streams,
    splits,
)

# The second pixel and the last are 0 in every image; the first is darker than the third.
DARK = [[10, 0, 200, 0], [0, 0, 30, 0], [25, 0, 7, 0], [90, 0, 0, 0]]
ORDER = [1, 3, 0, 2]


@pytest.fixture
def data() -> Dataset:
    """Four training images and the first two of them again as test images."""
    images = np.array(DARK, np.uint8)
    labels = np.array([0, 1, 2, 1], np.uint8)
    return Dataset("tiny", images, labels, images[:2], labels[:2])


def settings(scale: str, **data: int) -> Settings:
    return Settings.from_dict(
        {
            "dtype": "float64",
            "data": {"scale": scale, **data},
            "network": {"hidden": [3]},
            "init": {"scale": 1},
            "training": {"iterations": 5, "batch_size": 2},
        }
    )


def test_batches_have_the_darkest_pixels_first_but_for_those_dark_in_all(data: Dataset) -> None:
    train = splits(settings("none"), data).train
    for mask, x in (
        ([0, 1], [[10, 200], [0, 30]]),
        ([1], [[30]]),
        ([3, 0], [[90, 0], [10, 200]]),
    ):
        assert train.batch(np.array(mask))[0].tolist() == x


def test_the_network_has_a_weight_for_every_pixel_and_gives_it_back(data: Dataset) -> None:
    chosen = settings("none")
    first = initial_params(chosen, data, random_streams(0)["weights"])
    network = build_network(chosen, data, first)
    np.testing.assert_array_equal(network.params["W1"], first["W1"][ORDER])
    whole = params_in_pixel_order(data, network)
    assert list(whole) == list(first)
    for name, values in first.items():
        np.testing.assert_array_equal(whole[name], values, err_msg=name)


def scaled(scale: str) -> Array:
    """What the network should see of the images, by the definition of each scale."""
    x: Array = np.array(DARK, float)
    if scale == "standard":
        return np.asarray((x - x.mean()) / x.std())
    return x / 255 if scale == "unit" else x


@pytest.mark.parametrize("scale", ["none", "unit", "standard"])
def test_training_is_that_of_a_plain_loop_on_all_pixels_scaled(scale: str, data: Dataset) -> None:
    chosen = settings(scale)
    first = initial_params(chosen, data, random_streams(0)["weights"])
    network, rng = build_network(chosen, data, first), random_streams(0)["batches"]
    examples = splits(chosen, data).train
    metrics = list(
        train(network, examples, examples, rng, build_optimizer(chosen), batch_size=2, updates=5)
    )

    plain, rng, losses = Network(first), random_streams(0)["batches"], []
    for mask in rng.integers(0, 4, (2, 2)), rng.integers(0, 4, (2, 2)), rng.integers(0, 4, (1, 2)):
        for indices in mask:
            losses.append(plain.gradient(scaled(scale)[indices], data.train_labels[indices]))
            plain.theta -= 0.1 * plain.grad
    assert [loss for m in metrics for loss in m.losses] == pytest.approx(losses, rel=1e-12)
    ours = params_in_pixel_order(data, network)
    for name, values in plain.params.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-11, err_msg=name)
    if scale != "standard":
        np.testing.assert_array_equal(ours["W1"][[1, 3]], first["W1"][[1, 3]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", SGD(0.3, weight_decay=0.01)),
        ("momentum", Momentum(0.3, weight_decay=0.01, momentum=0.5)),
        ("adagrad", AdaGrad(0.3, weight_decay=0.01)),
        ("adam", Adam(0.3, weight_decay=0.01, beta1=0.6, beta2=0.7)),
    ],
)
def test_an_optimizer_takes_its_own_settings(name: str, expected: Optimizer) -> None:
    training = {
        "optimizer": name,
        "learning_rate": 0.3,
        "weight_decay": 0.01,
        "momentum": 0.5,
        "beta1": 0.6,
        "beta2": 0.7,
    }
    optimizer = build_optimizer(Settings.from_dict({"training": training}))
    assert repr(optimizer) == repr(expected)


def test_what_is_held_out_is_the_end_of_the_training_images(data: Dataset) -> None:
    parts = splits(settings("none", validation=1), data)
    assert parts.validation is not None
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (3, 1, 2)
    for part, x in ((parts.train, [[0, 30], [25, 7]]), (parts.validation, [[90, 0]])):
        assert part.batch(np.arange(len(part))[-2:])[0].tolist() == x


def test_constant_images_cannot_be_standardized(tmp_path: Path) -> None:
    images = np.full((4, 2, 2), 17, np.uint8)
    labels = np.array([0, 1, 0, 1], np.uint8)
    np.savez(tmp_path / "gray.npz", x_train=images, t_train=labels, x_test=images, t_test=labels)
    chosen = settings("standard").replace({"data.root": str(tmp_path / "gray.npz")})
    with pytest.raises(DataError, match="all pixels of the training images are 17, so they have"):
        load_data(chosen)


def test_images_held_out_have_no_part_in_the_scale(data: Dataset) -> None:
    # The first three images are 10, 0, 200, 0, 0, 0, 30, 0, 25, 0, 7, 0: their mean is 272 / 12.
    factor, offset = factor_and_offset(settings("standard", validation=1), data)
    assert offset / factor == pytest.approx(272 / 12, rel=1e-12)
