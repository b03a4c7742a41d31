"""The proof: the recipe, its smallest repairs and the best found, with seeds of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.diagnosis.changes import fault_of
from sgdprobe.diagnosis.race import MIN_GAIN, NEAR, Attempt, Candidate, Race
from sgdprobe.diagnosis.runs import Clock, Runs
from sgdprobe.study.intervals import Array, Estimate, at_once, estimate

MAX_ARMS = 5  # smallest repairs that are proven at once
FAVOURITES = 2  # of the race that are candidates for the best found: one seed can flatter
SEEDS = 5
FEWEST = 2


@dataclass(frozen=True)
class Arm:
    """A candidate at the whole length with all seeds of the proof.

    accuracies : (n,) paired by seed with those of every other arm. suspected : by a rule.
    """

    candidate: Candidate
    settings: Settings
    accuracies: Array
    run_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.candidate)


@dataclass(frozen=True)
class Proof:
    """Arms with paired seeds, the recipe first, and what follows from them.

    reach : the accuracy that was asked for; None: near the best found. All intervals hold at once
    with 95 %.
    """

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    reach: float | None = None

    @property
    def original(self) -> Arm:
        """The recipe as given."""
        return self.arms[0]

    @cached_property
    def best(self) -> Arm:
        """The arm with the best mean; of equal ones that with the fewest changes."""
        return max(self.arms, key=lambda arm: (float(arm.accuracies.mean()), -len(arm)))

    @property
    def level(self) -> float:
        """The level of each interval; of each arm there are two."""
        return at_once(2 * len(self.arms))

    def accuracy(self, arm: Arm) -> Estimate:
        """Return the mean accuracy."""
        return estimate(arm.accuracies, self.level)

    def gain(self, arm: Arm) -> Estimate:
        """Return the mean gain over the recipe, seed by seed."""
        return estimate(arm.accuracies - self.original.accuracies, self.level)

    def behind(self, arm: Arm) -> Estimate:
        """Return how far the arm stays behind the best found, seed by seed."""
        return estimate(self.best.accuracies - arm.accuracies, self.level)

    def gains(self, arm: Arm) -> bool:
        """Return True if the arm is proven to be better than the recipe."""
        gain = self.gain(arm)
        return gain.mean > MIN_GAIN if gain.is_tied else gain.low > 0

    def is_enough(self, arm: Arm) -> bool:
        """Return True if the arm is proven to reach what was asked for, or near the best found."""
        if self.reach is not None:
            estimate = self.accuracy(arm)
            return (estimate.mean if estimate.is_tied else estimate.low) >= self.reach
        if arm is self.best:
            return True
        behind = self.behind(arm)
        return (behind.mean if behind.is_tied else behind.high) <= NEAR

    @property
    def repairs(self) -> list[Arm]:
        """The smallest changes that are proven to gain and to be enough, the best first."""
        proven = [a for a in self.arms if len(a) and self.gains(a) and self.is_enough(a)]
        least = min(map(len, proven), default=0)
        found = [arm for arm in proven if len(arm) == least]
        return sorted(found, key=lambda a: (not a.candidate.suspected, -float(a.accuracies.mean())))

    @property
    def is_healthy(self) -> bool:
        """Return True if the recipe is good enough as it is."""
        if self.reach is not None:
            return float(self.original.accuracies.mean()) >= self.reach
        return float((self.best.accuracies - self.original.accuracies).mean()) < NEAR


def prove(race: Race, runs: Runs, clock: Clock, seeds: int = SEEDS) -> Proof:
    """Run recipe, smallest candidates and best found with seeds that the race has not seen.

    Where none of the smallest is proven, the next larger ones are tried while there is time. With
    too little time for all seeds the proof has fewer.
    """
    tried: dict[str, Arm] = {}
    chosen: list[int] = []
    sizes = sorted({len(attempt.candidate) for attempt in race.sufficient()} - {0}) or [0]
    proof: Proof | None = None
    for size in sizes:
        attempts = _of_all_kinds(race, [a for a in race.sufficient() if len(a.candidate) == size])
        arms = _distinct([race.original, *race.favourites(FAVOURITES), *attempts])
        if not chosen:
            chosen = _affordable(race, arms, runs, clock, seeds)
        elif runs.expected(_all(race, arms, chosen)) > clock.left():
            break
        _measure(race, arms, runs, chosen, tried)
        proof = Proof(tuple(tried.values()), tuple(chosen), race.reach)
        if proof.repairs or proof.is_healthy:
            break
    assert proof is not None
    return proof


def _of_all_kinds(race: Race, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return at most MAX_ARMS: first one for each kind of fault, so that no kind is overlooked."""
    first: dict[tuple[str, ...], Attempt] = {}
    for attempt in attempts:
        kind = tuple(sorted(fault_of(race.base, part) for part in attempt.candidate.parts))
        first.setdefault(kind, attempt)
    others = [attempt for attempt in attempts if attempt not in first.values()]
    return [*first.values(), *others][:MAX_ARMS]


def _distinct(attempts: Sequence[Attempt]) -> list[Candidate]:
    return list({a.candidate.words: a.candidate for a in attempts}.values())


def _all(race: Race, arms: Sequence[Candidate], seeds: Sequence[int]) -> list[Settings]:
    return [race.base.replace({**arm.change, "seed": seed}) for arm in arms for seed in seeds]


def _affordable(
    race: Race, arms: list[Candidate], runs: Runs, clock: Clock, seeds: int
) -> list[int]:
    """Return the seeds that there is time for; with too little time arms are dropped first."""
    first = race.base.seed + 1
    chosen = list(range(first, first + seeds))
    while len(arms) > 1 + FAVOURITES and runs.expected(_all(race, arms, chosen)) > clock.left():
        race.left_out.append(f"{arms.pop().words} (in the proof)")
    while len(chosen) > FEWEST and runs.expected(_all(race, arms, chosen)) > clock.left():
        chosen.pop()
    return chosen


def _measure(
    race: Race, arms: Sequence[Candidate], runs: Runs, seeds: Sequence[int], tried: dict[str, Arm]
) -> None:
    wanted = {
        race.base.replace({**arm.change, "seed": seed}): (arm, seed)
        for arm in arms
        for seed in seeds
    }

    def name_of(settings: Settings) -> str:
        arm, seed = wanted[settings]
        return f"{arm.words or 'as given'} seed={seed}"

    results = runs.measure(list(wanted), name_of)
    for arm in arms:
        settings = race.base.replace(arm.change)
        own = [results.get(settings.replace({"seed": seed})) for seed in seeds]
        guess = race.guess  # a run that could not be made has shown nothing
        tried[arm.words] = Arm(
            arm,
            settings,
            np.array([guess if result is None else result.accuracy for result in own]),
            tuple("" if result is None else result.run_id for result in own),
        )
