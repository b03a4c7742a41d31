"""Many differences: a small design finds those that matter, the rest becomes one factor.

2^k cells are too many for 12 differences. A fraction of them, chosen from the columns of a
Hadamard matrix and repeated with all levels exchanged (fold-over), measures every main effect with
2^m cells, at least 32 and 2 k, half of which are at each level of every factor. Main effects are
then free of the interactions of two factors; they are mixed with those of three, five, …, of six
factors with none of three. Two differences that matter only together do not show. Their effect is
not lost, it is in the share of the rest (Box, Hunter and Hunter, Statistics for Experimenters, 2nd
edition, 2005, chapter 6).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from sgdprobe.errors import UserError
from sgdprobe.study.design import Factorial
from sgdprobe.study.factors import Cell, Factor
from sgdprobe.study.intervals import Array, Estimate, estimate
from sgdprobe.study.results import StudyResults

REST = "the rest"
LEAST_ROWS = 16  # of the matrix: a design has at least 32 cells


def fold_over(k: int) -> list[Cell]:
    """Return the cells of the design for k factors, the baseline first and the target last."""
    size = max(LEAST_ROWS, 1 << (k - 1).bit_length())  # a power of two, at least k
    chosen = columns(k, size)
    # Sylvester's matrix as 0 and 1: the parity of the bits that row and column have in common.
    half = np.array([[(row & column).bit_count() % 2 for column in chosen] for row in range(size)])
    return sorted({tuple(map(int, cell)) for cell in [*half, *(1 - half)]})


def columns(k: int, size: int) -> list[int]:
    """Choose k columns of Sylvester's matrix, such that few main effects are mixed with triples.

    The product of columns a, b and c is column a ^ b ^ c: next is one that fewest triples give.
    """
    chosen = [0]
    while len(chosen) < k:
        triples = Counter(a ^ b ^ c for a, b, c in combinations(chosen, 3))
        left = [column for column in range(size) if column not in chosen]
        chosen.append(min(left, key=lambda column: triples[column]))
    return chosen


class Screen(Factorial):
    """A factorial of which only the cells of the design are run."""

    def cells(self) -> list[Cell]:
        """The cells of the design."""
        return fold_over(len(self.factors))


def as_screen(factorial: Factorial, keep: int) -> Screen:
    """Return the design that finds the `keep` factors that matter most. Raises UserError."""
    k = len(factorial.factors)
    if k < 3:
        raise UserError(f"--screen is for 3 differences or more; these are {k}")
    if not 1 <= keep <= k - 2:
        raise UserError(
            f"--screen must keep at least 1 of the {k} differences and leave at least 2 for the "
            f"rest, 1 to {k - 2}; got {keep}"
        )
    return Screen(factorial.base, factorial.factors, factorial.seeds, factorial.left_out)


@dataclass(frozen=True)
class Screening:
    """The result of the design. y : (cells, n) accuracies, in the order of `design.cells()`.

    keep : the number of differences to be studied one by one.
    """

    design: Factorial
    y: Array
    keep: int

    @classmethod
    def of(cls, results: StudyResults, keep: int) -> "Screening":
        """Take the accuracies of the runs of a screening."""
        design = results.factorial
        values = [results.accuracy_of(run) for run in design.runs()]
        return cls(design, np.reshape(values, (-1, design.seeds)), keep)

    @cached_property
    def effects(self) -> dict[str, Estimate]:
        """Each difference's main effect, mean over the design's cells; the largest first."""
        cells = np.array(self.design.cells())
        signs = (2 * cells - 1) / (len(cells) / 2)
        values = zip(self.design.names, signs.T @ self.y, strict=True)
        found = {name: estimate(one) for name, one in values}
        return dict(sorted(found.items(), key=lambda item: -abs(item[1].mean)))

    @property
    def kept(self) -> list[str]:
        """The differences that are studied one by one."""
        return list(self.effects)[: self.keep]

    @property
    def rest(self) -> list[str]:
        """The others, in the order of the recipes."""
        return [name for name in self.design.names if name not in self.kept]

    def factors(self) -> tuple[Factor, ...]:
        """Return the factors of the exact study: those that are kept, and the rest as one."""
        factors = self.design.factors
        members = [one for one in factors if one.name not in self.kept]
        rest = Factor(
            REST,
            tuple(key for one in members for key in one.keys),
            (_joined(members, 0), _joined(members, 1)),
        )
        return (*(one for one in factors if one.name in self.kept), rest)

    def aliases(self, names: Sequence[str]) -> list[list[tuple[str, str]]]:
        """Return the pairs of these whose interactions the design cannot tell apart, in groups."""
        cells = 2 * np.array(self.design.cells()) - 1
        columns = {name: cells[:, self.design.names.index(name)] for name in names}
        groups: dict[bytes, list[tuple[str, str]]] = {}
        for a, b in combinations(names, 2):
            groups.setdefault((columns[a] * columns[b]).tobytes(), []).append((a, b))
        return [group for group in groups.values() if len(group) > 1]


def exact(screening: Screening) -> Factorial:
    """Return the exact factorial that follows a screening."""
    design = screening.design
    return Factorial(design.base, screening.factors(), design.seeds, design.left_out)


def _joined(members: Sequence[Factor], level: int) -> tuple[object, ...]:
    return tuple(value for one in members for value in one.levels[level])
