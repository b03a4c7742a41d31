"""Estimates of a full factorial, by the names of its factors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from sgdprobe.study import effects
from sgdprobe.study.effects import (
    SUFFICIENT_WITHIN,
    Array,
    Estimate,
    MarginalContribution,
    Prediction,
    estimate,
)
from sgdprobe.study.factors import Cell, Factor


@dataclass(frozen=True)
class Estimates:
    """Estimates of a full factorial, by the names of its factors. y : (2, …, 2, n)."""

    factors: tuple[Factor, ...]
    y: Array

    @property
    def names(self) -> list[str]:
        """The factors' names, in the order of a cell's digits."""
        return [factor.name for factor in self.factors]

    def at(self, cell: Cell) -> Estimate:
        """A cell's value."""
        return estimate(self.y[cell])

    def changes(self, cell: Cell) -> list[str]:
        """The factors that are as in the target."""
        return [name for name, level in zip(self.names, cell, strict=True) if level]

    @cached_property
    def gap(self) -> Estimate:
        """The target minus the baseline."""
        return estimate(effects.gap(self.y))

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
        return dict(zip(self.names, map(estimate, effect(self.y)), strict=True))

    @cached_property
    def interactions(self) -> dict[tuple[str, str], Estimate]:
        """The interaction of each pair of factors, the largest first."""
        if len(self.factors) < 2:
            return {}
        found = [
            ((self.names[i], self.names[j]), estimate(values))
            for (i, j), values in effects.interactions(self.y).items()
        ]
        return dict(sorted(found, key=lambda item: -abs(item[1].mean)))

    def contribution_range(self, name: str) -> tuple[MarginalContribution, MarginalContribution]:
        """A factor's minimum and maximum contribution over all orderings."""
        return effects.contribution_range(self.y, self.names.index(name))

    @cached_property
    def best_sets(self) -> Mapping[Cell, Estimate]:
        """Of each size the set of changes nearest to the target, and the remaining gap."""
        return effects.best_sets(self.y)

    @cached_property
    def minimal_sets(self) -> Mapping[Cell, Estimate]:
        """The smallest sets of changes that come close to the target, and the remaining gap."""
        return effects.minimal_sufficient_sets(self.y, SUFFICIENT_WITHIN)

    @cached_property
    def overlapping(self) -> list[tuple[str, str, Estimate]]:
        """Pairs whose shares' intervals overlap, with the paired difference of the shares."""
        return [
            (a, b, estimate(self.share_values[a] - self.share_values[b]))
            for a, b in combinations(self.shares, 2)
            if self.shares[a].overlaps(self.shares[b])
        ]

    @cached_property
    def bootstrap(self) -> dict[str, Estimate]:
        """The shares, and the gap as "sum", with intervals by the bootstrap."""
        values = np.vstack([*self.share_values.values(), effects.gap(self.y)])
        return dict(zip([*self.names, "sum"], effects.bootstrap(values), strict=True))

    @cached_property
    def predictions(self) -> list[Prediction]:
        """Held-out cells as a model of the other cells predicts them."""
        return effects.predictions(self.y)
