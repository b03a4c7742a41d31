"""From settings and data to what training needs: examples, network, random streams, length."""

from dataclasses import dataclass

import numpy as np

from sgdprobe.config.settings import Settings, check_against_data
from sgdprobe.data import Dataset, SortedSplit, load, pixel_mean_and_std, sorted_splits
from sgdprobe.errors import DataError
from sgdprobe.nn import Examples, Network, Optimizer, draw_params, updates_per_epoch
from sgdprobe.nn.functions import Array
from sgdprobe.nn.optimizer import CONSTANTS, make_optimizer
from sgdprobe.provenance.source import source_hash

Params = dict[str, Array]


def run_key(settings: Settings, data: Dataset) -> str:
    """Return the key of a run: the same for runs with the same numbers."""
    return settings.key(data.digest, source_hash(), *settings.foreign().values())


def load_data(settings: Settings) -> Dataset:
    """The dataset of these settings, checked. Raises DataError or SettingsError."""
    data = load(settings.data.name, settings.data.root)
    check_against_data(settings, len(data.train_images))
    if settings.data.scale == "standard":
        mean, std = pixel_mean_and_std(data, train_images(settings, data))
        if std == 0.0:
            raise DataError(
                f"data.scale=standard: all pixels of the training images are {mean:g}, so they "
                "have no deviation to divide by; choose unit or none"
            )
    return data


def train_images(settings: Settings, data: Dataset) -> int:
    """The number of images to train on: the first ones."""
    return settings.data.train_images or len(data.train_images) - settings.data.validation


@dataclass(frozen=True)
class Splits:
    """The examples to train on, to test on, and those held out, if any."""

    train: Examples
    test: Examples
    validation: Examples | None


def splits(settings: Settings, data: Dataset) -> Splits:
    """The examples; held out are the last training images."""

    def examples(part: SortedSplit) -> Examples:
        return Examples(
            part.images,
            part.labels,
            leading_zeros=part.leading_zeros,
            position=part.position,
            dtype=settings.dtype,
        )

    parts = sorted_splits(data, settings.data.validation, train_images(settings, data))
    return Splits(
        train=examples(parts.train),
        test=examples(parts.test),
        validation=examples(parts.validation) if parts.validation else None,
    )


def factor_and_offset(settings: Settings, data: Dataset) -> tuple[float, float]:
    """Return factor and offset: the network sees factor · pixel - offset, pixels 0 … 255."""
    if settings.data.scale == "unit":
        return 1 / 255, 0.0
    if settings.data.scale == "standard":
        mean, std = pixel_mean_and_std(data, train_images(settings, data))
        return 1 / std, mean / std
    return 1.0, 0.0


def updates_and_epochs(settings: Settings, data: Dataset) -> tuple[int, int]:
    """The run's length in updates, and in epochs, a last part-epoch counting as one."""
    training = settings.training
    per_epoch = updates_per_epoch(train_images(settings, data), training.batch_size)
    if training.epochs is not None:
        return training.epochs * per_epoch, training.epochs
    assert training.iterations is not None
    return training.iterations, updates_per_epoch(training.iterations, per_epoch)


def random_streams(seed: int) -> dict[str, np.random.Generator]:
    """A generator for each purpose: what one draws never moves what another draws."""
    purposes = ("weights", "batches")
    seeds = np.random.SeedSequence(seed).spawn(len(purposes))
    return {p: np.random.default_rng(s) for p, s in zip(purposes, seeds, strict=True)}


def initial_params(settings: Settings, data: Dataset, rng: np.random.Generator) -> Params:
    """The initial weights, those of all pixels."""
    sizes = (data.pixels, *settings.network.hidden, data.classes)
    init = settings.init
    return draw_params(
        rng, sizes, scheme=init.scheme, scale=init.scale, dtype=settings.dtype,
        bias_scale=init.bias_scale,
    )  # fmt: skip


def build_network(settings: Settings, data: Dataset, params: Params) -> Network:
    """The network with these weights, for the pixels in the order that `splits` hands them out."""
    sorted_params = params | {"W1": params["W1"][data.pixel_order]}
    return network_with(settings, sorted_params, *factor_and_offset(settings, data))


def network_with(settings: Settings, params: Params, factor: float, offset: float) -> Network:
    """The network with these weights, for pixels in the order of the rows of W1."""
    network = settings.network
    return Network(
        params,
        activation=network.activation,
        softmax_over=network.softmax_over,
        loss=network.loss,
        output=network.output,
        loss_reduction=network.loss_reduction,
        factor=factor,
        offset=offset,
    )


def build_optimizer(settings: Settings) -> Optimizer:
    """Make the optimizer with those of the training settings that it has a field for."""
    training = settings.training
    constants = {name: getattr(training, name) for name in CONSTANTS}
    return make_optimizer(training.optimizer, constants)


def params_in_pixel_order(data: Dataset, network: Network) -> Params:
    """The network's weights, for the pixels as they lie in an image."""
    W1 = np.empty_like(network.params["W1"])
    W1[data.pixel_order] = network.params["W1"]
    return network.params | {"W1": W1}
