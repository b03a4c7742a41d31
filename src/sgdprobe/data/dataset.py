"""A `Dataset`: training and test images with their labels, checked."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data.readers import RawData, read
from sgdprobe.errors import DataError

BUNDLED = Path(__file__).parent / "mnist"

# SHA-256 of the bundled files on disk.
BUNDLED_SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971"
    ),
    "train-labels-idx1-ubyte.gz": (
        "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b"
    ),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images : (n, pixels) uint8 and labels : (n,) uint8, 0 … classes - 1; all read-only.

    files : SHA-256 of the files on disk, by name. shape : of an image as it is stored, (height,
    width) or (pixels,).
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    shape: tuple[int, ...] = ()

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return int(self.train_images.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image; stored as a row of pixels, it is a square if it can be."""
        if len(self.shape) == 2:
            return self.shape[0], self.shape[1]
        side = math.isqrt(self.pixels)
        return (side, side) if side * side == self.pixels else (1, self.pixels)

    @cached_property
    def classes(self) -> int:
        """One more than the largest label of the training set."""
        return int(self.train_labels.max()) + 1

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the four arrays, shapes included: the same in every file format."""
        sha = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            sha.update(repr(array.shape).encode())
            sha.update(array.data)
        return sha.hexdigest()

    @cached_property
    def pixel_order(self) -> NDArray[np.intp]:
        """Indices of all pixels : (pixels,), the darkest first, by their sum over all images."""
        images = self.train_images, self.test_images
        return np.argsort(sum(part.sum(axis=0, dtype=np.uint64) for part in images), kind="stable")


@lru_cache(maxsize=2)
def pixel_mean_and_std(data: Dataset, count: int) -> tuple[float, float]:
    """Return mean and standard deviation of the first `count` training images' pixels, 0 … 255."""
    counts = np.bincount(data.train_images[:count].ravel(), minlength=256)
    values = np.arange(256.0)
    mean = float(np.average(values, weights=counts))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))


@lru_cache(maxsize=2)
def load(name: str, root: str | None) -> Dataset:
    """Load the data set at `root`, or the bundled MNIST if it is None, once in each process.

    root : a path that one of READERS can read. name : of the data set; "mnist" for other data
    than the bundled is replaced by the name of its folder or file. Raises DataError, on one line
    that names the file, if files are missing, damaged, or don't fit each other.
    """
    if root is None:
        _check_bundled()
    raw = read(BUNDLED if root is None else Path(root))
    _check_together(raw)
    return Dataset(
        name if root is None or name != BUNDLED.name else _name_of(root),
        _rows(raw.x_train.values),
        raw.t_train.values,
        _rows(raw.x_test.values),
        raw.t_test.values,
        BUNDLED_SHA256 if root is None else {path.name: _sha256(path) for path in raw.paths},
        raw.x_train.values.shape[1:],
    )


def _name_of(root: str) -> str:
    path = Path(root).resolve()
    return path.name if path.is_dir() else path.stem


def _check_together(raw: RawData) -> None:
    """Check that sizes and labels fit each other."""
    if raw.x_train.values.shape[1:] != raw.x_test.values.shape[1:]:
        raise DataError(
            f"{raw.x_test.name} has images of {_size(raw.x_test.values)} pixels, "
            f"the training images have {_size(raw.x_train.values)}"
        )
    for x, t in ((raw.x_train, raw.t_train), (raw.x_test, raw.t_test)):
        if len(x.values) != len(t.values):
            raise DataError(f"{t.name} has {len(t.values):,} labels for {len(x.values):,} images")
    last = int(raw.t_train.values.max())
    if raw.t_test.values.max() > last:
        raise DataError(
            f"{raw.t_test.name} has the label {raw.t_test.values.max()}; "
            f"the training labels are 0 … {last}"
        )


def _rows(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images.reshape(len(images), -1)


def _size(images: NDArray[np.uint8]) -> str:
    return " × ".join(map(str, images.shape[1:]))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_bundled() -> None:
    """Check that the bundled files are the published ones."""
    for name, recorded in BUNDLED_SHA256.items():
        path = BUNDLED / name
        if not path.exists():
            raise DataError(f"{path} is missing: this checkout is damaged")
        found = _sha256(path)
        if found != recorded:
            raise DataError(f"{path} has the SHA-256 {found}; recorded is {recorded}")
