"""As many seeds as needed: paired seeds are added until every share is known well enough.

Whoever stops when an interval looks good stops too early too often. This rule sees only how wide
the intervals are, and `intervals.stopping_level` makes up for the rest.
"""

from collections.abc import Iterable
from itertools import takewhile

import numpy as np

from sgdprobe.study.intervals import TIED, Array, half_width
from sgdprobe.study.spec import StudySpec

GROWTH = 1.5  # of the number of seeds, from one look to the next
MOST_SEEDS = 100


def planned(first: int) -> tuple[int, ...]:
    """Return the numbers of seeds at which the intervals are looked at: 10, 15, 23, … 100."""

    def numbers() -> Iterable[int]:
        n = first
        while True:
            yield n
            n = int(np.ceil(GROWTH * n))

    return (*takewhile(lambda n: n < MOST_SEEDS, numbers()), max(first, MOST_SEEDS))


def known_within(shares: Iterable[Array], spec: StudySpec) -> bool:
    """Return True if the interval of every share reaches as little as was asked for.

    Seeds that are all equal have no interval, and more of them would have none either.
    """
    reaches = (half_width(values, spec.level) for values in shares if np.ptp(values) >= TIED)
    return all(float(half) <= (spec.within or np.inf) for half in reaches)
