"""Bytes in, floats out."""

import numpy as np
import pytest

from sgdprobe.nn import Examples

IMAGES = np.array([[0, 0, 255], [0, 51, 102], [0, 0, 0], [255, 0, 0]], np.uint8)
LABELS = np.array([7, 8, 9, 6], np.uint8)
ZEROS = np.array([2, 1, 3, 0])  # how many pixels at the beginning of each are 0


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
    batch, t = Examples(IMAGES, LABELS, leading_zeros=ZEROS).batch(np.array(mask))
    assert batch.tolist() == x
    assert batch.flags.c_contiguous
    assert t.tolist() == LABELS[mask].tolist()


def test_batches_of_changing_sizes_do_not_mix() -> None:
    examples = Examples(IMAGES, LABELS)
    for mask in ([0, 1], [2], [1, 0], [2, 2, 2], [0]):
        x, t = examples.batch(np.array(mask))
        assert x.tolist() == IMAGES[mask].tolist()
        assert t.tolist() == LABELS[mask].tolist()


def test_a_batch_is_found_where_its_examples_lie() -> None:
    # The first example lies last, the second in the middle, the third first.
    examples = Examples(
        IMAGES[:3], LABELS[:3], leading_zeros=ZEROS[:3], position=np.array([2, 1, 0])
    )
    for mask, x in (([1, 2], [[51, 102], [0, 255]]), ([0], [[]]), ([2, 0], [[255], [0]])):
        batch, t = examples.batch(np.array(mask))
        assert batch.tolist() == x
        assert t.tolist() == LABELS[[2 - k for k in mask]].tolist()


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 2403])
def test_chunks_are_all_examples_as_they_lie(n: int) -> None:
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, 4), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8)
    examples = Examples(images, labels, position=rng.permutation(n))
    assert len(examples) == n
    seen = [(x.copy(), t.copy()) for x, t in examples.chunks()]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in seen]), images)
    np.testing.assert_array_equal(np.concatenate([t for _, t in seen]), labels)


@pytest.mark.parametrize(
    ("zeros", "shapes"),
    [
        ([0] * 250 + [2] * 1250, [(1000, 3), (500, 1)]),
        ([2, 0] * 750, [(1000, 3), (500, 3)]),
        ([2] * 1500, [(1000, 1), (500, 1)]),
    ],
)
def test_of_a_chunk_is_left_out_what_is_dark_in_all_its_images(
    zeros: list[int], shapes: list[tuple[int, int]]
) -> None:
    images = np.array([[0, 0, 5] if n else [3, 0, 5] for n in zeros], np.uint8)
    examples = Examples(images, np.arange(1500), leading_zeros=np.array(zeros))
    seen = [(x.copy(), t.copy()) for x, t in examples.chunks()]
    assert [x.shape for x, _ in seen] == shapes
    for x, t in seen:
        np.testing.assert_array_equal(x, images[t, -x.shape[1] :])


def test_read_only_images_stay_as_they_are() -> None:
    images = IMAGES.copy()
    images.flags.writeable = False
    examples = Examples(images, LABELS)
    examples.batch(np.array([0, 1]))
    assert [len(x) for x, _ in examples.chunks()] == [4]
    np.testing.assert_array_equal(images, IMAGES)
