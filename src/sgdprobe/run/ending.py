"""Classify the end of a run: at guessing level, stuck, or still rising. A hint, not a verdict."""

from collections.abc import Sequence

from sgdprobe.nn import EpochMetrics
from sgdprobe.rules.course import RISING

GUESSING = 1.5  # test accuracy up to this many times that of a guess
STUCK = 0.8  # training accuracy below this, and no longer rising

ENDINGS = {
    "guessing": "at guessing level",
    "stuck": "stuck",
    "rising": "still rising",
}


def ending(epochs: Sequence[EpochMetrics], classes: int) -> str:
    """Return a name in ENDINGS, or "" for a run that learned and has settled.

    One epoch alone cannot show whether a run still rises, so for it only guessing is found.
    """
    if not epochs:
        return ""
    last = epochs[-1]
    if last.test_accuracy <= GUESSING / classes:
        return "guessing"
    if len(epochs) == 1:
        return ""
    quarter = max(1, len(epochs) // 4)
    if last.train_accuracy - epochs[-1 - quarter].train_accuracy > RISING:
        return "rising"
    return "stuck" if last.train_accuracy < STUCK else ""
