"""The question that a study answers."""

from dataclasses import dataclass

from sgdprobe.config.settings import Settings
from sgdprobe.study.claim import Claim
from sgdprobe.study.intervals import LEVEL, stopping_level


@dataclass(frozen=True)
class StudySpec:
    """Baseline and target by name, and how to compare them.

    name : of the study, its folder and its MLflow experiment.
    factors : differences to vary, by name; all if empty.
    groups : of differences that are one factor, by name.
    tuned : the setting that each cell also gets at its best value; none if empty.
    reach : the accuracy, 0 … 1, below which a run counts as stuck; None: that of study.stuck.
    within : seeds are added until the interval of each share reaches no further, 0 … 1.
    looks : the numbers of seeds at which that is looked at; `seeds` is one of them.
    command : the command line that asks this question again.
    recipe, written : the baseline's recipe by name, and its settings without any override.
    """

    name: str
    baseline: str
    target: str
    seeds: int
    factors: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    tuned: str = ""
    claim: Claim | None = None
    reach: float | None = None
    within: float | None = None
    looks: tuple[int, ...] = ()
    command: str = ""
    recipe: str = ""
    written: Settings | None = None

    @property
    def level(self) -> float:
        """The level of every interval: above 95 % if seeds are added until they are narrow."""
        return stopping_level(self.looks) if self.looks else LEVEL
