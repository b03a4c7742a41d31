"""Diagnostics of a trained network that reports draw: recorded when a run ends, small.

Nothing here draws from a run's random streams or changes a weight.
"""

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data import Dataset
from sgdprobe.nn import Examples, Network
from sgdprobe.nn.functions import Array, Labels
from sgdprobe.run.setup import TrainingSetup

MOST_WRONG = 25  # images
LOOKED_AT = 100  # images whose activations and gradients are counted
COUNTED = 20_000  # values of an array that a histogram counts, at most
BINS = 30
DECADES = (-12, 3)  # of |gradient|; what is smaller or larger is in the first or the last bin


def at_start(setup: TrainingSetup) -> dict[str, Any]:
    """Return the content of diagnostics.json that is known before training."""
    return {
        "images": image_facts(setup.data),
        "start": histograms(setup.network, setup.examples.train),
    }


def at_end(setup: TrainingSetup) -> tuple[NDArray[np.intp], dict[str, Any]]:
    """Return the confusion matrix of a trained network, and the rest of diagnostics.json."""
    predictions = Predictions.of(setup.network, setup.examples.test)
    confusion = predictions.confusion_matrix(setup.data.classes)
    return confusion, {
        "confusion_matrix": confusion.tolist(),
        "most_wrong": predictions.most_wrong(setup.data),
        "end": histograms(setup.network, setup.examples.train),
    }


@dataclass(frozen=True)
class Predictions:
    """Results of all test images, in the data set's order.

    labels, predicted : (n,) classes. probability : (n,) of the predicted class, 0 … 1.
    """

    labels: Labels
    predicted: Labels
    probability: Array

    @classmethod
    def of(cls, network: Network, examples: Examples) -> "Predictions":
        """Classify all examples."""
        parts = []
        with np.errstate(over="ignore", invalid="ignore"):  # large weights may overflow
            for x, t in examples.chunks():
                scores = network.scores(x)
                predicted = scores.argmax(axis=1)
                y = network.as_probabilities(scores)
                parts.append((t, predicted, y[np.arange(len(t)), predicted]))
        stored = (np.concatenate(part) for part in zip(*parts, strict=True))
        return cls(*(part[examples.position] for part in stored))

    def confusion_matrix(self, classes: int) -> NDArray[np.intp]:
        """Count examples : (classes, classes), by true class (rows) and predicted class."""
        counts = np.zeros((classes, classes), np.intp)
        np.add.at(counts, (self.labels, self.predicted), 1)
        return counts

    def most_wrong(self, data: Dataset) -> dict[str, Any]:
        """Return the wrong test images whose class is predicted with most confidence.

        The pixels are there too, packed (`unpack_images`): the data may not be where a report is.
        """
        wrong = np.flatnonzero((self.predicted != self.labels) & np.isfinite(self.probability))
        surest = wrong[np.argsort(-self.probability[wrong], kind="stable")][:MOST_WRONG]
        return {
            "images": surest.tolist(),
            "labels": self.labels[surest].tolist(),
            "predicted": self.predicted[surest].tolist(),
            "probabilities": [round(float(p), 6) for p in self.probability[surest]],
            "pixels": pack_images(data.test_images[surest]),
        }


def image_facts(data: Dataset) -> dict[str, Any]:
    """Return the size of the images, and the median of their outermost pixels, 0 … 255.

    That is the background, light or dark, of a picture that looks like them.
    """
    height, width = data.size
    images = data.train_images[:LOOKED_AT].reshape(-1, height, width)
    edges = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    border = np.median(np.concatenate([edge.ravel() for edge in edges]))
    return {"height": height, "width": width, "border": float(border)}


def pack_images(images: NDArray[np.uint8]) -> str:
    """Return images of bytes as text for a JSON file."""
    return base64.b64encode(zlib.compress(images.tobytes())).decode()


def unpack_images(text: str, height: int, width: int) -> NDArray[np.uint8]:
    """Return the images of `pack_images` : (n, height, width); at most MOST_WRONG of them.

    Raises ValueError for damaged text.
    """
    unpack = zlib.decompressobj()
    try:
        unpacked = unpack.decompress(base64.b64decode(text), MOST_WRONG * height * width)
    except zlib.error as error:
        raise ValueError(f"damaged images: {error}") from error
    if not (unpack.eof or unpack.unconsumed_tail):
        raise ValueError("damaged images: their end is missing")
    return np.frombuffer(unpacked, np.uint8).reshape(-1, height, width)


def histograms(network: Network, examples: Examples) -> list[dict[str, Any]]:
    """Return for each layer the histograms of its activations and of its weights' gradients.

    Of the first LOOKED_AT examples. Overwrites the network's buffers and gradient, as symptoms do.
    """
    n = min(LOOKED_AT, len(examples))
    x, t = examples.batch(np.arange(n))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # large weights overflow
        network.gradient(x, t)
        outputs = network.outputs(n)
        gradients = [network.grads[f"W{k}"] for k in range(1, network.depth + 1)]
        layers = [{"gradient": _decades(gradient)} for gradient in gradients]
        for layer, output in zip(layers, outputs, strict=False):  # the last layer has none
            layer["activation"] = _values(output)
    return layers


def _values(array: Array) -> dict[str, Any]:
    """Count values between the least and the largest one."""
    values, share = _finite(array)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not low < high:  # all the same: one bin of width 1 around them
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(values, BINS, (low, high))
    return {"low": low, "high": high, "counts": counts.tolist(), "not_finite": share}


def _decades(array: Array) -> dict[str, Any]:
    """Count absolute values by their decimal logarithm, and zeros apart.

    Sizes of gradients differ between layers by orders of magnitude: that is what a picture shows.
    """
    values, share = _finite(array)
    sizes = np.abs(values[values != 0.0])
    low, high = DECADES
    logs = np.clip(np.log10(sizes), low, high)
    counts, _ = np.histogram(logs, BINS, (low, high))
    zeros = 1.0 - len(sizes) / len(values) if len(values) else 0.0
    return {
        "low": low, "high": high, "counts": counts.tolist(), "zeros": zeros, "not_finite": share,
    }  # fmt: skip


def _finite(array: Array) -> tuple[Array, float]:
    """Return the finite values of an array, or of a fixed sample of it, and the share of others."""
    values = array.ravel()
    if values.size > COUNTED:
        values = values[np.random.default_rng(0).integers(0, values.size, COUNTED)]
    finite = values[np.isfinite(values)].astype(np.float64)
    return finite, 1.0 - len(finite) / values.size
