"""Cells that were left out, predicted from the others by a Gaussian process.

A single change and a pair of changes have no effect of their own in this model; two cells are
alike, the more so the fewer changes lie between them. Each factor i has a correlation r_i: the
correlation of two cells is the product of the r_i of the factors in which they differ. So r = 1
is a factor without effect, and one with r near 0 makes all cells beyond it unlike those before it.
Few cells leave correlations and variance uncertain, and the likeliest alone would promise too much:
predictions are averaged over a sample of those that fit, drawn by Metropolis' algorithm (Rasmussen
and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sgdprobe.study.factors import Cell, all_cells
from sgdprobe.study.intervals import LEVEL, TIED, Array, Estimate, as_few

NORMAL = 1.959964  # half the width of the 95 % interval, in standard deviations
STEPS, BURN_IN, KEPT = 5000, 500, 5  # of the sampling; of the steps after the first, each fifth
STEP_SIZES = (0.7, 0.15)  # of the logits of the correlations: long steps, and one in five short
LARGEST = 4.0  # the logarithm of the variance, relative to that of the values, is within this


@dataclass(frozen=True)
class Prediction:
    """A prediction of a cell that was left out.

    The interval has the uncertainty of the model and of the measured mean: of cells that follow
    the model, 95 of 100 measured means are in it.
    """

    cell: Cell
    predicted: Estimate
    measured: float

    @property
    def inside(self) -> bool:
        """True if the measured mean is in the interval."""
        return self.predicted.low <= self.measured <= self.predicted.high


def from_target(k: int) -> int:
    """Return how many changes from the target a cell of the fit may be; -1: none is in it.

    Two, as from the baseline, but for k < 6 fewer: then two would leave no cell to predict.
    """
    return min(2, k - 4)


def near_ends(k: int) -> list[Cell]:
    """Return the cells at most two changes from the baseline, or `from_target` from the target."""
    return [cell for cell in all_cells(k) if sum(cell) <= 2 or k - sum(cell) <= from_target(k)]


def predictions(y: Array) -> list[Prediction]:
    """Predict the cells far from both ends by those near them; none for k < 3.

    y : (2, …, 2, n), an axis for each of k factors, then n seeds.
    """
    k = y.ndim - 1
    seen = near_ends(k)
    unseen = [cell for cell in all_cells(k) if cell not in seen]
    if not unseen:
        return []
    runs = np.stack([y[cell] for cell in seen])
    noise = float(runs.var(axis=1, ddof=1).mean()) / y.shape[-1]  # of a cell's mean
    fits = [one.predict(unseen) for one in sample(seen, runs.mean(axis=1), noise)]
    means, variances = (np.array(some) for some in zip(*fits, strict=True))
    mean = means.mean(axis=0)
    half = NORMAL * np.sqrt(variances.mean(axis=0) + means.var(axis=0) + noise)
    return [
        Prediction(cell, Estimate(m, m - h, m + h), float(y[cell].mean()))
        for cell, m, h in zip(unseen, mean.tolist(), half.tolist(), strict=True)
    ]


def model_is_adequate(found: Sequence[Prediction]) -> bool:
    """Return False if a true model would have so few inside in less than 1 of 20 studies."""
    return as_few(sum(each.inside for each in found), len(found), LEVEL) > 1 - LEVEL


@dataclass(frozen=True)
class GaussianProcess:
    """Values of cells, and a model of all cells.

    correlations : (k,), each factor's, in 0 … 1. variance : of cells that have nothing in common.
    noise : the variance of a measured value about the cell's true one.
    """

    cells: Sequence[Cell]
    values: Array
    correlations: Array
    variance: float
    noise: float

    def covariance(self, cells: Sequence[Cell]) -> Array:
        """Return the covariance of cells with those that were measured : (cells, measured)."""
        differ = np.array(cells)[:, np.newaxis] != np.array(self.cells)
        product: Array = np.where(differ, self.correlations, 1.0).prod(axis=-1)
        return self.variance * product

    @cached_property
    def _inverse(self) -> Array:
        measured = self.covariance(self.cells) + self.noise * np.eye(len(self.cells))
        return np.asarray(np.linalg.inv(measured))

    @cached_property
    def mean(self) -> float:
        """The mean of all cells, by generalized least squares."""
        weights = self._inverse.sum(axis=0)
        return float(weights @ self.values / weights.sum())

    @property
    def log_likelihood(self) -> float:
        """Of the measured values, whatever the mean of all cells; up to a constant."""
        away = self.values - self.mean
        _, log_determinant = np.linalg.slogdet(self._inverse)
        fit = away @ self._inverse @ away
        return -float(fit - log_determinant + np.log(self._inverse.sum())) / 2

    def predict(self, cells: Sequence[Cell]) -> tuple[Array, Array]:
        """Return mean and variance of the true values of cells : (cells,) each."""
        covariance = self.covariance(cells)
        weights = covariance @ self._inverse
        mean = self.mean + weights @ (self.values - self.mean)
        of_mean = (1 - weights.sum(axis=1)) ** 2 / self._inverse.sum()
        variance = self.variance - (weights * covariance).sum(axis=1) + of_mean
        return mean, np.maximum(variance, 0)


def sample(cells: Sequence[Cell], values: Array, noise: float) -> list[GaussianProcess]:
    """Draw processes that may have made these values : (cells,), as often as they are likely.

    Beforehand each correlation is as likely as any other in 0 … 1, and so is each logarithm of the
    variance in a wide range.
    """
    rng, k = np.random.default_rng(0), len(cells[0])
    scale = max(float(values.var()), TIED)
    noise = max(noise, scale * TIED)

    def process(at: Array) -> tuple[GaussianProcess, float]:
        r = 1 / (1 + np.exp(-at[:k]))
        one = GaussianProcess(cells, values, r, scale * float(np.exp(at[k])), noise)
        # The second term: at[:k] are logits, and the correlations themselves are uniform.
        return one, one.log_likelihood + float(np.log(r * (1 - r)).sum())

    at = np.append(np.ones(k), 0.0)
    (current, fit), kept = process(at), []
    for step in range(STEPS):
        to = at + rng.normal(size=k + 1) * STEP_SIZES[rng.random() < 0.2]
        if abs(to[k]) < LARGEST:
            candidate, its_fit = process(to)
            if np.log(rng.random()) < its_fit - fit:
                at, current, fit = to, candidate, its_fit
        if step >= BURN_IN and step % KEPT == 0:
            kept.append(current)
    return kept
