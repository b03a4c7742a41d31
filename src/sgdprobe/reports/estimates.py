"""Estimates of a full factorial, by the names of its factors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from sgdprobe.study import effects
from sgdprobe.study.effects import SUFFICIENT_WITHIN, MarginalContribution
from sgdprobe.study.factors import Cell, Factor, all_cells
from sgdprobe.study.intervals import LEVEL, Array, Estimate, at_once, estimate, redrawn
from sgdprobe.study.prediction import Prediction, predictions


@dataclass(frozen=True)
class Estimates:
    """Estimates of a full factorial, by the names of its factors. y : (2, …, 2, n).

    level : of all intervals; above 95 % if seeds were added until the intervals were small.
    """

    factors: tuple[Factor, ...]
    y: Array
    level: float = LEVEL

    @property
    def names(self) -> list[str]:
        """The factors' names, in the order of a cell's digits."""
        return [factor.name for factor in self.factors]

    def at(self, cell: Cell) -> Estimate:
        """A cell's value."""
        return self.estimate(self.y[cell])

    def estimate(self, values: Array) -> Estimate:
        """The mean of n paired values."""
        return estimate(values, self.level)

    def changes(self, cell: Cell) -> list[str]:
        """The factors that are as in the target."""
        return [name for name, level in zip(self.names, cell, strict=True) if level]

    @cached_property
    def gap(self) -> Estimate:
        """The target minus the baseline."""
        return self.estimate(effects.gap(self.y))

    @cached_property
    def share_values(self) -> dict[str, Array]:
        """Each factor's Shapley share, seed by seed."""
        return dict(zip(self.names, effects.shapley(self.y), strict=True))

    @cached_property
    def shares(self) -> dict[str, Estimate]:
        """Each factor's Shapley share, the largest first; one against the gap counts as less."""
        found = self._by_name(effects.shapley)
        sign = effects.direction(self.y)
        return dict(sorted(found.items(), key=lambda item: -sign * item[1].mean))

    @cached_property
    def by_kind(self) -> dict[str, dict[str, Estimate]]:
        """Each factor as the first change of all, as the last, and its mean over all cells."""
        kinds = {
            "alone": effects.one_at_a_time,
            "last": effects.leave_one_out,
            "main": effects.main_effects,
        }
        return {kind: self._by_name(effect) for kind, effect in kinds.items()}

    def _by_name(self, effect: Callable[[Array], Array]) -> dict[str, Estimate]:
        return dict(zip(self.names, map(self.estimate, effect(self.y)), strict=True))

    @cached_property
    def interactions(self) -> dict[tuple[str, str], Estimate]:
        """The interaction of each pair of factors, the largest first."""
        if len(self.factors) < 2:
            return {}
        found = [
            ((self.names[i], self.names[j]), self.estimate(values))
            for (i, j), values in effects.interactions(self.y).items()
        ]
        return dict(sorted(found, key=lambda item: -abs(item[1].mean)))

    def contribution_range(self, name: str) -> tuple[MarginalContribution, MarginalContribution]:
        """A factor's minimum and maximum contribution over all orderings."""
        return effects.contribution_range(self.y, self.names.index(name), self.level)

    @cached_property
    def best_sets(self) -> Mapping[Cell, Estimate]:
        """Of each size the set of changes nearest to the target, and the remaining gap."""
        return effects.best_sets(self.y, self.level)

    @cached_property
    def minimal_sets(self) -> Mapping[Cell, Estimate]:
        """The smallest sets of changes that come close to the target, and the remaining gap."""
        return effects.minimal_sufficient_sets(self.y, SUFFICIENT_WITHIN, self.level)

    @cached_property
    def overlapping(self) -> list[tuple[str, str, Estimate]]:
        """Pairs whose shares' intervals overlap, with the paired difference of the shares."""
        return [
            (a, b, self.estimate(self.share_values[a] - self.share_values[b]))
            for a, b in combinations(self.shares, 2)
            if self.shares[a].overlaps(self.shares[b])
        ]

    @cached_property
    def at_once(self) -> dict[str, Estimate]:
        """The shares, and the gap as "sum", with intervals that all hold at once."""
        values = self.share_values | {"sum": effects.gap(self.y)}
        level = at_once(len(values), self.level)
        return {name: estimate(one, level) for name, one in values.items()}

    @cached_property
    def interactions_at_once(self) -> dict[tuple[str, str], Estimate]:
        """The interactions with intervals that all hold at once, the largest first."""
        level = at_once(len(self.interactions), self.level)
        values = effects.interactions(self.y) if self.interactions else {}
        named = {(self.names[i], self.names[j]): one for (i, j), one in values.items()}
        return {pair: estimate(named[pair], level) for pair in self.interactions}

    @cached_property
    def held_shares(self) -> tuple[dict[str, float], float]:
        """The share of redrawn studies in which the interval of each share, and of the gap, holds.

        The second number is of studies in which all of them hold.
        """
        values = self.share_values | {"sum": effects.gap(self.y)}
        each, all_of_them = redrawn(np.stack(list(values.values())), self.level)
        return dict(zip(values, each.tolist(), strict=True)), all_of_them

    @cached_property
    def held_cells(self) -> dict[Cell, float]:
        """The share of redrawn studies in which the interval of each cell holds, the least first.

        Cells whose seeds are all equal are left out: they have no interval.
        """
        cells = [cell for cell in all_cells(len(self.factors)) if not self.at(cell).is_tied]
        if not cells:
            return {}
        each, _ = redrawn(np.stack([self.y[cell] for cell in cells]), self.level)
        return dict(sorted(zip(cells, each.tolist(), strict=True), key=lambda item: item[1]))

    @cached_property
    def predictions(self) -> list[Prediction]:
        """Cells far from both ends as a model of the cells near these predicts them."""
        return predictions(self.y)
