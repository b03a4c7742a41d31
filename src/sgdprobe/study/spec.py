"""Specification of a study: two recipes, their differences, seeds, a tuned setting."""

import re
from dataclasses import dataclass, replace

from sgdprobe.config.recipe_pair import RecipePair


@dataclass(frozen=True)
class StudySpec:
    """Two recipes and how to compare them. Accuracies are shares, 0 … 1.

    fixed, varied : words of Hydra's grammar, KEY=VALUE for both ends and KEY=a,b, one for each.
    tune : KEY=a,b,c, values of which every cell is to have its best; None for none.
    """

    baseline: str
    target: str
    study: str
    factors: tuple[str, ...]
    fixed: tuple[str, ...]
    varied: tuple[str, ...]
    tune: str | None
    seeds: int
    claim: float | None
    tolerance: float | None
    force: bool
    run: bool
    command: str

    @property
    def pair(self) -> RecipePair:
        """The two recipes, to be composed."""
        return RecipePair(self.baseline, self.target, self.fixed, self.varied)

    @property
    def tuned_key(self) -> str:
        """The setting that is tuned; empty where none is."""
        return (self.tune or "").partition("=")[0]

    def per_tuned_value(self) -> "list[StudySpec]":
        """The same request with each value of the tuned setting in both recipes."""
        if self.tune is None:
            return []
        key = self.tuned_key
        fixed, varied = (
            tuple(word for word in words if word.partition("=")[0] != key)
            for words in (self.fixed, self.varied)
        )
        return [
            replace(self, fixed=(*fixed, f"{key}={value}"), varied=varied)
            for value in tried_values(self.tune)
        ]


def tried_values(word: str) -> list[str]:
    """The values of KEY=a,b,c; a comma inside of brackets parts none."""
    return re.split(r",(?![^\[]*\])", word.partition("=")[2])
