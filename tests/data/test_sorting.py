"""Sorted images: another order, and no example lost, changed or confused."""

import numpy as np
import pytest

from sgdprobe.data import Dataset, SortedSplit, load, sorted_splits


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return load("mnist", None)


def test_a_split_by_hand() -> None:
    images = np.array([[0, 9, 0], [0, 0, 0], [0, 0, 5], [4, 0, 0]], np.uint8)
    split = SortedSplit.from_images(
        images, np.array([7, 8, 9, 6], np.uint8), pixel_order=np.array([1, 0, 2])
    )
    # With the second pixel first: 9 0 0, 0 0 0, 0 0 5, 0 4 0. An image without any light counts as
    # if it had some.
    assert split.leading_zeros.tolist() == [0, 0, 1, 2]
    assert split.labels.tolist() == [7, 8, 6, 9]
    assert split.images.tolist() == [[9, 0, 0], [0, 0, 0], [0, 4, 0], [0, 0, 5]]
    assert split.position.tolist() == [0, 1, 3, 2]


def test_every_image_of_mnist_is_in_its_place(mnist: Dataset) -> None:
    splits = sorted_splits(mnist, 10_000, 50_000)
    assert splits.validation is not None
    for split, images, labels in (
        (splits.train, mnist.train_images[:50_000], mnist.train_labels[:50_000]),
        (splits.validation, mnist.train_images[50_000:], mnist.train_labels[50_000:]),
        (splits.test, mnist.test_images, mnist.test_labels),
    ):
        np.testing.assert_array_equal(split.images[split.position], images[:, mnist.pixel_order])
        np.testing.assert_array_equal(split.labels[split.position], labels)
        for array in (split.images, split.labels, split.leading_zeros, split.position):
            assert not array.flags.writeable


def test_dark_counts_the_zeros_at_the_beginning_of_each_image(mnist: Dataset) -> None:
    splits = sorted_splits(mnist, 0, 60_000)
    assert splits.validation is None
    train, test = splits.train.leading_zeros, splits.test.leading_zeros
    assert (len(train), len(test)) == (60_000, 10_000)
    assert (np.diff(train) >= 0).all()
    assert float(train.mean()) == pytest.approx(373, abs=0.5)
    batches = np.random.default_rng(0).integers(0, 60_000, (2000, 100))
    assert float(train[batches].min(axis=1).mean()) == pytest.approx(155, abs=2)
    for image, n in zip(splits.test.images[::100], test[::100].tolist(), strict=True):
        assert not image[:n].any()
        assert image[n]
    assert min(train.min(), test.min()) == 65
