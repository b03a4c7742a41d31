"""A study's runs as they were recorded, and the array that the statistics are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe import tracking
from sgdprobe.provenance.source import source_hash
from sgdprobe.run.build import load_data
from sgdprobe.study.design import Cell, Design
from sgdprobe.study.diagnostics import FinalDiagnostics, final_diagnostics
from sgdprobe.study.factors import Factor
from sgdprobe.study.spec import StudySpec

Run = tuple[Cell, int]  # a cell and a seed


@dataclass(frozen=True)
class StudyResults:
    """A whole study: every run of the design has a result.

    left_out : differences between the recipes that stay as in the first.
    evidence : of all runs, and signs of those near an end; a study at one value of a tuned
    setting has neither.
    """

    request: StudySpec
    design: Design
    left_out: tuple[Factor, ...]
    results: Mapping[Run, "tracking.Result"]
    evidence: Mapping[Run, "tracking.Evidence"] = field(default_factory=dict)
    signs: Mapping[Run, FinalDiagnostics] = field(default_factory=dict)

    @property
    def chance(self) -> float:
        """What guessing reaches."""
        return 1 / load_data(self.design.base).classes

    @property
    def test_images(self) -> int:
        """How many images the accuracies are counted on."""
        return len(load_data(self.design.base).test_labels)

    def accuracy_of(self, run: Run, metric: str = "test_accuracy") -> float:
        """An accuracy at the end; a run that diverged can only guess."""
        result = self.results[run]
        return self.chance if result.diverged else result.metrics[metric]

    def accuracies(self, metric: str = "test_accuracy") -> NDArray[np.floating[Any]]:
        """(2, …, 2, n), an axis for each factor, then the seeds."""
        values = [self.accuracy_of(run, metric) for run in self.design.runs()]
        shape = (2,) * len(self.design.factors) + (self.design.seeds,)
        return np.array(values).reshape(shape)

    def diverged(self) -> list[Run]:
        """The runs that count as guessing."""
        return [run for run in self.design.runs() if self.results[run].diverged]


def run_keys(design: Design) -> dict[Run, str]:
    """The key of each run: what it was recorded under, wherever that was."""
    keys = {}
    for cell, seed in design.runs():
        settings = design.settings(cell, seed)
        keys[cell, seed] = settings.key(load_data(settings).digest, source_hash())
    return keys


def load_results(
    request: StudySpec,
    design: Design,
    left_out: tuple[Factor, ...],
    results: Mapping[Run, "tracking.Result"],
) -> StudyResults:
    """The study, with what its runs recorded on their way. Raises StoreError."""
    runs = list(design.runs())
    near = set(design.near_corners())
    evidence = tracking.recorded_evidence(design.base.tracking.uri, [results[run] for run in runs])
    return StudyResults(
        request,
        design,
        left_out,
        results,
        dict(zip(runs, evidence, strict=True)),
        {run: final_diagnostics(results[run].tags) for run in runs if run[0] in near},
    )
