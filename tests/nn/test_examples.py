"""Bytes in, floats out."""

import numpy as np
import pytest

from sgdprobe.nn import Examples

IMAGES = np.array([[0, 255], [51, 102], [255, 0]], np.uint8)
LABELS = np.array([7, 8, 9], np.uint8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("factor", "offset", "x"),
    [
        (1 / 255, 0.0, [[1.0, 0.0], [0.2, 0.4], [0.2, 0.4]]),  # 0 … 1
        (1.0, 0.0, [[255.0, 0.0], [51.0, 102.0], [51.0, 102.0]]),  # 0 … 255
        (0.01, 2.0, [[0.55, -2.0], [-1.49, -0.98], [-1.49, -0.98]]),  # mean 200, std 100
    ],
)
def test_a_batch_by_hand(dtype: str, factor: float, offset: float, x: list[list[float]]) -> None:
    examples = Examples(IMAGES, LABELS, factor=factor, offset=offset, dtype=dtype)
    batch, t = examples.batch(np.array([2, 1, 1]))
    assert batch.dtype == dtype
    np.testing.assert_allclose(batch, x, rtol=1e-6)
    assert t.tolist() == [9, 8, 8]


def test_pixels_are_divided_by_255_in_float32_unless_told_otherwise() -> None:
    x, _ = Examples(IMAGES, LABELS).batch(np.array([1]))
    assert x.dtype == "float32"
    np.testing.assert_allclose(x, [[0.2, 0.4]], rtol=1e-6)


def test_standard_scaling_gives_mean_0_and_std_1() -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 20), dtype=np.uint8)
    mean, std = float(images.mean()), float(images.std())
    examples = Examples(
        images, np.zeros(100, np.uint8), factor=1 / std, offset=mean / std, dtype="float64"
    )
    x, _ = examples.batch(np.arange(100))
    assert float(x.mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(x.std()) == pytest.approx(1.0, rel=1e-12)


def test_batches_of_changing_sizes_do_not_mix() -> None:
    examples = Examples(IMAGES, LABELS, factor=1.0)
    for mask in ([0, 1], [2], [1, 0], [2, 2, 2], [0]):
        x, t = examples.batch(np.array(mask))
        assert x.tolist() == IMAGES[mask].tolist()
        assert t.tolist() == LABELS[mask].tolist()


@pytest.mark.parametrize("n", [1, 499, 500, 501, 1203])
def test_chunks_are_all_examples_in_order(n: int) -> None:
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, 4), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8)
    examples = Examples(images, labels, factor=1.0)
    assert len(examples) == n
    seen = [(x.copy(), t.copy()) for x, t in examples.chunks()]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in seen]), images)
    np.testing.assert_array_equal(np.concatenate([t for _, t in seen]), labels)


def test_read_only_images_stay_as_they_are() -> None:
    images = IMAGES.copy()
    images.flags.writeable = False
    examples = Examples(images, LABELS)
    examples.batch(np.array([0, 1]))
    assert [len(x) for x, _ in examples.chunks()] == [3]
    np.testing.assert_array_equal(images, IMAGES)
