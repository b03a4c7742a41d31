"""What does every contestant have to solve? The same data, weights, batches and learning rate.

MNIST, a network of 784-50-100-10 sigmoid units with a softmax per sample and cross entropy, plain
SGD in float32. One epoch is 600 updates; after each, all 60,000 + 10,000 images are evaluated.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data import Dataset, load
from sgdprobe.nn import draw_params

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

SIZES = (784, 50, 100, 10)
BATCH_SIZE = 100
LEARNING_RATE = 0.1
UPDATES = 600  # an epoch


@dataclass(frozen=True)
class Problem:
    """The images as bytes, and the weights to start from.

    A contestant keeps the images in the form that suits it best.
    """

    data: Dataset
    params: dict[str, Any]

    @cached_property
    def train_labels(self) -> Indices:
        """Labels of the training images : (60000,)."""
        return self.data.train_labels.astype(np.intp)

    @cached_property
    def test_labels(self) -> Indices:
        """Labels of the test images : (10000,)."""
        return self.data.test_labels.astype(np.intp)

    @cached_property
    def x_train(self) -> Floats:
        """Training images : (60000, pixels), pixel / 255."""
        return np.asarray(self.data.train_images / np.float32(255), np.float32)

    @cached_property
    def x_test(self) -> Floats:
        """Test images : (10000, pixels), pixel / 255."""
        return np.asarray(self.data.test_images / np.float32(255), np.float32)


class Contestant(Protocol):
    """A way to train: made from a problem, it changes its own weights in place.

    When a call returns, its work is done: nothing is left under way on another thread.
    """

    def updates(self, masks: Indices) -> None:
        """One SGD step for each row of masks : (updates, batch size)."""

    def evaluate(self) -> tuple[float, float] | None:
        """Accuracy on all training and all test images, 0 … 1; None if nothing is learned."""


def load_problem() -> Problem:
    """The bundled MNIST, and weights that learn from the first epoch on (Xavier's)."""
    params = draw_params(np.random.default_rng(0), SIZES, scheme="xavier", scale=1, dtype="float32")
    return Problem(load("mnist", None), params)


def epoch_masks(rng: np.random.Generator, updates: int = UPDATES) -> Indices:
    """The batches of one epoch, (updates, 100), drawn with replacement."""
    return rng.integers(0, 60_000, size=(updates, BATCH_SIZE), dtype=np.intp)
