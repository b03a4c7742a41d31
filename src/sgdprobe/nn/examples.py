"""Labelled images: kept as bytes, handed out as floats."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.nn.functions import Array, Labels

# Images a chunk when all are evaluated: large enough for full speed of the matrix product,
# small enough that a chunk's floats stay in the processor's cache.
CHUNK = 500


class Examples:
    """n images and their labels, x = pixel · factor - offset in the given float type.

    images : (n, pixels) uint8; labels : (n,). Bytes are a quarter of float32's memory, and
    gathering and converting a batch of them takes less time than gathering it as floats.
    The arrays handed out are buffers: the next call with as many rows overwrites them.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        *,
        factor: float = 1 / 255,
        offset: float = 0.0,
        dtype: str = "float32",
    ) -> None:
        self.images = images
        self.labels: Labels = labels.astype(np.intp)
        self.factor = factor
        self.offset = offset
        # As arrays: Python numbers would be converted at each update.
        self._times, self._minus = np.array(factor, dtype), np.array(offset, dtype)
        self.dtype = dtype
        self._buffers: dict[int, tuple[NDArray[np.uint8], Array, Labels]] = {}

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, mask: NDArray[np.intp]) -> tuple[Array, Labels]:
        """X : (n, pixels) and t : (n,) of the examples whose indices are in `mask`, (n,)."""
        if len(mask) not in self._buffers:
            self._buffers[len(mask)] = self._new_buffers(len(mask))
        pixels, x, t = self._buffers[len(mask)]
        # mode="clip" is what lets take() write into `out` directly; indices are in range.
        self.images.take(mask, axis=0, out=pixels, mode="clip")
        self.labels.take(mask, out=t, mode="clip")
        return self._scaled(pixels, x), t

    def chunks(self) -> Iterator[tuple[Array, Labels]]:
        """All examples in order, CHUNK at a time."""
        x = np.empty((CHUNK, self.images.shape[1]), self.dtype)
        for start in range(0, len(self), CHUNK):
            pixels = self.images[start : start + CHUNK]
            yield self._scaled(pixels, x[: len(pixels)]), self.labels[start : start + CHUNK]

    def _new_buffers(self, n: int) -> tuple[NDArray[np.uint8], Array, Labels]:
        shape = (n, self.images.shape[1])
        return np.empty(shape, np.uint8), np.empty(shape, self.dtype), np.empty(n, np.intp)

    def _scaled(self, pixels: NDArray[np.uint8], x: Array) -> Array:
        np.copyto(x, pixels)
        if self.factor != 1.0:
            x *= self._times
        if self.offset != 0.0:
            x -= self._minus
        return x
