"""Activations, softmax and losses, against the numbers that the notes print and worked ones."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sgdprobe.nn import (
    ACTIVATIONS,
    cross_entropy_error,
    identity,
    mean_squared_error,
    relu,
    sigmoid,
    softmax,
    tanh,
)

DTYPES = ["float32", "float64"]
LOSSES = [cross_entropy_error, mean_squared_error]

# The notes' one output and its two teachers: class 1 is the right answer, class 0 a wrong one.
Y = [0.1, 0.7, 0.2]
RIGHT, WRONG = [0, 1, 0], [1, 0, 0]


@pytest.mark.parametrize(
    ("loss", "y", "t", "printed"),
    [
        (mean_squared_error, Y, RIGHT, 0.07000000000000002),
        (mean_squared_error, Y, WRONG, 0.67),
        (cross_entropy_error, Y, RIGHT, 0.3566748010815999),
        (cross_entropy_error, Y, WRONG, 2.302584092994546),
        # The mean over a batch of twice the same sample is that sample's.
        (cross_entropy_error, [Y, Y], [RIGHT, RIGHT], 0.3566748010815999),
        (cross_entropy_error, [Y, Y], [WRONG, WRONG], 2.302584092994546),
        # -(log 0.7 + log 0.2) / 2
        (cross_entropy_error, [Y, Y], [1, 2], 0.9830561067579126),
    ],
)
def test_the_losses_that_the_notes_print(
    loss: Callable[..., float], y: Any, t: Any, printed: float
) -> None:
    assert loss(np.array(y), np.array(t)) == pytest.approx(printed, rel=1e-15)


def test_integer_labels_pick_the_true_class() -> None:
    y, t = np.array([Y, Y]), np.array([1, 2])
    picked = y[np.arange(2), t]
    assert picked.tolist() == [0.7, 0.2]
    assert cross_entropy_error(y, t) == pytest.approx(-np.mean(np.log(picked + 1e-7)), rel=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_hot_and_integer_labels_agree(loss: Callable[..., float]) -> None:
    y = softmax(np.random.default_rng(0).standard_normal((6, 4)))
    t = np.array([0, 3, 1, 1, 2, 0])
    one_hot = np.eye(4, dtype=int)[t]
    assert loss(y, t) == pytest.approx(loss(y, one_hot), rel=1e-14)
    assert loss(y[0], t[0]) == pytest.approx(loss(y[0], one_hot[0]), rel=1e-14)


def test_mean_squared_error_is_a_mean_over_samples_and_a_sum_over_classes() -> None:
    # 0.5 · (0.1² + 0.3² + 0.2²) = 0.07 and 0.5 · (0.9² + 0.7² + 0.2²) = 0.67; their mean is 0.37.
    assert mean_squared_error(np.array([Y, Y]), np.array([1, 0])) == pytest.approx(0.37)


@pytest.mark.parametrize(
    ("y", "t", "words"),
    [
        (Y, [1], "labels () or one-hot (3,); got y (3,) and t (1,)"),
        ([Y, Y], [[1], [2]], "labels (2,) or one-hot (2, 3); got y (2, 3) and t (2, 1)"),
        ([Y, Y], [RIGHT], "got y (2, 3) and t (1, 3)"),
        ([Y, Y], 1, "got y (2, 3) and t ()"),
        ([[Y]], [[1]], "got y (1, 1, 3) and t (1, 1)"),
        (np.empty((0, 3)), np.empty(0, int), "got y (0, 3) and t (0,)"),
        ([Y, Y], [0, 3], "labels must be 0 … 2; got 3"),
        ([Y, Y], [0, -1], "labels must be 0 … 2; got -1"),
        (Y, -1, "labels must be 0 … 2; got -1"),
        ([Y, Y], [0.0, 1.0], "labels must be integers; got float64"),
    ],
)
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_refuse_what_does_not_fit(
    loss: Callable[..., float], y: Any, t: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        loss(np.array(y), np.array(t))


def test_labels_may_be_bytes() -> None:
    y = np.array([Y, Y])
    assert cross_entropy_error(y, np.array([1, 2], np.uint8)) == pytest.approx(0.9830561067579126)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_true_class_of_probability_zero_costs_no_more_than_the_guard_allows(dtype: str) -> None:
    y = np.array([[0.0, 1.0]], dtype)
    # -log(0 + 1e-7) = 7 log 10 = 16.118
    assert cross_entropy_error(y, np.array([0])) == pytest.approx(7 * math.log(10), rel=1e-6)


@pytest.mark.parametrize(
    ("function", "a", "h"),
    [
        (sigmoid, [-math.log(3), 0.0, math.log(3)], [0.25, 0.5, 0.75]),
        (sigmoid, [-1e30, 1e30], [0.0, 1.0]),
        (relu, [-2.0, 0.0, 3.0], [0.0, 0.0, 3.0]),
        (tanh, [-math.log(2), 0.0, math.log(2)], [-0.6, 0.0, 0.6]),  # (2 - 1/2) / (2 + 1/2)
        (tanh, [-1e30, 1e30], [-1.0, 1.0]),
        (identity, [-2.0, 0.0, 3.0], [-2.0, 0.0, 3.0]),
    ],
)
def test_activations_by_hand(function: Callable[..., Any], a: list[float], h: list[float]) -> None:
    np.testing.assert_allclose(function(np.array(a)), h, rtol=1e-15)


def test_sigmoid_is_the_textbook_formula() -> None:
    a = np.linspace(-30, 30, 601)
    # One unit in the last place of numbers up to 1 is 1.1e-16.
    np.testing.assert_allclose(sigmoid(a), 1 / (1 + np.exp(-a)), rtol=0, atol=2.3e-16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_keep_the_type_and_leave_their_input_alone(name: str, dtype: str) -> None:
    a = np.array([[-1.5, 0.5], [2.0, -0.25]], dtype)
    before = a.copy()
    h = ACTIVATIONS[name].function(a)
    assert h.dtype == dtype
    assert not np.shares_memory(h, a)
    np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("function", [sigmoid, relu, tanh, identity, softmax])
def test_out_may_be_another_array_or_the_input_itself(function: Callable[..., Any]) -> None:
    a = np.array([[-1.5, 0.5], [2.0, -0.25]])
    expected, other = function(a), np.empty_like(a)
    assert function(a, out=other) is other
    np.testing.assert_array_equal(other, expected)
    assert function(a, out=a) is a
    np.testing.assert_array_equal(a, expected)


# exp of these is 1 2 / 3 4: the rows add up to 3 and 7, all of it to 10.
SCORES = np.log([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("over", "y"),
    [("sample", [[1 / 3, 2 / 3], [3 / 7, 4 / 7]]), ("batch", [[0.1, 0.2], [0.3, 0.4]])],
)
def test_softmax_by_hand(over: str, y: list[list[float]]) -> None:
    np.testing.assert_allclose(softmax(SCORES, over), y, rtol=1e-15)
    np.testing.assert_allclose(softmax(SCORES + 1000.0, over), y, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_sums_to_one(dtype: str) -> None:
    a = (10 * np.random.default_rng(0).standard_normal((100, 10))).astype(dtype)
    per_sample, per_batch = softmax(a, "sample"), softmax(a, "batch")
    assert per_sample.dtype == per_batch.dtype == dtype
    np.testing.assert_allclose(per_sample.sum(axis=1), np.ones(100), rtol=1e-5)
    assert float(per_batch.sum()) == pytest.approx(1.0, rel=1e-5)
    assert float(per_sample.sum()) == pytest.approx(100.0, rel=1e-5)


def test_of_one_sample_both_softmaxes_are_the_same() -> None:
    np.testing.assert_array_equal(softmax(SCORES[:1], "sample"), softmax(SCORES[:1], "batch"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("over", "y"),
    [("sample", [[0.0, 1.0], [1.0, 0.0]]), ("batch", [[0.0, 1.0], [0.0, 0.0]])],
)
def test_softmax_of_huge_scores(over: str, y: list[list[float]], dtype: str) -> None:
    a = np.array([[-1e30, 1e30], [0.0, -1e30]], dtype)
    np.testing.assert_array_equal(softmax(a, over), y)
