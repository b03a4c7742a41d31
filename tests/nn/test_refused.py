"""Arguments that NumPy would broadcast, cut, wrap or round to some result: each is refused."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sgdprobe.nn import (
    SGD,
    EpochMetrics,
    Examples,
    Network,
    accuracy,
    draw_params,
    numerical_gradient,
    permutation,
    softmax,
    train,
    updates_per_epoch,
)

RNG = np.random.default_rng(0)
IMAGES = np.array([[0, 0, 255], [0, 51, 102], [0, 0, 0], [255, 0, 0]], np.uint8)
LABELS = np.array([0, 1, 0, 1])
PARAMS = {"W1": np.ones((3, 2), np.float32), "b1": np.zeros(2, np.float32)}
GOOD = Examples(IMAGES, LABELS)


def trained(examples: Examples = GOOD, test: Examples = GOOD, **more: Any) -> list[EpochMetrics]:
    options: dict[str, Any] = {"batch_size": 2, "updates": 2} | more
    rng = np.random.default_rng(0)
    return list(train(Network(PARAMS), examples, test, rng, SGD(0.1), **options))


def params(**arrays: Any) -> Network:
    return Network(PARAMS | arrays)


REFUSED: dict[str, Callable[[], object]] = {
    # Softmax: a (2, 3) written into one row; integers, whose exp is cut.
    "a and out must be (n, c) or (c,) floats; got a (2, 3) float64, out (1, 3)": lambda: softmax(
        np.ones((2, 3)), out=np.ones((1, 3))
    ),
    "a and out must be (n, c) or (c,) floats; got a (2,) int64, out (2,)": lambda: softmax(
        np.array([1, 2])
    ),
    "over must be one of sample, batch; got 'row'": lambda: softmax(np.ones((2, 3)), "row"),
    # Examples: pixels / 255 would be cut to 0, labels of 0.9 too; indices would be clipped.
    "images must be (n, pixels) bytes, uint8; got (4, 3) float64": lambda: Examples(
        IMAGES / np.float64(255),  # type: ignore[arg-type]
        LABELS,
    ),
    "images must be (n, pixels) bytes, uint8; got (0, 3) uint8": lambda: Examples(
        IMAGES[:0], LABELS[:0]
    ),
    "labels must be (4,) integers from 0; got (4,) float64 from 0.9": lambda: Examples(
        IMAGES, LABELS + 0.9
    ),
    "labels must be (4,) integers from 0; got (4,) int64 from -1": lambda: Examples(
        IMAGES, LABELS - 1
    ),
    "labels must be (4,) integers from 0; got (3,) int64 from 0": lambda: Examples(
        IMAGES, LABELS[:3]
    ),
    "leading_zeros and position must be (4,); got (1,) and (4,)": lambda: Examples(
        IMAGES, LABELS, leading_zeros=np.array([0])
    ),
    "batch_mask must be indices 0 … 3; got 0 … 4": lambda: GOOD.batch(np.array([0, 4])),
    "batch_mask must be indices 0 … 3; got -1 … 0": lambda: GOOD.batch(np.array([0, -1])),
    "batch_mask must be (batch,) integers; got (4,) bool": lambda: GOOD.batch(LABELS == 1),
    "batch_mask must be (batch,) integers; got (1, 2) int64": lambda: GOOD.batch(
        np.array([[0, 1]])
    ),
    # Networks.
    "params must be of one float type; got float32, float64": lambda: params(b1=np.zeros(2)),
    "params must be of one float type; got int64": lambda: Network(
        {"W1": np.ones((3, 2), int), "b1": np.zeros(2, int)}
    ),
    "activation must be one of sigmoid, relu, tanh, identity; got 'gelu'": lambda: Network(
        PARAMS, activation="gelu"
    ),
    "softmax_over must be one of sample, batch; got 'row'": lambda: Network(
        PARAMS, softmax_over="row"
    ),
    "loss must be one of cross_entropy, mean_squared_error; got 'mse'": lambda: Network(
        PARAMS, loss="mse"
    ),
    "x must be float32, as the weights are; got float64": lambda: params().scores(np.ones((1, 3))),
    "x must be (n, 3); got (0, 3)": lambda: params().scores(np.ones((0, 3), np.float32)),
    "sizes must be two or more, each 1 or more; got [3]": lambda: draw_params(
        RNG, [3], scheme="he", scale=1, dtype="float32"
    ),
    "sizes must be two or more, each 1 or more; got [3, 0, 2]": lambda: draw_params(
        RNG, [3, 0, 2], scheme="he", scale=1, dtype="float32"
    ),
    "scheme must be one of normal, xavier, he, lecun; got 'glorot'": lambda: draw_params(
        RNG, [3, 2], scheme="glorot", scale=1, dtype="float32"
    ),
    "scale must be 0 or more and dtype of floats; got 1 and int8": lambda: draw_params(
        RNG, [3, 2], scheme="he", scale=1, dtype="int8"
    ),
    "scale must be 0 or more and dtype of floats; got -1 and float32": lambda: draw_params(
        RNG, [3, 2], scheme="he", scale=-1, dtype="float32"
    ),
    # Batches.
    "updates must be at most 3, one epoch; got 7": lambda: permutation(RNG, 10, 4, 7),
    "n and batch_size must be 1 or more; got 10 and -4": lambda: updates_per_epoch(10, -4),
    # Training: the label -1 was taken for the last class of another sample.
    "labels must be 0 … 1; got 7": lambda: trained(test=Examples(IMAGES, LABELS * 7)),
    "labels must be 0 … 1; got 2": lambda: accuracy(params(), Examples(IMAGES, LABELS * 2)),
    "the network has 3 pixels; the images have 2": lambda: trained(Examples(IMAGES[:, 1:], LABELS)),
    "sampling must be one of with_replacement, permutation; got 'all'": lambda: trained(
        sampling="all"
    ),
    "gradient must be one of backprop, numerical; got 'exact'": lambda: trained(gradient="exact"),
    "n and batch_size must be 1 or more; got 4 and 0": lambda: trained(batch_size=0),
    "f must return one number; got an array of (1,)": lambda: numerical_gradient(
        lambda x: x**2, np.array([3.0])
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_wrong_argument_is_refused_with_its_value(words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        REFUSED[words]()


def test_one_sample_is_given_the_softmax_of_a_batch_of_one() -> None:
    # exp(0) : exp(ln 3) = 1 : 3.
    a = np.log([1.0, 3.0])
    np.testing.assert_allclose(softmax(a), [0.25, 0.75], rtol=1e-15)
    np.testing.assert_allclose(softmax(a[np.newaxis]), [[0.25, 0.75]], rtol=1e-15)


def test_pixels_may_stay_bytes_and_labels_a_list() -> None:
    # Scores 255 and 255: a guess among two classes, whose loss is ln 2.
    labels: Any = [0]
    loss = params().gradient(np.array([[0, 0, 255]], np.uint8), labels)
    assert loss == pytest.approx(np.log(2), abs=1e-6)
