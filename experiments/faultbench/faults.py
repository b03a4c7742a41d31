"""Faults in the data, and data sets for cases that MNIST is too easy for.

Each is one .npz file under mlruns/faultbench/, which git ignores. The same call writes the same
bytes; a file that is there already is used.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from sgdprobe.data import load  # noqa: E402

FOLDER = ROOT / "mlruns" / "faultbench"
FASHION = "/usr/share/datasets/fashion-mnist"
TRAIN_IMAGES = 20_000  # of the original images, in the files with a fault

Bytes = NDArray[np.uint8]


class Data(NamedTuple):
    """Images : (n, pixels) and labels : (n,), as in the .npz files that data.root accepts."""

    x_train: Bytes
    t_train: Bytes
    x_test: Bytes
    t_test: Bytes


Fault = Callable[[Data, np.random.Generator], Data]


# Labels of the training images. The tests keep theirs, so that accuracy means what it says.


def labels_zero(data: Data, rng: np.random.Generator) -> Data:
    """All 0, but for the last, which says how many classes there are."""
    t = np.zeros_like(data.t_train)
    t[-1] = data.t_train.max()
    return data._replace(t_train=t)


def labels_shuffled(data: Data, rng: np.random.Generator) -> Data:
    """The same labels in random order: they say nothing about the images."""
    return data._replace(t_train=rng.permutation(data.t_train))


def labels_noisy(data: Data, rng: np.random.Generator, share: float = 0.4) -> Data:
    """A share of the labels, drawn at random, becomes that of the next class."""
    wrong = rng.random(len(data.t_train)) < share
    return data._replace(t_train=np.where(wrong, _next(data.t_train), data.t_train))


def labels_off_by_one(data: Data, rng: np.random.Generator) -> Data:
    """Each label is that of the next class, as if the classes were counted from 1."""
    return data._replace(t_train=_next(data.t_train))


def _next(t: Bytes) -> Bytes:
    following: Bytes = ((t + 1) % (t.max() + 1)).astype(np.uint8)
    return following


def classes_overlap(data: Data, rng: np.random.Generator) -> Data:
    """Half of the images of an even class have the label of the odd one above it, and conversely.

    The two cannot be told apart then: 0 and 1, 2 and 3, …
    """
    swapped = rng.random(len(data.t_train)) < 0.5
    return data._replace(t_train=np.where(swapped, data.t_train ^ 1, data.t_train))


# Training images left out.


def classes_missing(data: Data, rng: np.random.Generator) -> Data:
    """No training image of the first four classes."""
    return _kept(data, data.t_train >= 4)


def classes_unbalanced(data: Data, rng: np.random.Generator) -> Data:
    """Of the first five classes 1 % of the training images."""
    few = data.t_train < 5
    return _kept(data, ~few | (rng.random(len(few)) < 0.01))


def images_deleted(data: Data, rng: np.random.Generator) -> Data:
    """The first 1 % of the training images."""
    return _kept(data, np.arange(len(data.t_train)) < len(data.t_train) // 100)


def _kept(data: Data, kept: NDArray[np.bool_]) -> Data:
    return data._replace(x_train=data.x_train[kept], t_train=data.t_train[kept])


# Pixels.


def pixels_inverted(data: Data, rng: np.random.Generator) -> Data:
    """Black on white, in training and test images."""
    return data._replace(x_train=255 - data.x_train, x_test=255 - data.x_test)


def pixels_scaled_twice(data: Data, rng: np.random.Generator) -> Data:
    """0 or 1: divided by 255 and rounded, so that data.scale=unit divides a second time."""
    return data._replace(x_train=_by_255(data.x_train), x_test=_by_255(data.x_test))


def test_inverted(data: Data, rng: np.random.Generator) -> Data:
    """Black on white in the test images alone."""
    return data._replace(x_test=255 - data.x_test)


def test_scaled_twice(data: Data, rng: np.random.Generator) -> Data:
    """0 or 1 in the test images alone."""
    return data._replace(x_test=_by_255(data.x_test))


def _by_255(x: Bytes) -> Bytes:
    return (x > 127).astype(np.uint8)


def test_elsewhere(data: Data, rng: np.random.Generator) -> Data:
    """The test images of Fashion-MNIST with their labels."""
    other = load("fashion", FASHION)
    return data._replace(x_test=other.test_images, t_test=other.test_labels)


def test_shifted(data: Data, rng: np.random.Generator) -> Data:
    """Test images of another camera: 5 pixels further down and to the right."""
    images = data.x_test.reshape(-1, 28, 28)
    shifted = np.roll(images, (5, 5), axis=(1, 2))
    return data._replace(x_test=shifted.reshape(data.x_test.shape))


# By the name that `data` has in cases.yaml.
FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        labels_zero,
        labels_shuffled,
        labels_noisy,
        labels_off_by_one,
        classes_overlap,
        classes_missing,
        classes_unbalanced,
        images_deleted,
        pixels_inverted,
        pixels_scaled_twice,
        test_inverted,
        test_scaled_twice,
        test_elsewhere,
        test_shifted,
    )
}


# Data sets of two numbers between 0 and 255, where a linear model is not enough.


def moons(n: int, rng: np.random.Generator) -> tuple[Bytes, Bytes]:
    """Two half circles that grip each other, with noise of 0.15. Returns x : (n, 2), t : (n,)."""
    t = np.arange(n) % 2
    angle = np.pi * rng.random(n)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.where(t[:, np.newaxis] == 0, upper, lower) + 0.15 * rng.standard_normal((n, 2))
    return _bytes(points, low=-1.5, high=2.5), t.astype(np.uint8)


def rings(n: int, rng: np.random.Generator) -> tuple[Bytes, Bytes]:
    """Three rings around one point, with noise. Returns x : (n, 2), t : (n,)."""
    t = np.arange(n) % 3
    angle, radius = 2 * np.pi * rng.random(n), t + 0.5 + 0.12 * rng.standard_normal(n)
    points = radius[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _bytes(points, low=-3.0, high=3.0), t.astype(np.uint8)


def board(n: int, rng: np.random.Generator) -> tuple[Bytes, Bytes]:
    """Two by two squares, of which the diagonal ones are one class: XOR. x : (n, 2), t : (n,)."""
    x = rng.integers(0, 256, (n, 2), dtype=np.uint8)
    return x, ((x[:, 0] > 127) ^ (x[:, 1] > 127)).astype(np.uint8)


def _bytes(points: NDArray[Any], low: float, high: float) -> Bytes:
    return np.rint(255 * (points.clip(low, high) - low) / (high - low)).astype(np.uint8)


DATA_SETS = {made.__name__: made for made in (moons, rings, board)}


def original(root: str | None) -> Data:
    """Return the data of a healthy twin, of MNIST the first 20,000 images. root : its data.root."""
    if root is not None and Path(root).stem in DATA_SETS:
        made, rng = DATA_SETS[Path(root).stem], np.random.default_rng(0)
        return Data(*made(3000, rng), *made(1000, rng))
    data = load("mnist", root)
    first = slice(TRAIN_IMAGES)
    return Data(
        data.train_images[first], data.train_labels[first], data.test_images, data.test_labels
    )


def faulty(data: Data, fault: str) -> Data:
    """Return the data with a fault in FAULTS; the same each time."""
    return FAULTS[fault](data, np.random.default_rng(0))


def data_root(root: str | None, fault: str | None, folder: Path = FOLDER) -> str | None:
    """Return the data.root of the twin's data with a fault; write the file if it is missing.

    root : the twin's data.root; mlruns/faultbench/NAME.npz is a data set of DATA_SETS.
    """
    generated = root is not None and Path(root).stem in DATA_SETS
    if fault is None and not generated:
        return root
    name = "mnist" if root is None else Path(root).stem
    file = folder / (f"{name}.npz" if fault is None else f"{name}-{fault}.npz")
    if not file.exists():
        data = original(root)
        _write(file, data if fault is None else faulty(data, fault))
    return str(file)


def _write(file: Path, data: Data) -> None:
    """Write beside and rename, so that no process reads half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.stem}.{os.getpid()}.npz")
    np.savez(draft, **data._asdict())
    draft.replace(file)
