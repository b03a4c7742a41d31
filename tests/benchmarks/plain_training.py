"""How does the plain pipeline train? A loop around the book's network; one softmax a batch.

In a module of its own, so that joblib's processes can import it and keep the data they have read.
"""

import gzip
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from book_network import BookNetwork, Floats
from numpy.typing import NDArray
from omegaconf import DictConfig


@lru_cache
def load_mnist(folder: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Pixels 0 … 255 and one-hot labels, of training and test; as load_mnist(normalize=False)."""

    def read(name: str, header: int) -> NDArray[np.uint8]:
        with gzip.open(Path(folder) / f"{name}-ubyte.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    def images(name: str) -> Floats:
        return read(f"{name}-images-idx3", 16).reshape(-1, 784).astype(np.float32)

    def labels(name: str) -> Floats:
        return np.asarray(np.eye(10, dtype=np.float32)[read(f"{name}-labels-idx1", 8)])

    return images("train"), labels("train"), images("t10k"), labels("t10k")


def initial_params(rng: np.random.Generator, sizes: list[int], scale: float) -> dict[str, Floats]:
    """Weights from N(0, scale²), biases 0."""
    params: dict[str, Floats] = {}
    for k, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        params[f"W{k}"] = (scale * rng.standard_normal((fan_in, fan_out))).astype(np.float32)
        params[f"b{k}"] = np.zeros(fan_out, np.float32)
    return params


def train(config: DictConfig) -> Iterator[dict[str, float]]:
    """The metrics of each epoch, a last part-epoch among them."""
    x_train, t_train, x_test, t_test = load_mnist(config.data)
    rng = np.random.default_rng(config.seed)
    sizes = [x_train.shape[1], *config.hidden, t_train.shape[1]]
    network = BookNetwork(initial_params(rng, sizes, config.scale), axis=None)
    learning_rate, batch_size = config.learning_rate, config.batch_size
    per_epoch = len(x_train) // batch_size
    losses = []
    for i in range(1, config.iterations + 1):
        mask = rng.integers(0, len(x_train), batch_size)
        losses.append(network.update(x_train[mask], t_train[mask], learning_rate))
        if i % per_epoch == 0 or i == config.iterations:
            yield {
                "loss": float(np.mean(losses)),
                "train_accuracy": network.accuracy(x_train, t_train),
                "test_accuracy": network.accuracy(x_test, t_test),
            }
            losses = []
