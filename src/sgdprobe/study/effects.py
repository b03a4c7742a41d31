"""Statistics of a full factorial with paired seeds: the part of each change in a gap.

y : (2, …, 2, n) everywhere, an axis for each of k factors (0 as in the baseline, 1 as in the
target), then n seeds. A cell is an index of the first k axes, such as (0, 1, 0).

Runs with the same seed are pairs: every statistic is computed for each seed separately, (…, n).
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from sgdprobe.study.factors import Cell, all_cells
from sgdprobe.study.intervals import LEVEL, Array, Estimate, estimate

SUFFICIENT_WITHIN = 0.01  # a set of changes is sufficient if it comes this close to the target


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


def contribution_range(
    y: Array, i: int, level: float = LEVEL
) -> tuple[MarginalContribution, MarginalContribution]:
    """Return the least and the greatest contribution of factor i over all k! orderings.

    It depends on the set of factors changed before, not on their order: 2^(k-1) sets.
    """
    found = [
        MarginalContribution((*others[:i], 0, *others[i:]), estimate(changes(y, i)[others], level))
        for others in all_cells(y.ndim - 2)
    ]
    ranked = sorted(found, key=lambda contribution: contribution.effect.mean)
    return ranked[0], ranked[-1]


def remaining_gaps(y: Array, level: float = LEVEL) -> dict[Cell, Estimate]:
    """Return target minus each set of changes: by size, the nearest to the target first.

    A set beyond the target counts as nearer.
    """
    target = y[(1,) * (y.ndim - 1)]
    left = {cell: estimate(target - y[cell], level) for cell in all_cells(y.ndim - 1)}
    return dict(sorted(left.items(), key=lambda pair: (sum(pair[0]), direction(y) * pair[1].mean)))


def direction(y: Array) -> float:
    """Return 1 or -1: that in which the gap goes."""
    return float(np.sign(np.mean(gap(y)))) or 1.0


def best_sets(y: Array, level: float = LEVEL) -> dict[Cell, Estimate]:
    """Return of each size from 1 to k - 1 the set nearest to the target, and the remaining gap."""
    gaps = remaining_gaps(y, level)
    best = {sum(cell): cell for cell in reversed(gaps)}
    return {best[size]: gaps[best[size]] for size in range(1, y.ndim - 1)}


def minimal_sufficient_sets(y: Array, within: float, level: float = LEVEL) -> dict[Cell, Estimate]:
    """Return the smallest sets of changes whose mean is within `within` of the target or beyond.

    Each with the remaining gap; the nearest first.
    """
    reached = {
        cell: left
        for cell, left in remaining_gaps(y, level).items()
        if direction(y) * left.mean <= within
    }
    size = min(map(sum, reached))
    return {cell: left for cell, left in reached.items() if sum(cell) == size}


def logit(y: Array, least: float) -> Array:
    """Return log(y / (1 - y)), with y at least `least` away from 0 and 1.

    least : half an image, 0.5 / number of test images.
    """
    kept = np.clip(y, least, 1 - least)
    return np.asarray(np.log(kept / (1 - kept)))
