"""Getting stuck as an outcome of its own: the share of a cell's runs that reach an accuracy.

Where few runs get stuck, a change can matter in two ways: it moves the accuracy of the runs that
learn, or the risk that a run does not. A mean mixes the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sgdprobe.study import effects
from sgdprobe.study.factors import Cell, all_cells
from sgdprobe.study.intervals import LEVEL, Array, Estimate, binomial, estimate


@dataclass(frozen=True)
class Reached:
    """A cell's runs that reach the accuracy: number, exact interval of their share, mean.

    healthy : the mean accuracy of those that reach it; None of fewer than two.
    """

    count: int
    n: int
    low: float
    high: float
    healthy: Estimate | None


@dataclass(frozen=True)
class Stuck:
    """Runs that reach an accuracy and runs that do not. y : (2, …, 2, n), 0 … 1.

    reach : the accuracy. chosen : it was given; otherwise it is `halfway`.
    """

    y: Array
    reach: float
    chosen: bool
    level: float = LEVEL

    @cached_property
    def cells(self) -> Mapping[Cell, Reached]:
        """Every cell."""
        return {cell: self._cell(self.y[cell]) for cell in all_cells(self.y.ndim - 1)}

    @property
    def with_stuck(self) -> dict[Cell, Reached]:
        """The cells of which some run does not reach the accuracy."""
        return {cell: found for cell, found in self.cells.items() if found.count < found.n}

    @cached_property
    def shares(self) -> Array:
        """Each factor's Shapley share of the change in risk, seed by seed : (k, n)."""
        return effects.shapley((self.y >= self.reach).astype(float))

    def _cell(self, values: Array) -> Reached:
        healthy = values[values >= self.reach]
        mean = estimate(healthy, self.level) if len(healthy) > 1 else None
        ends = binomial(len(healthy), len(values), self.level)
        return Reached(len(healthy), len(values), *ends, mean)


def halfway(y: Array, chance: float) -> float:
    """Return the accuracy halfway from guessing to the better end's mean.

    Runs that never left the level of guessing are below it, runs that learn are above.
    """
    ends = y.reshape(-1, y.shape[-1])[[0, -1]]
    return (chance + float(np.max(ends.mean(axis=1)))) / 2
