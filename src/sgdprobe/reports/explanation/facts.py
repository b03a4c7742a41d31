"""What every section of a report needs of a study, computed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from sgdprobe.study import effects
from sgdprobe.study.claim import Claim
from sgdprobe.study.design import Factorial
from sgdprobe.study.effects import SUFFICIENT_WITHIN, Array, Estimate, estimate
from sgdprobe.study.factors import Cell, Factor
from sgdprobe.study.results import StudyResults
from sgdprobe.study.tuning import Tuned


@dataclass(frozen=True)
class Facts:
    """A study and its statistics; accuracies 0 … 1. tuned : the same at each cell's best value."""

    measured: StudyResults
    tuned: Tuned | None = None

    @property
    def design(self) -> Factorial:
        """Factors and seeds."""
        return self.measured.factorial

    @property
    def factors(self) -> tuple[Factor, ...]:
        """In the order of the design, and of every cell's digits."""
        return self.design.factors

    @property
    def names(self) -> list[str]:
        """The factors' names."""
        return [factor.name for factor in self.factors]

    @property
    def ends(self) -> tuple[str, str]:
        """The two recipes' names; told apart where it is the same recipe with other settings."""
        first, second = self.measured.spec.baseline, self.measured.spec.target
        return (first, second) if first != second else (f"{first} (1)", f"{second} (2)")

    @cached_property
    def y(self) -> Array:
        """(2, …, 2, n) test accuracies."""
        return self.measured.accuracies()

    @cached_property
    def logit(self) -> Array:
        """The same on the logit scale."""
        return effects.logit(self.y, 0.5 / self.measured.test_images)

    @cached_property
    def shares(self) -> list[Estimate]:
        """Each factor's Shapley share."""
        return [estimate(values) for values in effects.shapley(self.y)]

    @cached_property
    def logit_shares(self) -> list[Estimate]:
        """The same on the logit scale."""
        return [estimate(values) for values in effects.shapley(self.logit)]

    @property
    def ranked_shares(self) -> list[int]:
        """The factors' places, the largest share first; against the gap counts as less."""
        direction = np.sign(self.gap.mean) or 1.0
        return sorted(range(len(self.names)), key=lambda i: -direction * self.shares[i].mean)

    @cached_property
    def gap(self) -> Estimate:
        """The second recipe minus the first."""
        return estimate(effects.gap(self.y))

    @cached_property
    def smallest(self) -> Mapping[Cell, Estimate]:
        """The smallest sets of changes that come near the second recipe."""
        return effects.minimal_sufficient_sets(self.y, SUFFICIENT_WITHIN)

    @property
    def claim(self) -> Claim | None:
        """What the first recipe is said to reach."""
        return self.measured.spec.claim

    def reaches(self, cell: Cell) -> Estimate:
        """A cell's accuracy."""
        return estimate(self.y[cell])

    def overlapping(self) -> list[tuple[int, int, Estimate]]:
        """Pairs whose shares' intervals overlap, with the paired difference of the shares."""
        shares = effects.shapley(self.y)
        return [
            (i, j, estimate(shares[i] - shares[j]))
            for i, j in combinations(self.ranked_shares, 2)
            if self.shares[i].overlaps(self.shares[j])
        ]
