"""The question that a study answers."""

from dataclasses import dataclass

from sgdprobe.study.claim import Claim


@dataclass(frozen=True)
class StudySpec:
    """Baseline and target by name, and how to compare them.

    name : of the study, its folder and its MLflow experiment.
    factors : differences to vary, by name; all if empty.
    groups : of differences that are one factor, by name.
    tuned : the setting that each cell also gets at its best value; none if empty.
    command : the command line that asks this question again.
    """

    name: str
    baseline: str
    target: str
    seeds: int
    factors: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    tuned: str = ""
    claim: Claim | None = None
    command: str = ""
