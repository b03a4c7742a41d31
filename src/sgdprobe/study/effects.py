"""Statistics of a full factorial with paired seeds: the part of each change in a gap.

y : (2, …, 2, n) everywhere, an axis for each of k factors (0 as in the baseline, 1 as in the
target), then n seeds. A cell is an index of the first k axes, such as (0, 1, 0).

Runs with the same seed are pairs: every statistic is computed for each seed separately, (…, n),
and its interval is Student's t over these n values. That is exact for any n if they are normal. In
1,000 simulated studies of 10 seeds it contains the truth in 95 of 100, the percentile bootstrap
over the seeds in 90.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.study.factors import Cell, all_cells

Array = NDArray[np.floating[Any]]

LEVEL = 0.95
DRAWS = 9999  # of the bootstrap
TIED = 1e-9  # values this close are equal: accuracies are counts of images
FEW_SEEDS = 5  # with fewer, only large differences are clear
# Share of figures marked as resting on one seed if the seeds are normal.
MARKED_BY_CHANCE = 0.02
SUFFICIENT_WITHIN = 0.01  # a set of changes is sufficient if it comes this close to the target


@dataclass(frozen=True)
class Estimate:
    """A mean over the seeds and its 95 % interval; infinite if all seeds give the same value.

    one_seed : the seed on which the mean rests, if there is one, and the estimate without it.
    """

    mean: float
    low: float
    high: float
    one_seed: "tuple[int, Estimate] | None" = None

    @property
    def is_tied(self) -> bool:
        """True if the seeds do not differ, so that they say nothing about an interval."""
        return bool(np.isinf(self.low))

    @property
    def excludes_zero(self) -> bool:
        """True if 0 is outside the interval."""
        return self.low > 0 or self.high < 0

    def overlaps(self, other: "Estimate") -> bool:
        """Return True if both have an interval and these share a value."""
        if self.is_tied or other.is_tied:
            return False
        return self.low <= other.high and other.low <= self.high


def estimate(values: Array, errors: Array | None = None) -> Estimate:
    """Return the mean of n paired values and its interval, from other n values if given."""
    mean, half = float(np.mean(values)), float(half_width(values if errors is None else errors))
    seed = _outlier(values) if errors is None else None
    without = None if seed is None else (seed, estimate(np.delete(values, seed)))
    return Estimate(mean, mean - half, mean + half, without)


def half_width(values: Array) -> Array:
    """Return half the width of the 95 % interval of the mean over the last axis."""
    spread: Array = np.std(values, axis=-1, ddof=1)
    is_tied = np.ptp(values, axis=-1) < TIED
    return np.where(is_tied, np.inf, spread * reach(values.shape[-1]))


def reach(n: int) -> float:
    """Return half the width of the interval of n values, in their standard deviations."""
    return student_t(n) / float(np.sqrt(n))


def _outlier(values: Array) -> int | None:
    """Return the seed that differs from the others as one of normal seeds rarely does: Grubbs."""
    n = len(values)
    if n < 3 or np.ptp(values) < TIED:
        return None
    seed = int(np.argmax(np.abs(values - np.mean(values))))
    others = np.delete(values, seed)
    distance = abs(values[seed] - np.mean(others))
    deviation = np.std(others, ddof=1) * np.sqrt(n / (n - 1))
    rare = distance > _special().stdtrit(n - 2, 1 - MARKED_BY_CHANCE / (2 * n)) * deviation
    return seed if rare else None


def bootstrap(values: Array) -> list[Estimate]:
    """Return the means of (m, n) values and percentile intervals over DRAWS of the n seeds.

    All m share the same draws, in every call.
    """
    n = values.shape[-1]
    picks = np.random.default_rng(0).integers(0, n, (DRAWS, n))
    tails = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    found = []
    for one in values:
        ends = np.quantile(one[picks].mean(axis=1), tails)
        low, high = (-np.inf, np.inf) if np.ptp(one) < TIED else ends
        found.append(Estimate(float(one.mean()), float(low), float(high)))
    return found


@cache
def _special() -> Any:
    """Return SciPy's functions: a third of a second to import, with scipy.stats a whole one."""
    return import_module("scipy.special")


def student_t(n: int) -> float:
    """Return the half width of the 95 % interval of n values, in standard errors."""
    return float(_special().stdtrit(n - 1, (1 + LEVEL) / 2))


def changes(y: Array, i: int) -> Array:
    """Return the effect of factor i in each cell of the others : (2, …, 2, n), k - 1 axes of 2."""
    return np.diff(y, axis=i).squeeze(axis=i)


def gap(y: Array) -> Array:
    """Return target minus baseline : (n,)."""
    k = y.ndim - 1
    return np.asarray(y[(1,) * k] - y[(0,) * k])


def shapley(y: Array) -> Array:
    """Return Shapley values, mean marginal contributions over all k! orderings : (k, n).

    Of all orderings, a share 1 / (k · C(k - 1, s)) has a given set of s other factors before a
    factor. The values sum to the gap, seed by seed.
    """
    k = y.ndim - 1
    weights = np.array([1 / (k * comb(k - 1, sum(others))) for others in all_cells(k - 1)])
    return np.stack([weights @ changes(y, i).reshape(len(weights), -1) for i in range(k)])


def main_effects(y: Array) -> Array:
    """Return each factor's effect, mean over all cells of the others : (k, n)."""
    k = y.ndim - 1
    return np.stack([changes(y, i).reshape(2 ** (k - 1), -1).mean(axis=0) for i in range(k)])


def interactions(y: Array) -> dict[tuple[int, int], Array]:
    """Return each pair's interaction: the effect of one after the other's change minus before.

    (n,) each, mean over all cells of the rest. 0: the two effects add up. Below 0: they overlap.
    """
    k = y.ndim - 1
    rest = 2 ** (k - 2)
    return {
        (i, j): changes(changes(y, j), i).reshape(rest, -1).mean(axis=0)
        for i, j in combinations(range(k), 2)
    }


def one_at_a_time(y: Array) -> Array:
    """Return each factor's effect as the only change of the baseline : (k, n)."""
    k = y.ndim - 1
    return np.stack([changes(y, i)[(0,) * (k - 1)] for i in range(k)])


def leave_one_out(y: Array) -> Array:
    """Return each factor's effect as the last change before the target : (k, n).

    The target loses it when only this factor is changed back.
    """
    k = y.ndim - 1
    return np.stack([changes(y, i)[(1,) * (k - 1)] for i in range(k)])


@dataclass(frozen=True)
class MarginalContribution:
    """A factor's effect in one ordering; `before` is the cell to which it was added."""

    before: Cell
    effect: Estimate


def contribution_range(y: Array, i: int) -> tuple[MarginalContribution, MarginalContribution]:
    """Return the least and the greatest contribution of factor i over all k! orderings.

    It depends on the set of factors changed before, not on their order: 2^(k-1) sets.
    """
    found = [
        MarginalContribution((*others[:i], 0, *others[i:]), estimate(changes(y, i)[others]))
        for others in all_cells(y.ndim - 2)
    ]
    ranked = sorted(found, key=lambda contribution: contribution.effect.mean)
    return ranked[0], ranked[-1]


def remaining_gaps(y: Array) -> dict[Cell, Estimate]:
    """Return target minus each set of changes: by size, the nearest to the target first.

    A set beyond the target counts as nearer.
    """
    target = y[(1,) * (y.ndim - 1)]
    left = {cell: estimate(target - y[cell]) for cell in all_cells(y.ndim - 1)}
    return dict(sorted(left.items(), key=lambda pair: (sum(pair[0]), direction(y) * pair[1].mean)))


def direction(y: Array) -> float:
    """Return 1 or -1: that in which the gap goes."""
    return float(np.sign(np.mean(gap(y)))) or 1.0


def best_sets(y: Array) -> dict[Cell, Estimate]:
    """Return of each size from 1 to k - 1 the set nearest to the target, and the remaining gap."""
    gaps = remaining_gaps(y)
    best = {sum(cell): cell for cell in reversed(gaps)}
    return {best[size]: gaps[best[size]] for size in range(1, y.ndim - 1)}


def minimal_sufficient_sets(y: Array, within: float) -> dict[Cell, Estimate]:
    """Return the smallest sets of changes whose mean is within `within` of the target or beyond.

    Each with the remaining gap; the nearest first.
    """
    reached = {
        c: left for c, left in remaining_gaps(y).items() if direction(y) * left.mean <= within
    }
    size = min(map(sum, reached))
    return {cell: left for cell, left in reached.items() if sum(cell) == size}


@dataclass(frozen=True)
class Prediction:
    """A prediction of a held-out cell.

    The interval is that of predicted minus measured, seed by seed, around the prediction, so it
    contains the noise of both: of cells that follow the model, 95 of 100 fall inside.
    """

    cell: Cell
    predicted: Estimate
    measured: float

    @property
    def inside(self) -> bool | None:
        """True if the measured mean is in the interval; None if the seeds give no interval."""
        if self.predicted.is_tied:
            return None
        return self.predicted.low <= self.measured <= self.predicted.high


def max_distance(k: int) -> int:
    """Return the largest distance from the target, in changes, of a cell in the fit; -1: none.

    The fit has the cells at most two changes from either corner. For k < 6 these are all cells:
    then fewer near the target, so that some are left to predict.
    """
    return min(2, k - 4)


def predictions(y: Array) -> list[Prediction]:
    """Predict held-out cells by main effects and two-factor interactions fitted to the others.

    Least squares on the cells with at most two changes from the baseline or `max_distance` from
    the target. For k < 3 no cell is held out.
    """
    k = y.ndim - 1
    seen = [cell for cell in all_cells(k) if sum(cell) <= 2 or k - sum(cell) <= max_distance(k)]
    unseen = [cell for cell in all_cells(k) if cell not in seen]
    if not unseen:
        return []
    weights = _model(unseen) @ np.linalg.pinv(_model(seen))
    predicted = weights @ np.stack([y[cell] for cell in seen])
    return [
        Prediction(cell, estimate(values, values - y[cell]), float(y[cell].mean()))
        for cell, values in zip(unseen, predicted, strict=True)
    ]


def model_is_adequate(found: list[Prediction]) -> bool:
    """Return False if a true model would have so few inside in less than 1 of 20 studies."""
    tested = [each.inside for each in found if each.inside is not None]
    # The binomial distribution.
    return bool(_special().bdtr(sum(tested), len(tested), LEVEL) > 1 - LEVEL)


def _model(rows: list[Cell]) -> Array:
    """Return a row for each cell: 1, each factor's 0 or 1, the product of each pair."""
    return np.array(
        [[1, *cell, *(a * b for a, b in combinations(cell, 2))] for cell in rows], float
    )


def logit(y: Array, least: float) -> Array:
    """Return log(y / (1 - y)), with y at least `least` away from 0 and 1.

    least : half an image, 0.5 / number of test images.
    """
    kept = np.clip(y, least, 1 - least)
    return np.asarray(np.log(kept / (1 - kept)))
