"""Numerical derivatives: what the notes print, and what a caller may rely on."""

import numpy as np
import pytest

from sgdprobe.nn import gradient_descent, numerical_diff, numerical_gradient
from sgdprobe.nn.functions import Array


def sum_of_squares(x: Array) -> float:
    """The notes' test_func: its gradient is 2x."""
    return float(np.sum(x * x))


def test_numerical_diff_of_a_line_is_its_slope_everywhere() -> None:
    slopes = numerical_diff(lambda x: 2 * x + 1, np.array([2, 3]))
    np.testing.assert_allclose(slopes, [2.0, 2.0], rtol=1e-11)


def test_a_central_difference_is_off_by_h_squared_and_only_by_that() -> None:
    # ((x + h)³ - (x - h)³) / 2h = 3x² + h², where a forward difference would be off by 3xh.
    assert numerical_diff(lambda x: x**3, 2.0, h=0.1) == pytest.approx(12.01, rel=1e-12)


def test_the_gradient_that_the_notes_print() -> None:
    gradient = numerical_gradient(sum_of_squares, np.array([3.0, 4.0]))
    np.testing.assert_allclose(gradient, [6.0, 8.0], rtol=1e-9)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3), (0,)])
def test_the_gradient_has_the_shape_of_x(shape: tuple[int, ...]) -> None:
    x = np.array(np.random.default_rng(0).standard_normal(shape))
    before = x.copy()
    gradient = numerical_gradient(sum_of_squares, x)
    assert gradient.shape == shape
    np.testing.assert_allclose(gradient, 2 * x, rtol=1e-7, atol=1e-10)
    np.testing.assert_array_equal(x, before)


def test_the_gradient_of_every_second_element_leaves_the_others_alone() -> None:
    x = np.arange(6.0)
    gradient = numerical_gradient(lambda _: sum_of_squares(x), x[::2])
    np.testing.assert_allclose(gradient, [0.0, 4.0, 8.0], atol=1e-9)


@pytest.mark.parametrize("call", [1, 2, 4])
def test_x_is_put_back_when_f_raises(call: int) -> None:
    x = np.array([3.0, 4.0])
    calls: list[Array] = []

    def f(x: Array) -> float:
        calls.append(x.copy())
        if len(calls) == call:
            raise ZeroDivisionError
        return sum_of_squares(x)

    with pytest.raises(ZeroDivisionError):
        numerical_gradient(f, x)
    assert calls[-1].tolist() != [3.0, 4.0], "f never saw a changed x: nothing was put to the test"
    assert x.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_an_integer_x_is_refused(dtype: str) -> None:
    x = np.array([3, 4]).astype(dtype)
    with pytest.raises(TypeError, match=f"x must be an array of floats; got {dtype}"):
        numerical_gradient(sum_of_squares, x)


def test_gradient_descent_ends_where_the_notes_end() -> None:
    end, path = gradient_descent(sum_of_squares, np.array([-3.0, 4.0]), lr=0.1, step_num=100)
    np.testing.assert_allclose(end, [-6.11110793e-10, 8.14814391e-10], rtol=1e-8)
    # Each step goes from x to x - 0.1 · 2x = 0.8 x: the path is a straight line to the minimum.
    assert path.shape == (101, 2)
    straight = 0.8 ** np.arange(101)[:, np.newaxis] * [-3.0, 4.0]
    np.testing.assert_allclose(path, straight, rtol=1e-6, atol=1e-12)


def test_gradient_descent_leaves_its_start_alone() -> None:
    start = np.array([-3.0, 4.0])
    end, path = gradient_descent(sum_of_squares, start, lr=0.1, step_num=2)
    assert start.tolist() == [-3.0, 4.0]
    np.testing.assert_allclose(path, [[-3.0, 4.0], [-2.4, 3.2], [-1.92, 2.56]], rtol=1e-9)
    np.testing.assert_array_equal(end, path[-1])


# The book's two bad learning rates, from the same start: too far, and hardly at all.
@pytest.mark.parametrize(("lr", "ratio"), [(10.0, -19.0), (1e-10, 1 - 2e-10)])
def test_a_learning_rate_too_large_or_too_small(lr: float, ratio: float) -> None:
    # From x to x - lr · 2x = (1 - 2 lr) x.
    end, _ = gradient_descent(sum_of_squares, np.array([-3.0, 4.0]), lr=lr, step_num=3)
    np.testing.assert_allclose(end, ratio**3 * np.array([-3.0, 4.0]), rtol=1e-6)
