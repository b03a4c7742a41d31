"""Images in the order that training reads fastest.

The pixels that are darkest in the whole data set come first, and images with equally many leading
zeros are stored together: a batch or a chunk then leaves out the pixels that are 0 in all of it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data.dataset import Dataset

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class SortedSplit:
    """Examples sorted by their leading zeros; all arrays are read-only.

    images : (n, pixels) uint8, pixels in the data set's `pixel_order`; labels : (n,) uint8.
    leading_zeros : (n,) the number of pixels at the beginning of each image that are 0, ascending.
    With MNIST it is 373 of 784 on average; 155 on average are 0 in all of a hundred images. For an
    image without any light it is 0, which is safe, and rare.
    position : (n,) the row of each example in the other arrays.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    leading_zeros: Indices
    position: Indices

    @classmethod
    def from_images(
        cls, images: NDArray[np.uint8], labels: NDArray[np.uint8], pixel_order: Indices
    ) -> "SortedSplit":
        """Sort images : (n, pixels), with their pixels in pixel_order : (pixels,).

        The copy is in memory of NumPy's own, for which it asks for huge pages; the bytes that
        files were read into have small pages. A hundred rows from all over the array are then
        gathered in less than half the time.
        """
        permuted = images.take(pixel_order, axis=1)
        zeros = _leading_zeros(permuted)
        rows = np.argsort(zeros, kind="stable")
        position = np.empty_like(rows)
        position[rows] = np.arange(len(rows))
        split = cls(permuted.take(rows, axis=0), labels[rows], zeros[rows], position)
        for array in (split.images, split.labels, split.leading_zeros, split.position):
            array.flags.writeable = False
        return split


@dataclass(frozen=True)
class SortedSplits:
    """Training, test and validation examples of a data set, each sorted."""

    train: SortedSplit
    test: SortedSplit
    validation: SortedSplit | None


@lru_cache(maxsize=1)  # it takes as much memory as the images themselves
def sorted_splits(data: Dataset, held_out: int, train_images: int) -> SortedSplits:
    """Sort all splits: the first `train_images`, and the last `held_out` for validation."""

    def part(examples: slice) -> SortedSplit:
        return SortedSplit.from_images(
            data.train_images[examples], data.train_labels[examples], data.pixel_order
        )

    return SortedSplits(
        train=part(slice(train_images)),
        test=SortedSplit.from_images(data.test_images, data.test_labels, data.pixel_order),
        validation=part(slice(-held_out, None)) if held_out else None,
    )


def _leading_zeros(images: NDArray[np.uint8]) -> Indices:
    # A thousand at a time: their truth values stay in the cache.
    parts = np.array_split(images, len(images) // 1000 + 1)
    return np.concatenate([(part != 0).argmax(axis=1) for part in parts])
