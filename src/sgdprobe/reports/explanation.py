"""The statistics of a study's report."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, combinations
from math import log
from typing import NamedTuple

import numpy as np

from sgdprobe import tracking
from sgdprobe.config.formatting import format_value
from sgdprobe.reports.estimates import Estimates
from sgdprobe.reports.recipe import recipe_of_cell
from sgdprobe.reports.symptoms import (
    DiagnosticsRow,
    first_and_last,
    least_loss,
    mean,
    never_predicted,
)
from sgdprobe.run.build import load_data, updates_and_epochs
from sgdprobe.study import effects
from sgdprobe.study.design import Factorial
from sgdprobe.study.factors import Cell, Factor, cell_id
from sgdprobe.study.intervals import Array, Estimate
from sgdprobe.study.looks import known_within
from sgdprobe.study.results import StudyResults
from sgdprobe.study.screening import Screening
from sgdprobe.study.stuck import Stuck, halfway
from sgdprobe.study.tuning import Tuned

SATURATED = "symptom/saturated_1"
SHOWN_SYMPTOMS = {"saturated": "saturated", "gradient_norm": "gradient"}


class TunedRow(NamedTuple):
    """A cell at one value of the tuned setting; validation : mean accuracy on held-out images."""

    cell: Cell
    anchor: str
    value: str
    is_best: bool
    validation: float
    accuracy: Estimate
    runs: "list[tracking.RecordedRun]"


@dataclass(frozen=True)
class StudySummary:
    """A study with its statistics; accuracies 0 … 1.

    tuned : each cell also at its best value. screening : how the factors were found.
    """

    results: StudyResults
    tuned: Tuned | None = None
    screening: Screening | None = None

    @property
    def design(self) -> Factorial:
        """Factors, cells and seeds."""
        return self.results.factorial

    @property
    def ends(self) -> tuple[str, str]:
        """The names of baseline and target."""
        return self.results.spec.baseline, self.results.spec.target

    @property
    def conditions(self) -> str:
        """Precision and length of the runs, for example "float32, 10,000 updates"."""
        corners = [self.design.settings(cell, 0) for cell in self.design.corners]
        dtypes, lengths = (
            " or ".join(dict.fromkeys(words))
            for words in (
                [corner.dtype for corner in corners],
                [f"{updates_and_epochs(one, load_data(one))[0]:,}" for one in corners],
            )
        )
        return f"{dtypes}, {lengths} updates"

    @cached_property
    def own(self) -> Estimates:
        """Estimates at the recipes' own values."""
        return Estimates(self.design.factors, self.results.accuracies(), self.results.spec.level)

    @cached_property
    def logit(self) -> Estimates:
        """The same on the logit scale."""
        least = 0.5 / self.results.test_images
        logits = effects.logit(self.own.y, least)
        return Estimates(self.design.factors, logits, self.results.spec.level)

    @cached_property
    def best(self) -> Estimates | None:
        """The same with each cell at its best value of the tuned setting."""
        tuned, level = self.tuned, self.results.spec.level
        return Estimates(tuned.factorial.factors, tuned.y, level) if tuned else None

    @cached_property
    def stuck(self) -> Stuck:
        """Runs that reach the study's accuracy, and runs that do not."""
        spec, y = self.results.spec, self.own.y
        reach = halfway(y, self.results.chance) if spec.reach is None else spec.reach
        return Stuck(y, reach, spec.reach is not None, spec.level)

    @cached_property
    def risk_shares(self) -> dict[str, Estimate]:
        """Each factor's Shapley share of the change in the share of runs that reach it."""
        found = map(self.own.estimate, self.stuck.shares)
        inside = (
            one if one.is_tied else replace(one, low=max(one.low, -1.0), high=min(one.high, 1.0))
            for one in found
        )
        return dict(zip(self.own.names, inside, strict=True))

    @property
    def enough(self) -> Cell:
        """The cell of the smallest set of changes that is enough, the nearest to the target."""
        return next(iter(self.own.minimal_sets))

    def recipe(self, cell: Cell) -> str:
        """A cell as a recipe in YAML: the lines in which it differs from the baseline's recipe."""
        return recipe_of_cell(self.results.spec, self.design, cell)

    @property
    def within_reached(self) -> bool:
        """True if the interval of every share reaches as little as was asked for."""
        shares = [*self.own.share_values.values()]
        shares += self.best.share_values.values() if self.best else []
        return known_within(shares, self.results.spec)

    @property
    def outlying(self) -> dict[Cell, tuple[int, float, Estimate]]:
        """The cells of which one run differs from the others: its seed, its accuracy, the rest."""
        found = {cell: self.own.at(cell).one_seed for cell in self.design.cells()}
        return {
            cell: (seed, float(self.own.y[cell][seed]), rest)
            for cell, (seed, rest) in ((c, one) for c, one in found.items() if one)
        }

    @property
    def claim_holds(self) -> bool:
        """True if the baseline reproduces its claim, or has none."""
        claim = self.results.spec.claim
        return claim is None or claim.holds(self.own.y[self.design.baseline])

    @property
    def held_fixed(self) -> list[str]:
        """The settings that no factor changes, as KEY=VALUE."""
        return [f"{k}={format_value(v)}" for k, v in self.design.held_fixed().items()]

    @property
    def scale_order(self) -> list[tuple[str, str]]:
        """Pairs of which the first has the larger share in points, the second in logits."""
        own, logit = self.own.shares, self.logit.shares
        return [
            (a, b)
            for a, b in combinations(own, 2)
            if (own[a].mean - own[b].mean) * (logit[a].mean - logit[b].mean) < 0
        ]

    @property
    def scale_interactions(self) -> list[tuple[str, str]]:
        """Pairs whose interaction has another sign on the other scale, or is clear on one only."""
        own, logit = self.own.interactions, self.logit.interactions
        return [p for p in combinations(self.own.names, 2) if _sign(own[p]) != _sign(logit[p])]

    @cached_property
    def symptoms(self) -> dict[str, str]:
        """The symptoms to show with their headings: saturation first, layer by layer."""
        found = set(chain.from_iterable(run.series for run in self.results.runs.values()))
        return {
            name: f"{words} {name.removeprefix(prefix)}"
            for kind, words in SHOWN_SYMPTOMS.items()
            for prefix in [f"symptom/{kind}_"]
            for name in sorted(found)
            if name.startswith(prefix)
        }

    def diagnostics(self) -> Iterator[DiagnosticsRow]:
        """Baseline, target, and every cell one change from either."""
        design, (baseline, target) = self.design, self.ends
        yield self._diagnostics_row("", baseline, design.baseline, None)
        for i, name in enumerate(self.own.names):
            yield self._diagnostics_row("+", name, design.baseline_with(i), design.baseline)
        yield self._diagnostics_row("", target, design.target, None)
        if len(self.own.names) > 1:  # with one factor these are the rows above
            for i, name in enumerate(self.own.names):
                yield self._diagnostics_row("−", name, design.target_without(i), design.target)

    def _diagnostics_row(
        self, sign: str, name: str, cell: Cell, before: Cell | None
    ) -> DiagnosticsRow:
        runs = [(cell, seed) for seed in range(self.design.seeds)]
        ends = [self.results.diagnostics[run] for run in runs]
        series = [self.results.runs[run].series for run in runs]
        last = [run.metrics["loss"] for run in self.runs(cell) if not run.diverged]
        return DiagnosticsRow(
            sign,
            name,
            cell,
            None if before is None else self.own.estimate(self.own.y[cell] - self.own.y[before]),
            mean([end.first_loss for end in ends if end.first_loss is not None]),
            mean(last),
            least_loss(self.design.settings(cell, 0)),
            never_predicted(ends),
            [first_and_last([s[name] for s in series if s.get(name)]) for name in self.symptoms],
        )

    @property
    def uniform_losses(self) -> dict[int, float]:
        """The cross entropy of a network that prefers no class, by the width of its softmax."""
        classes, batch = load_data(self.design.base).classes, self.design.base.training.batch_size
        corners = [self.design.settings(cell, 0) for cell in self.design.corners]
        over_batch = any(corner.network.softmax_over == "batch" for corner in corners)
        widths = [classes, classes * batch] if over_batch else [classes]
        return {width: log(width) for width in widths}

    @property
    def top(self) -> Factor:
        """The factor with the largest share."""
        return self.design.factors[self.own.names.index(next(iter(self.own.shares)))]

    @cached_property
    def saturation(self) -> dict[str, Array]:
        """Saturation of layer 1 and test accuracy at the end : (runs, 2), by the level of `top`.

        Empty if no run has such a layer.
        """
        position, found = self.design.factors.index(self.top), ([], [])  # type: ignore[var-annotated]
        for run in self.design.runs():
            metrics = self.results.runs[run].metrics
            if SATURATED in metrics:  # a run that diverged in its first epoch has none
                pair = metrics[SATURATED], self.results.accuracy_of(run)
                found[run[0][position]].append(pair)
        labels = [f"{self.top.name}={self.top.format_level(level)}" for level in (0, 1)]
        pairs = zip(labels, found, strict=True)
        return {k: np.reshape(v, (-1, 2)) for k, v in pairs} if any(found) else {}

    def runs(self, cell: Cell) -> "list[tracking.RecordedRun]":
        """A cell's recorded runs, by seed."""
        return [self.results.runs[cell, seed] for seed in range(self.design.seeds)]

    def curves(self, cell: Cell) -> Array:
        """(seeds, epochs) test accuracies; after a run diverged, those of guessing."""
        settings = self.design.settings(cell, 0)
        _, epochs = updates_and_epochs(settings, load_data(settings))
        values = np.full((self.design.seeds, epochs), self.results.chance)
        for seed, row in enumerate(values):
            found = self.results.runs[cell, seed].series.get("test_accuracy", [])
            row[: len(found)] = found
        return values

    @cached_property
    def tuned_rows(self) -> list[list[TunedRow]]:
        """Of each cell, a row for each value of the tuned setting."""
        tuned = self.tuned
        return [] if tuned is None else [self._tuned(tuned, c) for c in tuned.factorial.cells()]

    def _tuned(self, tuned: Tuned, cell: Cell) -> list[TunedRow]:
        return [
            TunedRow(
                cell,
                f"tuned-{cell_id(cell)}-{position}",
                format_value(value),
                bool(tuned.chosen[cell] == position),
                float(tuned.validation[position][cell].mean()),
                self.own.estimate(study.accuracies()[cell]),
                [study.runs[cell, seed] for seed in range(study.factorial.seeds)],
            )
            for position, (value, study) in enumerate(zip(tuned.values, tuned.tried, strict=True))
        ]

    @property
    def train_images(self) -> int:
        """The number of training images, with those held out."""
        return len(load_data(self.design.base).train_images)


def _sign(found: Estimate) -> int:
    """1, -1, or 0 if the interval includes 0."""
    return (found.low > 0) - (found.high < 0)
