"""Cells that were left out, predicted by a Gaussian process fitted to the others."""

import numpy as np
import pytest

from sgdprobe.study.factors import all_cells
from sgdprobe.study.intervals import Array
from sgdprobe.study.prediction import (
    GaussianProcess,
    Prediction,
    model_is_adequate,
    near_ends,
    predictions,
    sample,
)


def noisy(y: Array, deviation: float = 0.01) -> Array:
    """Ten seeds of a surface (2, …, 2)."""
    return y[..., np.newaxis] + np.random.default_rng(0).normal(0, deviation, (*y.shape, 10))


@pytest.mark.parametrize(("k", "unseen"), [(1, 0), (2, 0), (3, 1), (4, 4), (5, 10), (6, 20)])
def test_number_of_held_out_cells(k: int, unseen: int) -> None:
    found = predictions(np.random.default_rng(0).normal(size=(2,) * k + (4,)))
    assert len(found) == unseen == 2**k - len(near_ends(k))
    assert all(sum(each.cell) > 2 for each in found)


def test_a_process_by_hand() -> None:
    # One factor with correlation r = 1/2, variance 4, no noise, values 1 and 3: the mean is 2, and
    # a measured cell is predicted as it was measured.
    process = GaussianProcess([(0,), (1,)], np.array([1.0, 3.0]), np.array([0.5]), 4.0, 1e-12)
    np.testing.assert_allclose(process.covariance([(0,)]), [[4, 2]])
    assert process.mean == pytest.approx(2)
    mean, variance = process.predict([(0,), (1,)])
    np.testing.assert_allclose(mean, [1, 3], atol=1e-9)
    np.testing.assert_allclose(variance, 0, atol=1e-9)


def test_a_cell_like_no_other_by_hand() -> None:
    # Two factors, the second with r = 0.01: where it changes, little is known but the mean of all.
    cells = [(0, 0), (1, 0)]
    process = GaussianProcess(cells, np.array([1.0, 3.0]), np.array([0.5, 0.01]), 4.0, 1e-12)
    (mean,), (variance,) = process.predict([(0, 1)])
    assert mean == pytest.approx(2 + 0.01 * (1 - 2), abs=1e-9)
    assert variance > 4, "the variance of a cell that has nothing in common, and of the mean"


def test_single_changes_and_pairs_predict_the_rest() -> None:
    y = np.zeros((2,) * 5)
    for cell in all_cells(5):
        y[cell] = 0.5 + 0.05 * sum(cell) - 0.04 * cell[0] * cell[3] + 0.03 * cell[1] * cell[4]
    found = predictions(noisy(y))
    assert model_is_adequate(found)
    for each in found:
        assert each.predicted.mean == pytest.approx(each.measured, abs=0.03)


def test_a_factor_without_effect_is_found() -> None:
    cells = all_cells(4)
    values = np.array([0.2 + 0.3 * cell[0] + 0.1 * cell[1] * cell[2] for cell in cells])
    found = np.mean([one.correlations for one in sample(cells, values, 1e-6)], axis=0)
    assert found[3] > 0.99
    assert found[0] < 0.9


def test_cells_that_follow_the_model_are_inside_in_95_of_100() -> None:
    """Surfaces drawn from the model itself, with correlations that it has to find."""
    rng = np.random.default_rng(4)
    cells = all_cells(5)
    apart = np.array(cells)[:, np.newaxis] != np.array(cells)
    inside = []
    for _ in range(12):
        covariance = 0.01 * np.where(apart, rng.uniform(0.2, 0.95, 5), 1.0).prod(axis=-1)
        y = rng.multivariate_normal(np.full(32, 0.7), covariance).reshape((2,) * 5)
        inside += [each.inside for each in predictions(noisy(y))]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.05), "the likeliest process alone: 0.80"


def test_one_surprise_is_no_contradiction_and_many_are() -> None:
    def found(insides: int) -> list[Prediction]:
        (one,) = predictions(noisy(np.zeros((2, 2, 2))))
        at = one.predicted.mean
        return [
            Prediction(one.cell, one.predicted, at if number < insides else at + 1)
            for number in range(10)
        ]

    # Of 10 with 95 % each, 8 or fewer are inside in 8.6 % of the studies, 7 or fewer in 1.2 %.
    assert model_is_adequate(found(8))
    assert not model_is_adequate(found(7))
