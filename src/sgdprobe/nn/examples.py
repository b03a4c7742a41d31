"""Labelled images: kept as bytes, handed out as floats."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.nn.functions import Array, Labels

# Images in a chunk when all are evaluated: large enough for full speed of the matrix product,
# small enough that a chunk's floats stay in the processor's cache.
CHUNK = 1000


class Examples:
    """n images and their labels, with pixels as floats of 0 … 255.

    images : (n, pixels) uint8; labels : (n,) integers. Bytes are a quarter of float32's memory,
    and to gather and convert a batch of them takes less time than to gather it as floats.
    leading_zeros : (n,) the number of pixels at the beginning of each image that are 0. Pixels
    that are 0 in all images of a batch are left out of it. None: every batch has all pixels.
    position : (n,) the row of each example in the three arrays; None: rows are in order.
    dtype : "float32" or "float64". Raises ValueError for images and labels of other shapes.

    The arrays handed out are buffers: the next call with as many rows overwrites them.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        *,
        leading_zeros: NDArray[np.intp] | None = None,
        position: NDArray[np.intp] | None = None,
        dtype: str = "float32",
    ) -> None:
        n = len(images)
        if images.dtype != np.uint8 or images.ndim != 2 or not images.size:
            raise ValueError(
                f"images must be (n, pixels) bytes, uint8; got {images.shape} {images.dtype}"
            )
        if labels.shape != (n,) or labels.dtype.kind not in "iu" or labels.min() < 0:
            least = f" from {labels.min()}" if labels.size else ""
            raise ValueError(
                f"labels must be ({n},) integers from 0; got {labels.shape} {labels.dtype}{least}"
            )
        self.images = images
        self.labels: Labels = labels.astype(np.intp)
        self.leading_zeros = np.zeros(n, np.intp) if leading_zeros is None else leading_zeros
        self.position = np.arange(n) if position is None else position
        if not self.leading_zeros.shape == self.position.shape == (n,):
            raise ValueError(
                f"leading_zeros and position must be ({n},); "
                f"got {self.leading_zeros.shape} and {self.position.shape}"
            )
        self.dtype = dtype
        self._buffers: dict[int, _Buffers] = {}

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, batch_mask: NDArray[np.intp]) -> tuple[Array, Labels]:
        """Return x : (batch, pixels that are left) and t : (batch,) of the examples in batch_mask.

        batch_mask : (batch,) indices of examples, 0 … n - 1; otherwise raises ValueError.
        """
        if batch_mask.dtype.kind not in "iu" or batch_mask.ndim != 1 or not batch_mask.size:
            raise ValueError(
                f"batch_mask must be (batch,) integers; got {batch_mask.shape} {batch_mask.dtype}"
            )
        if batch_mask.min() < 0 or batch_mask.max() >= len(self):
            raise ValueError(
                f"batch_mask must be indices 0 … {len(self) - 1}; "
                f"got {batch_mask.min()} … {batch_mask.max()}"
            )
        return self.gather(batch_mask)

    def gather(self, batch_mask: NDArray[np.intp]) -> tuple[Array, Labels]:
        """Do what `batch` does for indices that are known to be right, as training draws them."""
        buffers = self._buffers_for(len(batch_mask))
        # mode="clip" is what lets take() write into `out` directly; indices are in range.
        rows = self.position.take(batch_mask, out=buffers.rows, mode="clip")
        pixels = self.images.take(rows, axis=0, out=buffers.pixels, mode="clip")
        t = self.labels.take(rows, out=buffers.t, mode="clip")
        zeros = self.leading_zeros.take(rows, out=buffers.zeros, mode="clip")
        return buffers.floats_of(pixels[:, np.minimum.reduce(zeros) :]), t

    def chunks(self) -> Iterator[tuple[Array, Labels]]:
        """Yield all examples in storage order, CHUNK at a time.

        Fast if images with equally many leading zeros are stored together.
        """
        for start in range(0, len(self), CHUNK):
            part = slice(start, start + CHUNK)
            pixels = self.images[part, np.minimum.reduce(self.leading_zeros[part]) :]
            yield self._buffers_for(len(pixels)).floats_of(pixels), self.labels[part]

    def _buffers_for(self, n: int) -> "_Buffers":
        if n not in self._buffers:
            self._buffers[n] = _Buffers(n, self.images.shape[1], self.dtype)
        return self._buffers[n]


class _Buffers:
    """The arrays that a batch of n examples is written into."""

    def __init__(self, n: int, pixels: int, dtype: str) -> None:
        self.pixels = np.empty((n, pixels), np.uint8)
        self.floats: Array = np.empty(n * pixels, dtype)
        self.rows, self.t, self.zeros = (np.empty(n, np.intp) for _ in range(3))

    def floats_of(self, pixels: NDArray[np.uint8]) -> Array:
        """Convert pixels to floats : (n, pixels that are left)."""
        # Rows without a gap between them: a product with them takes a tenth less time.
        x = self.floats[: pixels.size].reshape(pixels.shape)
        np.copyto(x, pixels)
        return x
