"""Every cell at its best value of one setting, chosen on images held out of training.

A setting such as the learning rate is a confounder: a value that suits one cell need not suit the
next, and a cell at an unsuitable value says little about its other settings.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.study.design import Factorial
from sgdprobe.study.factors import Cell
from sgdprobe.study.intervals import Array
from sgdprobe.study.results import StudyResults


@dataclass(frozen=True)
class Tuned:
    """Results of the same factorial at each value of the setting `key`, in the order asked for."""

    key: str
    tried: tuple[StudyResults, ...]

    @property
    def factorial(self) -> Factorial:
        """The factorial at the first value; factors and seeds are those of all values."""
        return self.tried[0].factorial

    @property
    def values(self) -> list[Any]:
        """The values of the setting."""
        return [study.factorial.base.flat()[self.key] for study in self.tried]

    @property
    def held_out(self) -> int:
        """The number of training images that choose the value and are not trained on."""
        return self.factorial.base.data.validation

    @cached_property
    def validation(self) -> Array:
        """Accuracies on the images held out : (values, 2, …, 2, n)."""
        return np.stack([study.accuracies("validation_accuracy") for study in self.tried])

    @cached_property
    def chosen(self) -> NDArray[np.intp]:
        """Index of each cell's best value : (2, …, 2), by the mean over seeds; ties: the first."""
        return np.asarray(self.validation.mean(axis=-1).argmax(axis=0))

    @cached_property
    def y(self) -> Array:
        """Test accuracies with each cell at its best value : (2, …, 2, n)."""
        test = np.stack([study.accuracies() for study in self.tried])
        index = self.chosen[np.newaxis, ..., np.newaxis]
        return np.asarray(np.take_along_axis(test, index, axis=0)[0])

    def at_the_edge(self) -> list[Cell]:
        """Return the cells whose best value is the least or greatest: a better may lie beyond."""
        numbers = [value for value in self.values if isinstance(value, int | float)]
        if len(numbers) < len(self.tried):
            return []
        edges = {numbers.index(min(numbers)), numbers.index(max(numbers))}
        return [cell for cell in self.factorial.cells() if int(self.chosen[cell]) in edges]
