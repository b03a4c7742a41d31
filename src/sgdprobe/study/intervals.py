"""Intervals of means over paired seeds, and of shares of runs.

A statistic is computed for each of n seeds; its interval is Student's t over these n values. That
is exact for any n if they are normal. Where some runs get stuck they are not: `redrawn` says how
often the intervals of such seeds hold. experiments/coverage compares this interval with others.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

LEVEL = 0.95
TIED = 1e-9  # values this close are equal: accuracies are counts of images
FEW_SEEDS = 5  # with fewer, only large differences are clear
# Share of figures marked as resting on one seed if the seeds are normal.
MARKED_BY_CHANCE = 0.02
REDRAWN = 2000  # studies drawn again from the seeds of one
PATHS = 20_000  # simulated studies to which seeds are added
SPREADS = np.geomspace(0.9, 4.0, 25)  # widths asked for, relative to that of the last look
STEP = 0.0005  # of a level that is searched for


@dataclass(frozen=True)
class Estimate:
    """A mean over the seeds and its interval; infinite if all seeds give the same value.

    one_seed : the seed on which the mean rests, if there is one, and the estimate without it.
    """

    mean: float
    low: float
    high: float
    one_seed: "tuple[int, Estimate] | None" = None

    @property
    def is_tied(self) -> bool:
        """True if the seeds do not differ, so that they say nothing about an interval."""
        return bool(np.isinf(self.low))

    @property
    def excludes_zero(self) -> bool:
        """True if 0 is outside the interval."""
        return self.low > 0 or self.high < 0

    def overlaps(self, other: "Estimate") -> bool:
        """Return True if both have an interval and these share a value."""
        if self.is_tied or other.is_tied:
            return False
        return self.low <= other.high and other.low <= self.high


def estimate(values: Array, level: float = LEVEL) -> Estimate:
    """Return the mean of n paired values and its interval."""
    mean, half = float(np.mean(values)), float(half_width(values, level))
    seed = _outlier(values)
    without = None if seed is None else (seed, estimate(np.delete(values, seed), level))
    return Estimate(mean, mean - half, mean + half, without)


def half_width(values: Array, level: float = LEVEL) -> Array:
    """Return half the width of the interval of the mean over the last axis."""
    spread: Array = np.std(values, axis=-1, ddof=1)
    is_tied = np.ptp(values, axis=-1) < TIED
    return np.where(is_tied, np.inf, spread * reach(values.shape[-1], level))


def reach(n: int, level: float = LEVEL) -> float:
    """Return half the width of the interval of n values, in their standard deviations."""
    return student_t(n, level) / float(np.sqrt(n))


def student_t(n: int, level: float = LEVEL) -> float:
    """Return half the width of the interval of n values, in standard errors."""
    return float(_special().stdtrit(n - 1, (1 + level) / 2))


def at_once(m: int, level: float = LEVEL) -> float:
    """Return the level of each of m intervals that all hold with the given level: Bonferroni."""
    return 1 - (1 - level) / max(m, 1)


@cache
def stopping_level(looks: tuple[int, ...], level: float = LEVEL) -> float:
    """Return the level of an interval that is to hold with the given level when it is narrow.

    looks : numbers of seeds. One stops at the first of them where the interval is as narrow as was
    asked for, or at the last. The rule sees widths, never means, and of normal seeds the two are
    independent; but one stops the sooner, the more a spread happens to be small. The level makes up
    for that whatever the true spread is: the worst was sought among SPREADS by simulating PATHS
    studies (fixed-width intervals: Chow and Robbins, Annals of Mathematical Statistics 36, 1965).
    """
    if len(looks) == 1:
        return level
    values = np.random.default_rng(0).normal(size=(PATHS, max(looks)))
    away = np.abs(np.stack([values[:, :n].mean(axis=1) for n in looks]))
    errors = np.stack([values[:, :n].std(axis=1, ddof=1) / np.sqrt(n) for n in looks])

    def least(candidate: float) -> float:
        """Return the coverage for the spread for which it is least."""
        half = errors * np.array([[student_t(n, candidate)] for n in looks])
        holds = away <= half

        def at(width: float) -> float:
            narrow = half <= width
            narrow[-1] = True
            return float(holds[narrow.argmax(axis=0), np.arange(PATHS)].mean())

        return min(at(width) for width in half[-1].mean() * SPREADS)

    low, high = level, 1 - (1 - level) / len(looks)
    while high - low > STEP:
        middle = (low + high) / 2
        low, high = (middle, high) if least(middle) < level else (low, middle)
    return high


def redrawn(values: Array, level: float = LEVEL) -> tuple[Array, float]:
    """Return how often intervals hold in studies drawn again from these seeds : (m,), all at once.

    values : (m, n). A study has n of the n seeds, with replacement, the same for all m; its
    intervals should hold the means of `values`. Fewer hold if few seeds differ from the rest.
    """
    n = values.shape[-1]
    picks = np.random.default_rng(0).integers(0, n, (REDRAWN, n))
    holds = np.stack([_holds(one[picks], float(one.mean()), level) for one in values])
    return holds.mean(axis=1), float(holds.all(axis=0).mean())


def _holds(studies: Array, truth: float, level: float) -> NDArray[np.bool_]:
    """Return whose interval has the truth; of equal seeds, which have none, the number itself."""
    distance = np.abs(studies.mean(axis=-1) - truth)
    half = studies.std(axis=-1, ddof=1) * reach(studies.shape[-1], level)
    return np.asarray(distance <= half + TIED)


def binomial(count: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of a share of which `count` of n were drawn: Clopper, Pearson."""
    tail, inverse = (1 - level) / 2, _special().betaincinv
    low = inverse(count, n - count + 1, tail) if count else 0.0
    high = inverse(count + 1, n - count, 1 - tail) if count < n else 1.0
    return float(low), float(high)


def as_few(successes: int, n: int, share: float) -> float:
    """Return how often n draws have so few successes or fewer, if each has this share."""
    return float(_special().bdtr(successes, n, share))


def _outlier(values: Array) -> int | None:
    """Return the seed that differs from the others as one of normal seeds rarely does: Grubbs."""
    n = len(values)
    if n < 3 or np.ptp(values) < TIED:
        return None
    seed = int(np.argmax(np.abs(values - np.mean(values))))
    others = np.delete(values, seed)
    distance = abs(values[seed] - np.mean(others))
    deviation = np.std(others, ddof=1) * np.sqrt(n / (n - 1))
    rare = distance > _special().stdtrit(n - 2, 1 - MARKED_BY_CHANCE / (2 * n)) * deviation
    return seed if rare else None


@cache
def _special() -> Any:
    """Return SciPy's functions: a third of a second to import, with scipy.stats a whole one."""
    return import_module("scipy.special")
