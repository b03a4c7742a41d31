"""Recorded results of a factorial, and the array from which the statistics are made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sgdprobe import tracking
from sgdprobe.run.build import load_data
from sgdprobe.study.design import Factorial, Run
from sgdprobe.study.diagnostics import FinalDiagnostics, final_diagnostics
from sgdprobe.study.intervals import Array
from sgdprobe.study.spec import StudySpec


@dataclass(frozen=True)
class StudyResults:
    """A factorial of which every run has a result; `load_series` adds the metrics by epoch."""

    spec: StudySpec
    factorial: Factorial
    runs: Mapping[Run, "tracking.RecordedRun"]

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1 / load_data(self.factorial.base).classes

    @property
    def test_images(self) -> int:
        """The number of images on which test accuracies are counted."""
        return len(load_data(self.factorial.base).test_labels)

    @cached_property
    def diagnostics(self) -> dict[Run, FinalDiagnostics]:
        """Diagnostics of the runs near the corners, which are those that reports show."""
        near = set(self.factorial.near_corners())
        return {
            run: final_diagnostics(result.tags)
            for run, result in self.runs.items()
            if run[0] in near
        }

    def accuracy_of(self, run: Run, metric: str = "test_accuracy") -> float:
        """Return a run's last accuracy; that of guessing if it diverged."""
        result = self.runs[run]
        return self.chance if result.diverged else result.metrics[metric]

    def accuracies(self, metric: str = "test_accuracy") -> Array:
        """Return the accuracies of all runs : (2, …, 2, n), an axis for each factor, then seeds."""
        values = [self.accuracy_of(run, metric) for run in self.factorial.runs()]
        return np.array(values).reshape((2,) * len(self.factorial.factors) + (-1,))

    def diverged(self) -> list[Run]:
        """Return the runs that diverged."""
        return [run for run in self.factorial.runs() if self.runs[run].diverged]


def load_results(
    spec: StudySpec, factorial: Factorial, recorded: Mapping[str, "tracking.RecordedRun"]
) -> StudyResults:
    """Take the results of a factorial's runs from recorded ones, which are by key."""
    return StudyResults(
        spec, factorial, {run: recorded[key] for run, key in factorial.keys.items()}
    )


def load_series(study: StudyResults) -> StudyResults:
    """Add accuracy and symptoms of each run, epoch by epoch. Raises StoreError."""
    reader = tracking.connect(study.factorial.base.tracking.uri)
    names = ["test_accuracy", "symptom/"]
    runs = tracking.with_series(reader, list(study.runs.values()), names)
    return replace(study, runs=dict(zip(study.runs, runs, strict=True)))
