"""The accuracy that the baseline is claimed to reach, beside the accuracies of its runs."""

from dataclasses import dataclass

import numpy as np

from sgdprobe.study.intervals import Array, student_t

# Published test accuracies of recipes, 0 … 1.
PUBLISHED = {"notes": 0.7012}


@dataclass(frozen=True)
class Claim:
    """A claimed accuracy, 0 … 1, and its tolerance; None: the spread of the seeds."""

    accuracy: float
    tolerance: float | None = None

    def accepted(self, measured: Array) -> tuple[float, float]:
        """Return the range in which the claim holds, from the accuracies of n seeds.

        With a tolerance: the mean ± the tolerance. Without: the 95 % prediction interval of one
        more seed, since a published result is one run.
        """
        n, mean = len(measured), float(np.mean(measured))
        half = self.tolerance
        if half is None:
            half = student_t(n) * float(np.std(measured, ddof=1) * np.sqrt(1 + 1 / n))
        return max(mean - half, 0.0), min(mean + half, 1.0)

    def holds(self, measured: Array) -> bool:
        """Return True if the runs reproduce the claim."""
        low, high = self.accepted(measured)
        return low <= self.accuracy <= high


def claim_of(recipe: str, accuracy: float | None, tolerance: float | None) -> Claim | None:
    """Return the given claim, else the published one of this recipe, else None."""
    known = PUBLISHED.get(recipe) if accuracy is None else accuracy
    return None if known is None else Claim(known, tolerance)
