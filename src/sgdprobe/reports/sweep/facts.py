"""A sweep's runs in cells: the same settings but for the seed are one cell."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sgdprobe import tracking
from sgdprobe.config.formatting import format_value, percent
from sgdprobe.config.settings import OPERATIONAL, Settings
from sgdprobe.reports.explanation.words import percents
from sgdprobe.study.effects import Array, estimate

ROW, COLUMN, PANEL = "init.scale", "training.learning_rate", "network.hidden"
SATURATED = "symptom/saturated_1"
WARNING = "preflight."

Cell = tuple[str, ...]  # a value for each axis


@dataclass(frozen=True)
class Facts:
    """A sweep; known : the recipes' settings, flat and as text, by name."""

    name: str
    runs: "Sequence[tracking.SweepRun]"
    known: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(
        cls, name: str, runs: "Sequence[tracking.SweepRun]", known: Mapping[str, Settings]
    ) -> "Facts":
        """What was made again counts once: the first that finished, or else the last try."""
        best: dict[tuple[tuple[str, str], ...], tracking.SweepRun] = {}
        for run in runs:
            same = tuple(sorted(_numbers(run.params).items()))
            if same not in best or best[same].status != "FINISHED":
                best[same] = run
        flat = {
            word: {k: format_value(v) for k, v in s.flat().items()} for word, s in known.items()
        }
        return cls(name, list(best.values()), {k: _numbers(v) for k, v in flat.items()})

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The settings that differ between runs, in the settings' order; the seed is none."""
        return tuple(
            key
            for key in Settings().flat()
            if key != "seed" and len({_numbers(run.params).get(key) for run in self.runs}) > 1
        )

    @property
    def has_map(self) -> bool:
        """Whether initial weights and learning rate vary, and layers at most beside them."""
        return {ROW, COLUMN} <= set(self.axes) <= {ROW, COLUMN, PANEL}

    @cached_property
    def cells(self) -> "dict[Cell, list[tracking.SweepRun]]":
        """The runs of each cell by seed; cells in the order of their values."""
        found: dict[Cell, list[tracking.SweepRun]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: order(run.params.get("seed", ""))):
            found[tuple(run.params.get(axis, "") for axis in self.axes)].append(run)
        return dict(sorted(found.items(), key=lambda item: [order(value) for value in item[0]]))

    @cached_property
    def place(self) -> dict[Cell, int]:
        """Each cell's number, from 1."""
        return {cell: number for number, cell in enumerate(self.cells, start=1)}

    @cached_property
    def ranked(self) -> list[Cell]:
        """The cells, best first; those without a result last."""
        return sorted(self.cells, key=lambda cell: (-(self.mean(cell) or -1.0), self.place[cell]))

    def values(self, axis: str) -> list[str]:
        """An axis's values in order."""
        at = self.axes.index(axis)
        return sorted({cell[at] for cell in self.cells}, key=order)

    def finished(self, cell: Cell) -> "list[tracking.SweepRun]":
        """The cell's runs that have a result."""
        return [r for r in self.cells[cell] if r.status == "FINISHED" and r.curve]

    def mean(self, cell: Cell, metric: str = "test_accuracy") -> float | None:
        """A metric's last value, mean over the cell's finished runs; None without any."""
        found = [r.metrics[metric] for r in self.finished(cell) if metric in r.metrics]
        return float(np.mean(found)) if found else None

    def reaches(self, cell: Cell) -> str:
        """The cell's test accuracy, with its interval if there are several runs; or its fate."""
        found = [run.metrics["test_accuracy"] for run in self.finished(cell)]
        if not found:
            return self.failure_state(cell)
        return percents(estimate(np.array(found))) if len(found) > 1 else percent(found[0])

    def failure_state(self, cell: Cell) -> str:
        """Why a cell has no result."""
        return ", ".join(sorted({run.state for run in self.cells[cell]}))

    def curve(self, cell: Cell) -> Array:
        """(runs, epochs) test accuracies of the finished runs, as far as all of them go."""
        curves = [run.curve for run in self.finished(cell)]
        epochs = min(map(len, curves), default=0)
        return np.array([curve[:epochs] for curve in curves]).reshape(len(curves), epochs)

    def words(self, cell: Cell) -> str:
        """The cell in words: init.scale=1, training.learning_rate=0.01."""
        pairs = zip(self.axes, cell, strict=True)
        return ", ".join(f"{axis}={value}" for axis, value in pairs) or "all runs"

    def recipes(self, cell: Cell) -> list[str]:
        """The recipes that the cell's program is, but for seed and precision."""
        program = _numbers(self.cells[cell][0].params)
        differing = {
            name: {key for key in recipe if program.get(key) != recipe[key]}
            for name, recipe in self.known.items()
        }
        return [name for name, keys in differing.items() if keys <= {"seed", "dtype"}]

    def alike(self, cell: Cell) -> list[str]:
        """The recipes with the same values on the axes, whose other settings differ."""
        same = [
            name
            for name, recipe in self.known.items()
            if all(recipe[axis] == v for axis, v in zip(self.axes, cell, strict=True))
        ]
        return [name for name in same if name not in self.recipes(cell)]

    @cached_property
    def warnings(self) -> "dict[str, list[tracking.SweepRun]]":
        """The runs that were warned of before training, by warning."""
        found: dict[str, list[tracking.SweepRun]] = defaultdict(list)
        for run in self.runs:
            for tag in run.tags:
                if tag.startswith(WARNING):
                    found[tag.removeprefix(WARNING)].append(run)
        return dict(sorted(found.items()))

    @property
    def states(self) -> str:
        """For example "34 finished, 2 diverged"."""
        counts = Counter(run.state for run in self.runs)
        order_ = sorted(counts, key=lambda state: (state != "finished", state))
        return ", ".join(f"{counts[state]} {state}" for state in order_)


def order(value: str) -> tuple[int, Any]:
    """By what a value sorts: numbers, then lists of numbers, then words."""
    try:
        parsed = json.loads(value)
    except ValueError:
        return 2, value
    if isinstance(parsed, list):
        return 1, parsed
    return (0, parsed) if isinstance(parsed, int | float) else (2, value)


def _numbers(params: Mapping[str, str]) -> dict[str, str]:
    """The settings that can change a number; not where a run is recorded and how it is run."""
    return {k: v for k, v in params.items() if k not in OPERATIONAL}
