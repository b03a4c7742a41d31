"""From settings and data to what training needs: examples, network, random streams, length."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdprobe.data import Dataset, load
from sgdprobe.nn import Examples, Network, initial_params, updates_per_epoch
from sgdprobe.nn.functions import Array
from sgdprobe.settings import Settings, check_against_data

Params = dict[str, Array]


def load_data(settings: Settings) -> Dataset:
    """The dataset of these settings, checked. Raises DataError or SettingsError."""
    data = load(settings.data.name, settings.data.root)
    check_against_data(settings, len(data.train_images))
    return data


@dataclass(frozen=True)
class Splits:
    """The examples to train on, to test on, and those held out, if any."""

    train: Examples
    test: Examples
    validation: Examples | None


def seen(settings: Settings, data: Dataset) -> Dataset:
    """What training sees: without the pixels that are 0 in every image, if that makes an x of 0.

    An input that is always 0 adds nothing and its weights get no gradient: leaving it out changes
    rounding only, and saves a twelfth of the work on MNIST.
    """
    return data.packed if settings.data.scale == "standard" else data.trimmed


def splits(settings: Settings, data: Dataset) -> Splits:
    """The examples, scaled as asked for; held out are the last training images."""
    factor, offset = 1.0, 0.0
    if settings.data.scale == "unit":
        factor = 1 / 255
    elif settings.data.scale == "standard":
        mean, std = data.pixel_mean_and_std
        factor, offset = 1 / std, mean / std
    data = seen(settings, data)

    def examples(images: np.ndarray, labels: np.ndarray) -> Examples:
        return Examples(images, labels, factor=factor, offset=offset, dtype=settings.dtype)

    kept = len(data.train_images) - settings.data.validation
    return Splits(
        train=examples(data.train_images[:kept], data.train_labels[:kept]),
        test=examples(data.test_images, data.test_labels),
        validation=examples(data.train_images[kept:], data.train_labels[kept:])
        if settings.data.validation
        else None,
    )


def updates_and_epochs(settings: Settings, data: Dataset) -> tuple[int, int]:
    """The run's length in updates, and in epochs, a last part-epoch counting as one."""
    training = settings.training
    kept = len(data.train_images) - settings.data.validation
    per_epoch = updates_per_epoch(kept, training.batch_size)
    if training.epochs is not None:
        return training.epochs * per_epoch, training.epochs
    assert training.iterations is not None
    return training.iterations, updates_per_epoch(training.iterations, per_epoch)


def random_streams(seed: int) -> dict[str, np.random.Generator]:
    """A generator for each purpose: what one draws never moves what another draws."""
    purposes = ("weights", "batches")
    seeds = np.random.SeedSequence(seed).spawn(len(purposes))
    return {p: np.random.default_rng(s) for p, s in zip(purposes, seeds, strict=True)}


def first_params(settings: Settings, data: Dataset, rng: np.random.Generator) -> Params:
    """The initial weights, those of all pixels."""
    sizes = (data.pixels, *settings.network.hidden, data.classes)
    init = settings.init
    return initial_params(rng, sizes, scheme=init.scheme, scale=init.scale, dtype=settings.dtype)


def build(settings: Settings, data: Dataset, params: Params) -> Network:
    """The network with these weights, on the pixels that `splits` hands out."""
    network = settings.network
    return Network(
        params | {"W1": params["W1"][_rows(settings, data)]},
        activation=network.activation,
        softmax_over=network.softmax_over,
        loss=network.loss,
    )


def whole_params(settings: Settings, data: Dataset, first: Params, network: Network) -> Params:
    """The network's weights, with those of the pixels left out as they were at first."""
    W1 = first["W1"].copy()
    W1[_rows(settings, data)] = network.params["W1"]
    return network.params | {"W1": W1}


def _rows(settings: Settings, data: Dataset) -> Any:
    return slice(None) if settings.data.scale == "standard" else data.lit
