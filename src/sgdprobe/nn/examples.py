"""Labelled images: kept as bytes, handed out as floats."""

from collections.abc import Iterator
from functools import cached_property
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

    The arrays handed out are buffers: the next call with as many rows overwrites them.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        *,
        dark: NDArray[np.intp] | None = None,
        dtype: str = "float32",
    ) -> None:
        self.images = images
        self.labels: Labels = labels.astype(np.intp)
        self.dark = np.zeros(len(images), np.intp) if dark is None else dark
        self.dtype = dtype
        self._buffers: dict[int, tuple[NDArray[np.uint8], Array, Labels, NDArray[np.intp]]] = {}

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, mask: NDArray[np.intp]) -> tuple[Array, Labels]:
        """X : (n, pixels but for those left out) and t : (n,) of the examples in `mask`, (n,)."""
        n = len(mask)
        if n not in self._buffers:
            self._buffers[n] = self._new_buffers(n)
        pixels, floats, t, dark = self._buffers[n]
        # mode="clip" is what lets take() write into `out` directly; indices are in range.
        self.images.take(mask, axis=0, out=pixels, mode="clip")
        self.labels.take(mask, out=t, mode="clip")
        left_out = np.minimum.reduce(self.dark.take(mask, out=dark, mode="clip"))
        pixels = pixels[:, left_out:]
        # Rows without a gap between them: a product with them takes a tenth less time.
        x = floats[: pixels.size].reshape(pixels.shape)
        np.copyto(x, pixels)
        return x, t

    def chunks(self) -> Iterator[tuple[Array, Labels]]:
        """All examples, CHUNK at a time; those that are dark alike together: most is left out."""
        for start in range(0, len(self), CHUNK):
            yield self.batch(self._order[start : start + CHUNK])

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.dark, kind="stable")

    def _new_buffers(self, n: int) -> tuple[NDArray[np.uint8], Array, Labels, NDArray[np.intp]]:
        pixels = np.empty((n, self.images.shape[1]), np.uint8)
        return pixels, np.empty(pixels.size, self.dtype), np.empty(n, np.intp), np.empty(n, np.intp)
