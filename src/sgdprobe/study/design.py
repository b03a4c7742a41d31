"""The full factorial: every combination of the factors' levels, each with the same seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sgdprobe.config.settings import Settings
from sgdprobe.study.factors import Factor, comparable
from sgdprobe.sweep.plan import Plan

# A level for each factor: 0 as in the first recipe, 1 as in the second.
Cell = tuple[int, ...]


@dataclass(frozen=True)
class Design:
    """Cells × seeds; `base` is the first recipe, whose values hold wherever no factor changes."""

    base: Settings
    factors: tuple[Factor, ...]
    seeds: int

    @property
    def baseline(self) -> Cell:
        """The first recipe."""
        return (0,) * len(self.factors)

    @property
    def target(self) -> Cell:
        """The second recipe."""
        return (1,) * len(self.factors)

    def cells(self) -> list[Cell]:
        """All of them, the first recipe first and the second last."""
        return list(product((0, 1), repeat=len(self.factors)))

    def near_corners(self) -> list[Cell]:
        """The two recipes, and what is one change away from either."""
        k = len(self.factors)
        return [cell for cell in self.cells() if sum(cell) <= 1 or sum(cell) >= k - 1]

    def baseline_with(self, i: int) -> Cell:
        """The first recipe with factor i changed."""
        return tuple(int(j == i) for j in range(len(self.factors)))

    def target_without(self, i: int) -> Cell:
        """The second recipe with factor i turned back."""
        return tuple(int(j != i) for j in range(len(self.factors)))

    def settings(self, cell: Cell, seed: int) -> Settings:
        """What one run of a cell is given. Raises SettingsError if it contradicts itself."""
        values: dict[str, Any] = {"seed": seed}
        for factor, level in zip(self.factors, cell, strict=True):
            values |= factor.values(level)
        return self.base.replace(values)

    def runs(self) -> Iterator[tuple[Cell, int]]:
        """Every cell with every seed."""
        return product(self.cells(), range(self.seeds))

    def held_fixed(self) -> dict[str, Any]:
        """The settings that no factor changes."""
        return {k: v for k, v in comparable(self.base).items() if k not in self.axes}

    @property
    def axes(self) -> list[str]:
        """The settings that factors change."""
        return [key for factor in self.factors for key in factor.keys]


def plan_of(study: str, runs: Sequence[Settings], axes: Sequence[str]) -> Plan:
    """A sweep over these runs, tagged with the study's name; axes : what tells them apart."""
    plan = Plan.of([(settings, None) for settings in runs], axes)
    return replace(
        plan, jobs=tuple(replace(job, tags=job.tags | {"study": study}) for job in plan.jobs)
    )


def cell_id(cell: Cell) -> str:
    """A cell's name: a digit for each factor, 1 where it is as in the second recipe."""
    return "".join(map(str, cell))


def recorded_under(settings: Settings, study: str) -> Settings:
    """The settings with their runs in an experiment of the study's name, or the one asked for."""
    return settings.replace({"tracking.experiment": settings.tracking.experiment or study})
