"""Bytes in, floats out."""

import numpy as np
import pytest

from sgdprobe.nn import Examples

IMAGES = np.array([[0, 0, 255], [0, 51, 102], [0, 0, 0], [255, 0, 0]], np.uint8)
LABELS = np.array([7, 8, 9, 6], np.uint8)
DARK = np.array([2, 1, 3, 0])  # how many pixels at the beginning of each are 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_by_hand(dtype: str) -> None:
    x, t = Examples(IMAGES, LABELS, dtype=dtype).batch(np.array([3, 1, 1]))
    assert x.dtype == dtype
    assert x.tolist() == [[255, 0, 0], [0, 51, 102], [0, 51, 102]]
    assert t.tolist() == [6, 8, 8]


def test_pixels_are_float32_unless_told_otherwise() -> None:
    x, _ = Examples(IMAGES, LABELS).batch(np.array([1]))
    assert x.dtype == "float32"


@pytest.mark.parametrize(
    ("mask", "x"),
    [
        ([0, 1], [[0, 255], [51, 102]]),
        ([0, 2], [[255], [0]]),
        ([2], [[]]),  # nothing is left of an image without any light
        ([1, 3], [[0, 51, 102], [255, 0, 0]]),
    ],
)
def test_pixels_that_are_0_at_the_beginning_of_all_are_left_out(
    mask: list[int], x: list[list[int]]
) -> None:
    batch, t = Examples(IMAGES, LABELS, dark=DARK).batch(np.array(mask))
    assert batch.tolist() == x
    assert batch.flags.c_contiguous
    assert t.tolist() == LABELS[mask].tolist()


def test_batches_of_changing_sizes_do_not_mix() -> None:
    examples = Examples(IMAGES, LABELS)
    for mask in ([0, 1], [2], [1, 0], [2, 2, 2], [0]):
        x, t = examples.batch(np.array(mask))
        assert x.tolist() == IMAGES[mask].tolist()
        assert t.tolist() == LABELS[mask].tolist()


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 2403])
def test_chunks_are_all_examples_in_order_where_none_is_dark(n: int) -> None:
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, 4), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8)
    examples = Examples(images, labels)
    assert len(examples) == n
    seen = [(x.copy(), t.copy()) for x, t in examples.chunks()]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in seen]), images)
    np.testing.assert_array_equal(np.concatenate([t for _, t in seen]), labels)


def test_chunks_hold_images_together_that_are_dark_alike() -> None:
    # 1,500 images of which every other begins with two dark pixels: of the first chunk of 1,000
    # all but 250 do, of the second all.
    images = np.tile(np.array([[0, 0, 5], [3, 0, 5]], np.uint8), (750, 1))
    labels = np.tile([0, 1], 750)
    chunks = Examples(images, labels, dark=np.tile([2, 0], 750)).chunks()
    seen = [(x.copy(), t.copy()) for x, t in chunks]
    assert [x.shape for x, _ in seen] == [(1000, 3), (500, 1)]
    assert [np.bincount(t, minlength=2).tolist() for _, t in seen] == [[250, 750], [500, 0]]
    assert all((x[:, -1] == 5).all() for x, _ in seen)


def test_read_only_images_stay_as_they_are() -> None:
    images = IMAGES.copy()
    images.flags.writeable = False
    examples = Examples(images, LABELS)
    examples.batch(np.array([0, 1]))
    assert [len(x) for x, _ in examples.chunks()] == [4]
    np.testing.assert_array_equal(images, IMAGES)
