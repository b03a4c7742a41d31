"""Every cell at its best value of one setting, chosen on images that are held out of training.

A setting such as the learning rate is a nuisance for the others: what suits one cell need not suit
the next, and a cell at a value that does not suit it says little of its other settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.config.settings import Settings
from sgdprobe.errors import UserError
from sgdprobe.run.build import load_data
from sgdprobe.study.design import Cell, Design, recorded_under
from sgdprobe.study.factors import compare, select
from sgdprobe.study.results import StudyResults
from sgdprobe.study.spec import StudySpec

Array = NDArray[np.floating[Any]]

# Of the training images one in so many is held out: 10,000 of MNIST's 60,000.
VALIDATION_FRACTION = 6


@dataclass(frozen=True)
class Tuning:
    """The tuned setting, and for each of its values a design; all have the same factors."""

    key: str
    designs: tuple[Design, ...]

    @property
    def values(self) -> list[Any]:
        """What is tried, in the order in which it was asked for."""
        return [design.base.flat()[self.key] for design in self.designs]

    @property
    def held_out(self) -> int:
        """How many training images choose, and are not trained on."""
        return self.designs[0].base.data.validation


def tuning_of(request: StudySpec, tried: Sequence[tuple[Settings, Settings]]) -> Tuning:
    """The tuning of these two ends, composed at each value. Raises Refusal.

    What holds images out for its own sake keeps its number of them.
    """
    assert request.tune is not None
    designs = [_design(request, first, second) for first, second in tried]
    if any("data.validation" in factor.keys for factor in designs[0].factors):
        raise UserError(
            f"--tune {request.tune}: data.validation is a difference, and what tuning is judged "
            "by; --fix sets it"
        )
    return Tuning(request.tuned_key, tuple(designs))


def _design(request: StudySpec, first: Settings, second: Settings) -> Design:
    names = [name for name in request.factors if name != request.tuned_key]
    if request.factors and not names:
        raise UserError(f"--tune {request.tune}: it is the only factor, and tuned it is none")
    try:
        factors = select(compare(first, second), names)
    except UserError as refusal:
        raise UserError(f"--tune {request.tune}: at one value of it, {refusal}") from refusal
    held_out = first.data.validation or len(load_data(first).train_images) // VALIDATION_FRACTION
    base = recorded_under(first, request.study).replace({"data.validation": held_out})
    load_data(base)
    return Design(base, factors, request.seeds)


@dataclass(frozen=True)
class Tuned:
    """A tuning's results: `tried` holds one study for each value."""

    tuning: Tuning
    tried: tuple[StudyResults, ...]

    @cached_property
    def validation(self) -> Array:
        """(values, 2, …, 2, n) accuracies on the images held out."""
        return np.stack([study.accuracies("validation_accuracy") for study in self.tried])

    @cached_property
    def chosen(self) -> NDArray[np.intp]:
        """(2, …, 2) the place of each cell's best value by the mean over the seeds.

        The first where several are equally good.
        """
        return np.asarray(self.validation.mean(axis=-1).argmax(axis=0))

    @cached_property
    def y(self) -> Array:
        """(2, …, 2, n) test accuracies, each cell at its best value; the seeds share it."""
        test = np.stack([study.accuracies() for study in self.tried])
        places = self.chosen[np.newaxis, ..., np.newaxis]
        return np.asarray(np.take_along_axis(test, places, axis=0)[0])

    def at_the_edge(self) -> list[Cell]:
        """The cells whose best value is the least or the greatest: a better may lie beyond."""
        numbers = [value for value in self.tuning.values if isinstance(value, int | float)]
        if len(numbers) < len(self.tried):
            return []
        ends = {numbers.index(min(numbers)), numbers.index(max(numbers))}
        return [cell for cell in self.tried[0].design.cells() if int(self.chosen[cell]) in ends]
