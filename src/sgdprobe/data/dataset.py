"""Four IDX files as one `Dataset`: training and test images with their labels."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data.idx import read_idx
from sgdprobe.errors import DataError

BUNDLED = Path(__file__).parent / "mnist"

# The two files of each part, and the dimensions of what they hold.
KINDS = (("images", 3), ("labels", 1))

# SHA-256 of the bundled files as they lie on disk.
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

    files : SHA-256 of the four files as they lie on disk, by name.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    files: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return int(self.train_images.shape[1])

    @cached_property
    def classes(self) -> int:
        """One more than the largest label of the training set."""
        return int(self.train_labels.max()) + 1

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the four arrays, shapes included: the same for gzipped and plain files."""
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

    @cached_property
    def pixel_mean_and_std(self) -> tuple[float, float]:
        """Mean and standard deviation of all pixels of the training images, 0 … 255."""
        counts = np.bincount(self.train_images.ravel(), minlength=256)
        values = np.arange(256.0)
        mean = float(np.average(values, weights=counts))
        return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))


@lru_cache(maxsize=2)
def load(name: str, root: str | None) -> Dataset:
    """The dataset in the folder `root`, or the bundled MNIST; read once in each process.

    Raises DataError, on one line that names the file, if the four files are not there, are
    damaged, or don't fit each other.
    """
    folder = BUNDLED if root is None else Path(root)
    if root is None:
        _check_bundled()
    kinds = [(f"{part}-{kind}", d) for part in ("train", "t10k") for kind, d in KINDS]
    paths = [_find(folder, stem, dimensions) for stem, dimensions in kinds]
    train_images, train_labels, test_images, test_labels = (
        read_idx(path, dimensions) for path, (_, dimensions) in zip(paths, kinds, strict=True)
    )
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"{_find(folder, 't10k-images', 3)} has images of {_size(test_images)} pixels, "
            f"the training images have {_size(train_images)}"
        )
    for part, images, labels in (
        ("train", train_images, train_labels),
        ("t10k", test_images, test_labels),
    ):
        path = _find(folder, f"{part}-labels", 1)
        if len(images) != len(labels):
            raise DataError(f"{path} has {len(labels):,} labels for {len(images):,} images")
        if images.size == 0:
            raise DataError(f"{_find(folder, f'{part}-images', 3)} holds no pixels")
    classes = int(train_labels.max()) + 1
    if test_labels.max() >= classes:
        raise DataError(
            f"{_find(folder, 't10k-labels', 1)} has the label {test_labels.max()}; "
            f"the training labels are 0 … {classes - 1}"
        )
    files = {path.name: _sha256(path) for path in paths} if root is not None else BUNDLED_SHA256
    return Dataset(name, _rows(train_images), train_labels, _rows(test_images), test_labels, files)


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    """The file by one of the names under which these files are passed around."""
    if not folder.is_dir():
        raise DataError(f"data.root {folder} is not a folder")
    names = [f"{stem}-idx{dimensions}-ubyte", f"{stem}.idx{dimensions}-ubyte"]
    candidates = [folder / f"{name}{ending}" for name in names for ending in ("", ".gz")]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise DataError(f"{candidates[0]} is missing (so are its other names, .gz and .idx)")


def _rows(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images.reshape(len(images), -1)


def _size(images: NDArray[np.uint8]) -> str:
    return " × ".join(map(str, images.shape[1:]))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_bundled() -> None:
    """The bundled files are the published ones, or this checkout is damaged."""
    for name, recorded in BUNDLED_SHA256.items():
        path = BUNDLED / name
        if not path.exists():
            raise DataError(f"{path} is missing: this checkout is damaged")
        found = _sha256(path)
        if found != recorded:
            raise DataError(f"{path} has the SHA-256 {found}; recorded is {recorded}")
