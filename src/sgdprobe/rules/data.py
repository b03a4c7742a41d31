"""Rules about images and labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data import Dataset
from sgdprobe.rules.evidence import Evidence
from sgdprobe.rules.rule import Finding, rule
from sgdprobe.rules.start import STANDARD, UNIT

MIN_CLASS_SHARE = 0.2  # of an equal share
MAX_PIXEL = 5.0  # root mean square of what the network sees; 1 for standard, 0.3 for unit
MIN_PIXEL = 0.02
BRIGHT = 0.5  # mean of the pixels, of their range
FEW_IMAGES = 50  # for each class
INDEPENDENT = 1.5  # times the share of the largest class
MAX_DIFFERENCE = 0.1  # of accuracy, between images held out and test images
MIXED = 0.25  # share of a class, that is confused with another and the other with it
NOISE = 0.08  # gain of accuracy of 15 neighbours over 1
REFERENCES, QUERIES = 4000, 1000  # images
NEIGHBOURS = 15


@lru_cache(maxsize=2)
def class_counts(data: Dataset, count: int) -> NDArray[np.intp]:
    """Return the number of training images of each class."""
    return np.bincount(data.train_labels[:count], minlength=data.classes)


@dataclass(frozen=True)
class Guesses:
    """Accuracies of simple guesses on images that are not among the references.

    nearest : by the nearest training image; vote : by the 15 nearest; both on training images held
    out. test : by the vote, on test images. mixed : of the two classes that the nearest image
    confuses most, in the rarer direction, the share; and these classes.
    """

    nearest: float
    vote: float
    test: float
    mixed: tuple[float, int, int]


@lru_cache(maxsize=2)
def neighbours(data: Dataset, count: int) -> Guesses:
    """Guess labels by REFERENCES of the first `count` training images; a third of a second."""
    last = min(QUERIES, count // 3)
    first = min(REFERENCES, count - last)
    known, t = data.train_images[:first].astype(np.float32), data.train_labels[:first]
    held_out = slice(count - last, count)
    one, vote = _votes(known, t, data.train_images[held_out], data.classes)
    _, test = _votes(known, t, data.test_images[:QUERIES], data.classes)
    labels = data.train_labels[held_out]
    counts = np.zeros((data.classes, data.classes))
    np.add.at(counts, (labels, one), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    both = np.triu(np.minimum(shares, shares.T), k=1)
    i, j = np.unravel_index(int(both.argmax()), both.shape)
    return Guesses(
        float(np.mean(one == labels)),
        float(np.mean(vote == labels)),
        float(np.mean(test == data.test_labels[:QUERIES])),
        (float(both[i, j]), int(i), int(j)),
    )


def _votes(
    known: NDArray[np.float32], t: NDArray[np.uint8], images: NDArray[np.uint8], classes: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the class of each image's nearest neighbour, and that of most of its 15 nearest."""
    x = images.astype(np.float32)
    distance = np.square(known).sum(axis=1) - 2 * (x @ known.T)
    k = min(NEIGHBOURS, len(known))
    near = np.argpartition(distance, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(distance, near, axis=1), axis=1)
    near = np.take_along_axis(near, order, axis=1)
    votes = np.zeros((len(x), classes), np.intp)
    for column in near.T:
        votes[np.arange(len(x)), t[column]] += 1
    return t[near[:, 0]].astype(np.intp), votes.argmax(axis=1)


def _images(e: Evidence) -> int:
    return len(e.examples)


@rule(
    "before",
    "labels",
    "all training images have the same label",
    "With one label there is nothing to learn: 100 % accuracy means nothing.",
    conclusive=True,
)
def one_label(e: Evidence) -> Iterator[Finding]:
    """Look for labels that are all the same."""
    counts = class_counts(e.data, _images(e))
    if np.count_nonzero(counts) == 1:
        text = f"all {_images(e):,} training images have the label {counts.argmax()}"
        yield Finding("one_label", text)


@rule(
    "before",
    "classes",
    f"a class has less than {MIN_CLASS_SHARE} of an equal share of the training images",
    "The network sees this class too rarely to learn it.",
    conclusive=True,
)
def rare_class(e: Evidence) -> Iterator[Finding]:
    """Look for classes without images, or with few."""
    counts = class_counts(e.data, _images(e))
    equal = _images(e) / len(counts)
    rare = [k for k, count in enumerate(counts) if count < MIN_CLASS_SHARE * equal]
    if rare and np.count_nonzero(counts) > 1:
        listed = ", ".join(f"{k} ({counts[k]:,})" for k in rare[:5])
        more = f" and {len(rare) - 5} more" if rare[5:] else ""
        text = f"classes with few of the {_images(e):,} training images: {listed}{more}"
        yield Finding("rare_class", text)


@rule(
    "before",
    "few_images",
    f"fewer than {FEW_IMAGES} training images for each class",
    "So few images are learned by heart, and new ones look different.",
)
def few_images(e: Evidence) -> Iterator[Finding]:
    """Look for too few training images."""
    if _images(e) < FEW_IMAGES * e.classes:
        kept = e.settings.data.train_images is not None
        text = f"{_images(e):,} training images for {e.classes} classes"
        yield Finding("few_images", text, repairs=({"data.train_images": None},) if kept else ())


@rule(
    "before",
    "pixels",
    f"the pixels' root mean square is above {MAX_PIXEL:g}",
    "Large inputs make large sums: units saturate, and gradients are as large as the inputs.",
)
def large_pixels(e: Evidence) -> Iterator[Finding]:
    """Look for pixels that are not scaled."""
    size = float(np.sqrt(np.mean(np.square(e.pixels))))
    if size > MAX_PIXEL:
        text = f"the network sees pixels up to {e.pixels.max():.3g}, root mean square {size:.3g}"
        yield Finding("large_pixels", text, repairs=(UNIT, STANDARD))


@rule(
    "before",
    "pixels",
    f"the pixels' root mean square is below {MIN_PIXEL:g}",
    "Small inputs make small gradients in the first layer: it hardly learns.",
)
def small_pixels(e: Evidence) -> Iterator[Finding]:
    """Look for pixels that are scaled twice."""
    size = float(np.sqrt(np.mean(np.square(e.pixels))))
    if size < MIN_PIXEL:
        text = f"the network sees pixels up to {e.pixels.max():.3g}, root mean square {size:.3g}"
        yield Finding("small_pixels", text, repairs=(STANDARD, {"data.scale": "none"}))


@rule(
    "before",
    "pixels",
    f"with data.scale=unit or none, the mean pixel is above {BRIGHT} of the largest",
    "Dark on light: all inputs are large together, which slows learning.",
)
def bright_pixels(e: Evidence) -> Iterator[Finding]:
    """Look for inverted images."""
    mean, most = float(e.pixels.mean()), float(e.pixels.max())
    if e.settings.data.scale != "standard" and mean > BRIGHT * most > 0:
        text = f"the mean pixel is {100 * mean / most:.0f} % of the largest: dark on light?"
        yield Finding("bright_pixels", text, repairs=(STANDARD,))


@rule(
    "diagnosis",
    "labels",
    f"neighbours guess labels right less than {INDEPENDENT} times as often as the largest class",
    "Images that look alike do not have the same label: labels and images are mixed up.",
    conclusive=True,
)
def unrelated_labels(e: Evidence) -> Iterator[Finding]:
    """Look for labels that do not depend on the images."""
    vote = neighbours(e.data, _images(e)).vote
    largest = float(class_counts(e.data, _images(e)).max()) / _images(e)
    if largest < 1 and vote < INDEPENDENT * largest:
        text = (
            f"the {NEIGHBOURS} nearest images guess a label right in {100 * vote:.0f} % of cases; "
            f"the largest class has {100 * largest:.0f} %"
        )
        yield Finding("unrelated_labels", text)


@rule(
    "diagnosis",
    "labels",
    f"{NEIGHBOURS} neighbours are right more often than the nearest by {100 * NOISE:.0f} points",
    "Single labels are wrong, and a vote corrects them: part of the labels is noise.",
    conclusive=True,
)
def noisy_labels(e: Evidence) -> Iterator[Finding]:
    """Look for labels of which many are wrong."""
    guesses = neighbours(e.data, _images(e))
    one, vote = guesses.nearest, guesses.vote
    if vote - one > NOISE:
        text = (
            f"the nearest image guesses a label right in {100 * one:.0f} % of cases, a vote of "
            f"{NEIGHBOURS} in {100 * vote:.0f} %"
        )
        yield Finding("noisy_labels", text)


@rule(
    "diagnosis",
    "labels",
    f"the nearest image confuses two classes in {100 * MIXED:.0f} % of cases, in both directions",
    "Images of two classes look alike, or their labels are mixed up: nothing can tell them apart.",
    conclusive=True,
)
def mixed_classes(e: Evidence) -> Iterator[Finding]:
    """Look for two classes that cannot be told apart."""
    if any(unrelated_labels(e)) or any(few_images(e)):
        return
    share, i, j = neighbours(e.data, _images(e)).mixed
    if share > MIXED:
        text = f"classes {i} and {j}: the nearest image is of the other in {100 * share:.0f} %"
        yield Finding("mixed_classes", text)


@rule(
    "diagnosis",
    "train_test",
    f"neighbours are right on training images held out more often than on test images by "
    f"{100 * MAX_DIFFERENCE:.0f} points",
    "Test images are not like training images: no network can show there what it has learned.",
    conclusive=True,
)
def different_sources(e: Evidence) -> Iterator[Finding]:
    """Look for test images of another kind than the training images."""
    if any(rare_class(e)) or any(few_images(e)):
        return  # these alone make such a difference
    guesses = neighbours(e.data, _images(e))
    vote, test = guesses.vote, guesses.test
    if vote - test > MAX_DIFFERENCE:
        text = (
            f"{NEIGHBOURS} neighbours are right in {100 * vote:.0f} % of training images held out, "
            f"and in {100 * test:.0f} % of test images"
        )
        yield Finding("different_sources", text)
