"""What the first recipe is said to reach, held against what it reached."""

from dataclasses import dataclass

import numpy as np

from sgdprobe.study.effects import Array, student_t

# What was published of a recipe, as a share of the test images.
PUBLISHED = {"notes": 0.7012}


@dataclass(frozen=True)
class Claim:
    """An accuracy, 0 … 1, and how far from it the mean may lie; None: as far as seeds differ."""

    accuracy: float
    tolerance: float | None = None

    def accepted(self, measured: Array) -> tuple[float, float]:
        """What the claim is held against, from the accuracies of the seeds.

        Without a tolerance, where one more seed's run falls in 95 of 100: a published result is
        one run. With a tolerance, that far around the mean.
        """
        n, mean = len(measured), float(np.mean(measured))
        reach = self.tolerance
        if reach is None:
            reach = student_t(n) * float(np.std(measured, ddof=1) * np.sqrt(1 + 1 / n))
        return max(mean - reach, 0.0), min(mean + reach, 1.0)

    def holds(self, measured: Array) -> bool:
        """Whether the runs reproduce the claim."""
        low, high = self.accepted(measured)
        return low <= self.accuracy <= high


def claim_of(recipe: str, accuracy: float | None, tolerance: float | None) -> Claim | None:
    """The claim that was typed, or the published one; None where there is none."""
    known = PUBLISHED.get(recipe) if accuracy is None else accuracy
    return None if known is None else Claim(known, tolerance)
