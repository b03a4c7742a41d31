"""A sweep's runs in cells, with all that its report says of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sgdprobe import tracking
from sgdprobe.config.formatting import counted, format_value, percent
from sgdprobe.config.settings import OPERATIONAL, Settings
from sgdprobe.reports.axes import AxisEffect, axis_effects, sort_key
from sgdprobe.reports.format import interval
from sgdprobe.study.intervals import TIED, Array, estimate, redrawn

ROW, COLUMN, PANEL = "init.scale", "training.learning_rate", "network.hidden"
SATURATED = "symptom/saturated_1"
CURVE = "test_accuracy"
LENGTH = "training.iterations"
VERSIONS = {"source": "source_hash", "data": "data_hash"}  # axes where runs differ in them: tags

Cell = tuple[str, ...]  # a value for each axis


@dataclass(frozen=True)
class SweepTable:
    """A sweep's runs in cells: runs that differ in the seed only are one cell.

    known : the recipes' settings, flat and as text, by name.
    """

    name: str
    runs: "Sequence[tracking.RecordedRun]"
    known: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(
        cls, name: str, runs: "Sequence[tracking.RecordedRun]", known: Mapping[str, Settings]
    ) -> "SweepTable":
        """A run that was tried again counts once: the first that finished, or the last try.

        Runs of the same key are the same run; those of other source or data are not.
        """
        best: dict[object, tracking.RecordedRun] = {}
        for run in runs:
            same = run.tags.get("key") or tuple(sorted(_effective(run.params).items()))
            if same not in best or best[same].status != "FINISHED":
                best[same] = run
        flat = {
            word: {k: format_value(v) for k, v in s.flat().items()} for word, s in known.items()
        }
        return cls(name, list(best.values()), {k: _effective(v) for k, v in flat.items()})

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The settings that differ between runs, in the settings' order, without the seed.

        And the versions of source and data, if there are several. A loop of the user's records
        other settings than sgdprobe has, and not all of sgdprobe's: what it lacks is no difference.
        """
        flat = Settings().flat()
        settings = [key for key in flat if key != "seed" and key not in OPERATIONAL]
        others = sorted({key for run in self.runs if run.own_loop for key in run.params} - {*flat})
        keys = (*settings, *others, *VERSIONS)
        return tuple(key for key in keys if len({*self.values(key)} - {""}) > 1)

    def values(self, axis: str) -> list[str]:
        """The values of an axis among the runs."""
        return sorted({_value(run, axis) for run in self.runs}, key=sort_key)

    @property
    def has_heat_map(self) -> bool:
        """True if initial weights and learning rate vary, and besides them at most the layers."""
        return {ROW, COLUMN} <= set(self.axes) <= {ROW, COLUMN, PANEL}

    @property
    def has_saturation(self) -> bool:
        """True if runs beside a heat map have a saturated layer."""
        return self.has_heat_map and any(SATURATED in run.metrics for run in self.runs)

    @cached_property
    def cells(self) -> "dict[Cell, list[tracking.RecordedRun]]":
        """The runs of each cell by seed; cells in the order of their values."""
        found: dict[Cell, list[tracking.RecordedRun]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: sort_key(run.params.get("seed", ""))):
            found[tuple(_value(run, axis) for axis in self.axes)].append(run)
        return dict(sorted(found.items(), key=lambda item: [sort_key(value) for value in item[0]]))

    @cached_property
    def number(self) -> dict[Cell, int]:
        """Each cell's number, from 1."""
        return {cell: number for number, cell in enumerate(self.cells, start=1)}

    @cached_property
    def ranked(self) -> list[Cell]:
        """The cells, best first; those without a result last."""
        return sorted(self.cells, key=lambda cell: (-(self.mean(cell) or -1.0), self.number[cell]))

    @property
    def layers(self) -> list[str]:
        """The values of network.hidden: a panel, a table or a marker for each."""
        return self.values(PANEL) if PANEL in self.axes else [self.runs[0].params.get(PANEL, "")]

    def cell_at(self, hidden: str, scale: str, rate: str) -> Cell | None:
        """The cell of these three values; None if it was not run."""
        values = {PANEL: hidden, ROW: scale, COLUMN: rate}
        cell = tuple(values[axis] for axis in self.axes)
        return cell if cell in self.cells else None

    def finished(self, cell: Cell) -> "list[tracking.RecordedRun]":
        """The cell's runs that have a result."""
        return [
            run for run in self.cells[cell] if run.status == "FINISHED" and run.series.get(CURVE)
        ]

    def mean(self, cell: Cell, metric: str = "test_accuracy") -> float | None:
        """A metric's last value, mean over the cell's finished runs; None without any."""
        found = [run.metrics[metric] for run in self.finished(cell) if metric in run.metrics]
        return float(np.mean(found)) if found else None

    def result(self, cell: Cell) -> str:
        """The cell's test accuracy, with its interval if there are several runs; or its state."""
        found = [run.metrics["test_accuracy"] for run in self.finished(cell)]
        if not found:
            return self.failure_state(cell)
        return interval(estimate(np.array(found))) if len(found) > 1 else percent(found[0])

    def failure_state(self, cell: Cell) -> str:
        """The states of a cell that has no result."""
        return ", ".join(sorted({run.state for run in self.cells[cell]}))

    def curve(self, cell: Cell) -> Array:
        """(runs, epochs) test accuracies of the finished runs, as far as all of them go."""
        curves = [run.series[CURVE] for run in self.finished(cell)]
        epochs = min(map(len, curves), default=0)
        return np.array([curve[:epochs] for curve in curves]).reshape(len(curves), epochs)

    def saturation(self, hidden: str) -> Array:
        """(runs, 2) saturation of layer 1 and test accuracy of the finished runs of a network."""
        runs = (run for cell in self.cells for run in self.finished(cell))
        pairs = [
            (run.metrics[SATURATED], run.metrics["test_accuracy"])
            for run in runs
            if run.params.get(PANEL) == hidden and SATURATED in run.metrics
        ]
        return np.reshape(pairs, (-1, 2))

    def settings(self, cell: Cell) -> str:
        """The cell's settings: init.scale=1, training.learning_rate=0.01."""
        pairs = zip(self.axes, cell, strict=True)
        return ", ".join(f"{axis}={value}" for axis, value in pairs)

    def tooltip(self, cell: Cell) -> str:
        """The cell's settings and its result, for a figure."""
        names = [*self.recipes(cell), self.settings(cell) or self.name]
        return f"{', '.join(names)}: {self.result(cell)}, {counted(len(self.cells[cell]), 'run')}"

    def recipes(self, cell: Cell) -> list[str]:
        """The recipes with this cell's settings, seed and precision aside."""
        settings = _effective(self.cells[cell][0].params)
        differing = {
            name: {key for key in recipe if settings.get(key) != recipe[key]}
            for name, recipe in self.known.items()
        }
        return [name for name, keys in differing.items() if keys <= {"seed", "dtype"}]

    def same_axes(self, cell: Cell) -> list[str]:
        """The recipes with the same values on the axes and other settings that differ."""
        same = [
            name
            for name, recipe in self.known.items()
            if all(recipe.get(axis) == v for axis, v in zip(self.axes, cell, strict=True))
        ]
        return [name for name in same if name not in self.recipes(cell)]

    @property
    def extremes(self) -> list[tuple[str, Cell]]:
        """The best and the worst cell with a result; or the only cell there is."""
        if len(self.cells) == 1:
            return [("all runs", next(iter(self.cells)))]
        ranked = [cell for cell in self.ranked if self.finished(cell)]
        return list(zip(("best", "worst"), dict.fromkeys(ranked[:1] + ranked[-1:]), strict=False))

    @property
    def recipe_cells(self) -> list[tuple[str, Cell]]:
        """The cells that are recipes, with the recipe's name."""
        return [(name, cell) for cell in self.cells for name in self.recipes(cell)]

    def warnings_of(self, run: tracking.RecordedRun) -> list[str]:
        """Names of the warnings before a run's training."""
        return list(run.warnings)

    @cached_property
    def warnings(self) -> "dict[str, list[tracking.RecordedRun]]":
        """The runs with each warning."""
        found: dict[str, list[tracking.RecordedRun]] = defaultdict(list)
        for run in self.runs:
            for name in self.warnings_of(run):
                found[name].append(run)
        return dict(sorted(found.items()))

    def warning_text(self, run: tracking.RecordedRun, name: str) -> str:
        """The text of a run's warning."""
        return run.warnings[name]

    def tags(self, name: str) -> list[str]:
        """The different values of a tag."""
        return sorted({run.tags.get(name, "") for run in self.runs})

    @cached_property
    def by_axis(self) -> list[AxisEffect]:
        """The difference that each axis makes, the largest first."""
        return axis_effects(self)

    @cached_property
    def deviations(self) -> list[float]:
        """The standard deviation between the seeds of each cell that has several results."""
        return [float(np.std(found, ddof=1)) for found in self._results if len(found) > 1]

    @property
    def deviation(self) -> float:
        """The same, pooled over these cells."""
        several = [found for found in self._results if len(found) > 1]
        squares = sum((len(found) - 1) * np.var(found, ddof=1) for found in several)
        return float(np.sqrt(squares / sum(len(found) - 1 for found in several)))

    @cached_property
    def least_held(self) -> float | None:
        """The share of redrawn studies in which a cell's interval holds: that of the worst cell.

        None where no cell has an interval.
        """
        several = [np.array([found]) for found in self._results if len(found) > 1]
        held = [redrawn(found)[1] for found in several if np.ptp(found) >= TIED]
        return min(held, default=None)

    @property
    def _results(self) -> list[list[float]]:
        return [[run.metrics[CURVE] for run in self.finished(cell)] for cell in self.cells]

    @property
    def conditions(self) -> str:
        """Precision and length of the runs, for example "float32, 10000 updates"."""
        lengths = {
            f"{epochs} epochs" if epochs != "null" else f"{run.params.get(LENGTH)} updates"
            for run in self.runs
            for epochs in [run.params.get("training.epochs", "null")]
        }
        dtypes = {run.params.get("dtype", "") for run in self.runs}
        return ", ".join(" or ".join(sorted(words)) for words in (dtypes, lengths))

    def facts(self) -> dict[str, Any]:
        """Return the cells for programs, best first; accuracies 0 … 1."""
        return {
            "axes": self.axes,
            "cells": [
                {
                    "settings": dict(zip(self.axes, cell, strict=True)),
                    "recipes": self.recipes(cell),
                    "test_accuracy": self.mean(cell),
                    "train_accuracy": self.mean(cell, "train_accuracy"),
                    "loss": self.mean(cell, "loss"),
                    "state": None if self.finished(cell) else self.failure_state(cell),
                    "run_ids": [run.run_id for run in self.cells[cell]],
                }
                for cell in self.ranked
            ],
        }

    @property
    def finished_runs(self) -> int:
        """The number of runs with a result."""
        return sum(len(self.finished(cell)) for cell in self.cells)

    @property
    def states(self) -> str:
        """For example "34 finished, 2 diverged"."""
        counts = Counter(run.state for run in self.runs)
        ordered = sorted(counts, key=lambda state: (state != "finished", state))
        return ", ".join(f"{counts[state]} {state}" for state in ordered)


def _value(run: tracking.RecordedRun, axis: str) -> str:
    return run.tags.get(VERSIONS[axis], "")[:8] if axis in VERSIONS else run.params.get(axis, "")


def _effective(params: Mapping[str, str]) -> dict[str, str]:
    """The settings that affect results."""
    return {k: v for k, v in params.items() if k not in OPERATIONAL}
