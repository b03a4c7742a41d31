"""Labelled images: kept as bytes, handed out as floats."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.nn.functions import Array, Labels

# Images a chunk when all are evaluated: large enough for full speed of the matrix product,
# small enough that a chunk's floats stay in the processor's cache.
CHUNK = 1000


class Examples:
    """n images and their labels, pixels as floats of 0 … 255 in the given type.

    images : (n, pixels) uint8; labels : (n,). Bytes are a quarter of float32's memory, and
    gathering and converting a batch of them takes less time than gathering it as floats.
    dark : (n,) how many pixels at the beginning of each image are 0. What is so in all images of
    a batch is left out of it. None: every batch has all pixels.
    place : (n,) where each example lies in the three; None: they lie in order.

    The arrays handed out are buffers: the next call with as many rows overwrites them.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        *,
        dark: NDArray[np.intp] | None = None,
        place: NDArray[np.intp] | None = None,
        dtype: str = "float32",
    ) -> None:
        self.images = images
        self.labels: Labels = labels.astype(np.intp)
        self.dark = np.zeros(len(images), np.intp) if dark is None else dark
        self.place = np.arange(len(images)) if place is None else place
        self.dtype = dtype
        self._buffers: dict[int, _Buffers] = {}

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, mask: NDArray[np.intp]) -> tuple[Array, Labels]:
        """X : (n, pixels but for those left out) and t : (n,) of the examples in `mask`, (n,)."""
        buffers = self._buffers_for(len(mask))
        # mode="clip" is what lets take() write into `out` directly; indices are in range.
        rows = self.place.take(mask, out=buffers.rows, mode="clip")
        pixels = self.images.take(rows, axis=0, out=buffers.pixels, mode="clip")
        t = self.labels.take(rows, out=buffers.t, mode="clip")
        left_out = np.minimum.reduce(self.dark.take(rows, out=buffers.dark, mode="clip"))
        return buffers.floats_of(pixels[:, left_out:]), t

    def chunks(self) -> Iterator[tuple[Array, Labels]]:
        """All examples, as they lie, CHUNK at a time: best if those dark alike lie together."""
        for start in range(0, len(self), CHUNK):
            part = slice(start, start + CHUNK)
            left_out = np.minimum.reduce(self.dark[part])
            pixels = self.images[part, left_out:]
            yield self._buffers_for(len(pixels)).floats_of(pixels), self.labels[part]

    def _buffers_for(self, n: int) -> "_Buffers":
        if n not in self._buffers:
            self._buffers[n] = _Buffers(n, self.images.shape[1], self.dtype)
        return self._buffers[n]


class _Buffers:
    """What n examples are written into."""

    def __init__(self, n: int, pixels: int, dtype: str) -> None:
        self.pixels = np.empty((n, pixels), np.uint8)
        self.floats: Array = np.empty(n * pixels, dtype)
        self.rows, self.t, self.dark = (np.empty(n, np.intp) for _ in range(3))

    def floats_of(self, pixels: NDArray[np.uint8]) -> Array:
        """The pixels as floats : (n, those that are left)."""
        # Rows without a gap between them: a product with them takes a tenth less time.
        x = self.floats[: pixels.size].reshape(pixels.shape)
        np.copyto(x, pixels)
        return x
