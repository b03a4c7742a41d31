"""The values of a sweep's axes in order, and the difference that each axis makes."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sgdprobe.study.intervals import Array, Estimate, estimate

if TYPE_CHECKING:
    from sgdprobe.reports.sweep import SweepTable

Cell = tuple[str, ...]
METRIC = "test_accuracy"


class AxisEffect(NamedTuple):
    """The best and the worst value of an axis, with their mean accuracies over all other settings.

    paired : their difference, paired by seed; None if not all cells have the same seeds.
    """

    axis: str
    best: tuple[str, float]
    worst: tuple[str, float]
    paired: Estimate | None

    @property
    def size(self) -> float:
        """The difference of the means."""
        return self.best[1] - self.worst[1]


def axis_effects(table: "SweepTable") -> list[AxisEffect]:
    """Return the difference that each axis makes, the largest first."""
    found = [_effect(table, position) for position in range(len(table.axes))]
    return sorted((one for one in found if one), key=lambda one: -one.size)


def _effect(table: "SweepTable", position: int) -> AxisEffect | None:
    """Return an axis's effect; None without any result."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in table.cells:
        if table.mean(cell) is not None:
            groups[cell[position]].append(cell)
    if not groups:
        return None
    means = {v: float(np.mean([table.mean(cell) for cell in g])) for v, g in groups.items()}
    best, worst = max(means, key=lambda v: means[v]), min(means, key=lambda v: means[v])
    paired = None
    if best != worst and _is_balanced(table):
        paired = estimate(_by_seed(table, groups[best]) - _by_seed(table, groups[worst]))
    return AxisEffect(table.axes[position], (best, means[best]), (worst, means[worst]), paired)


def _is_balanced(table: "SweepTable") -> bool:
    """Return True if all cells with a result have it with the same seeds, at least two."""
    seeds = {tuple(run.params.get("seed") for run in table.finished(c)) for c in table.cells}
    return len(seeds - {()}) == 1 and len(max(seeds, key=len)) > 1


def _by_seed(table: "SweepTable", cells: Sequence[Cell]) -> Array:
    """Return the mean test accuracy over these cells : (seeds,)."""
    values = np.array([[run.metrics[METRIC] for run in table.finished(c)] for c in cells])
    return np.asarray(values.mean(axis=0))


def sort_key(value: str) -> tuple[int, Any]:
    """Numbers first, then lists of numbers, then words."""
    try:
        parsed = json.loads(value)
    except ValueError:
        return 2, value
    if isinstance(parsed, list):
        return 1, parsed
    return (0, parsed) if isinstance(parsed, int | float) else (2, value)
