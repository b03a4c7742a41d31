"""The race: which changes of a recipe help, found by short paired runs.

All runs of the race have the recipe's seed, so that they differ by the change alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import inf

from sgdprobe.config.formatting import counted, percent
from sgdprobe.config.settings import Settings
from sgdprobe.diagnosis.changes import (
    LENGTH,
    RATE_FACTORS,
    distinct,
    merged,
    neighbourhood,
    of_length,
    textbook,
    updates_of,
    words_of,
)
from sgdprobe.diagnosis.runs import Clock, Result, Runs
from sgdprobe.errors import UserError
from sgdprobe.rules import Change
from sgdprobe.rules.rule import scaled
from sgdprobe.run.build import load_data, train_images

NEAR = 0.05  # of accuracy: this far below the best found a recipe is good enough
MIN_GAIN = 0.005  # of accuracy: a larger set must gain this
SHORTEST_S = 0.6  # of training: a shorter run saves little, since recording takes half of that
RUNGS = (8, 4, 2)  # parts of the whole length, in turn
KEPT = 2  # one in so many survives a rung
WAKING = 1.5  # times: the first layer's gradient grows, so the network is waiting, not stuck
GUESSING = 1.5  # times the accuracy of a guess
BEAM = 4  # sets that are extended
PARTNERS = 7  # single changes to extend them by
MAX_CHANGES = 6
FOR_SINGLES, FOR_SETS = 0.4, 0.62  # of the time, after which these phases end


@dataclass(frozen=True)
class Candidate:
    """A set of single changes of a recipe; empty for the recipe itself.

    suspected : a rule suggested one of the changes.
    """

    parts: tuple[Change, ...] = ()
    suspected: bool = False

    @property
    def change(self) -> Change:
        """All changes in one."""
        return merged(self.parts) or {}

    @property
    def words(self) -> str:
        """The changes as they are typed."""
        return words_of(self.change)

    def __len__(self) -> int:
        return len(self.parts)


@dataclass(frozen=True)
class Attempt:
    """A measured candidate. part : the length, as a share of the recipe's own."""

    candidate: Candidate
    result: Result
    part: float = 1.0

    @property
    def accuracy(self) -> float:
        """Test accuracy, 0 … 1."""
        return self.result.accuracy


@dataclass
class Race:
    """All that was tried, and what was left out for lack of time."""

    base: Settings
    runs: Runs
    clock: Clock
    reach: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        data = load_data(self.base)
        self.updates = updates_of(self.base, train_images(self.base, data))
        self.guess = 1 / data.classes
        self.usual = Candidate(tuple(textbook(self.base, self.updates)))

    def begin(self) -> None:
        """Run the recipe as given and, beside it, with textbook values.

        Raises UserError if the recipe fails for a reason of its own.
        """
        tried = self._measure([Candidate(), self.usual])
        if all(attempt.candidate.parts for attempt in tried):
            raise UserError("the recipe as given could not be run: train.py says why")

    def run(self, suggested: Sequence[Change], tell: Callable[[str], None]) -> None:
        """Run the race. suggested : by rules, the likeliest first. tell : called at each phase."""
        singles = self._singles(suggested)
        tell(f"race: {counted(len(singles), 'single change')}")
        alive = self._rungs(singles)
        self._measure(alive, until=FOR_SINGLES)
        self._tune_rate(self.usual)
        self._tune_rate(self.best.candidate)
        if not self.is_solved(1):
            tell(f"no single change comes near {percent(self.best.accuracy)}: sets of changes")
            self._sets()
            self._tune_rate(self.best.candidate)
            self._leave_out([self.usual, self.best.candidate])

    # What is known.

    @property
    def full(self) -> list[Attempt]:
        """Attempts at the recipe's whole length, each candidate once."""
        return [attempt for attempt in self.attempts if attempt.part == 1.0]

    @property
    def original(self) -> Attempt:
        """The recipe as given."""
        return next(attempt for attempt in self.full if not attempt.candidate.parts)

    def favourites(self, count: int) -> list[Attempt]:
        """Return the best attempts; of equal ones those with the fewest changes first."""
        return sorted(self.full, key=lambda a: (-a.accuracy, len(a.candidate)))[:count]

    @property
    def best(self) -> Attempt:
        """The best attempt."""
        return self.favourites(1)[0]

    @property
    def enough(self) -> float:
        """The accuracy that is good enough: asked for, or near the best found."""
        return self.best.accuracy - NEAR if self.reach is None else self.reach

    def sufficient(self) -> list[Attempt]:
        """Return the attempts that are good enough, fewest changes first, then suspected ones."""
        good = [attempt for attempt in self.full if attempt.accuracy >= self.enough]
        return sorted(
            good,
            key=lambda a: (len(a.candidate), not a.candidate.suspected, -a.accuracy),
        )

    def is_solved(self, changes: int) -> bool:
        """Return True if so many changes, or fewer, are good enough."""
        return any(len(attempt.candidate) <= changes for attempt in self.sufficient())

    # The phases.

    def _singles(self, suggested: Sequence[Change]) -> list[Candidate]:
        """Return all single changes, those that rules suggest first."""
        first = distinct(self.base, suggested)
        every = distinct(self.base, [*first, *neighbourhood(self.base, self.updates)])
        return [Candidate((change,), suspected=change in first) for change in every]

    def _rungs(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Reject candidates in short runs, half at a time; return the survivors."""
        alive = list(candidates)
        for part in RUNGS:
            if self.runs.seconds_of_training / part < SHORTEST_S or len(alive) <= BEAM:
                continue
            tried = self._measure(alive, part=1 / part, until=FOR_SINGLES)
            alive = self._survivors(tried)
        return alive

    def _survivors(self, tried: Sequence[Attempt]) -> list[Candidate]:
        """Return the better half, and those that have not begun to learn but will."""
        ranked = sorted(tried, key=lambda attempt: -attempt.accuracy)
        half = max(BEAM, len(ranked) // KEPT)
        late = [a for a in ranked[half:] if a.accuracy < GUESSING * self.guess]
        waking = self.runs.waking([attempt.result for attempt in late], WAKING)
        kept = {id(a) for a in ranked[:half]} | {id(a) for a in late if a.result in waking}
        return [attempt.candidate for attempt in tried if id(attempt) in kept]

    def _sets(self) -> None:
        """Join single changes into pairs, triples, … as long as a larger set gains."""
        singles = self._partners()
        level = [Candidate((change,)) for change in singles]
        best = self.best.accuracy
        for size in range(2, MAX_CHANGES + 1):
            wider = [self._joined(parent, change) for parent in level for change in singles]
            fresh = self._fresh(candidate for candidate in wider if candidate)
            measured = self._measure(fresh, until=FOR_SETS)
            if not measured:
                return
            ranked = sorted(measured, key=lambda attempt: -attempt.accuracy)
            level = [attempt.candidate for attempt in ranked[:BEAM]]
            if ranked[0].accuracy < best + MIN_GAIN or self.is_solved(size - 1):
                return
            best = max(best, ranked[0].accuracy)

    def _partners(self) -> list[Change]:
        """Return the best single changes, two of each setting at most."""
        ranked = sorted((a for a in self.full if len(a.candidate) == 1), key=lambda a: -a.accuracy)
        found: list[Change] = []
        counts: dict[tuple[str, ...], int] = {}
        for attempt in ranked:
            (change,) = attempt.candidate.parts
            keys = tuple(sorted(key for key in change if key not in LENGTH))
            counts[keys] = counts.get(keys, 0) + 1
            if counts[keys] <= 2 and len(found) < PARTNERS:
                found.append(change)
        return found

    def _joined(self, parent: Candidate, change: Change) -> Candidate | None:
        """Return the set with one more change, unless two of them are about the same setting."""
        keys = {key for part in parent.parts for key in part}
        if keys & {*change}:
            return None
        parts = (*parent.parts, change)
        return Candidate(tuple(sorted(parts, key=words_of)), self._is_suspected(parts))

    def _is_suspected(self, parts: Iterable[Change]) -> bool:
        suspected = [
            a.candidate.parts[0]
            for a in self.attempts
            if a.candidate.suspected and len(a.candidate) == 1
        ]
        return all(part in suspected for part in parts)

    def _tune_rate(self, candidate: Candidate) -> None:
        """Try a set at other learning rates."""
        key = "training.learning_rate"
        rate = candidate.change.get(key, self.base.training.learning_rate)
        others = [part for part in candidate.parts if key not in part]
        if any(key in part and len(part) > 1 for part in candidate.parts):
            return
        tuned = [
            Candidate(tuple(sorted([*others, {key: scaled(rate, factor)}], key=words_of)))
            for factor in RATE_FACTORS[1:-1]
        ]
        self._measure(self._fresh(tuned), until=FOR_SETS)

    def _leave_out(self, candidates: Sequence[Candidate]) -> None:
        """Leave out changes of good sets, one after another, as long as they stay good."""
        level = [c for c in candidates if len(c) > 1]
        while level:
            smaller = [
                Candidate(parts, self._is_suspected(parts))
                for candidate in level
                for parts in combinations(candidate.parts, len(candidate) - 1)
            ]
            self._measure(self._fresh(smaller), until=FOR_SETS)
            names = {candidate.words for candidate in smaller}
            good = [a for a in self.sufficient() if a.candidate.words in names]
            level = [a.candidate for a in good if len(a.candidate) > 1][:BEAM]

    def _fresh(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Return the candidates that were not tried at the whole length, each once."""
        known = {attempt.candidate.words for attempt in self.full}
        return list({c.words: c for c in candidates if c.words not in known}.values())

    # Measuring.

    def _settings(self, candidate: Candidate, part: float) -> Settings:
        changed = self.base.replace(candidate.change)
        if part == 1.0:
            return changed
        images = train_images(changed, load_data(changed))
        return changed.replace(of_length(max(1, round(part * updates_of(changed, images)))))

    def _measure(
        self, candidates: Sequence[Candidate], part: float = 1.0, until: float = inf
    ) -> list[Attempt]:
        """Measure candidates at a part of the whole length, as many as the time allows.

        until : the share of all time after which no more begin. The others are left out, and named.
        """
        possible = distinct_candidates(self.base, candidates)
        wanted = {c.words: self._settings(c, part) for c in possible}
        kept = dict(wanted)
        while kept and self.runs.expected(list(kept.values())) > self.clock.left(until):
            name, _ = kept.popitem()
            self.left_out.append(
                name if part == 1.0 else f"{name} (1/{1 / part:.0f} of the length)"
            )
        names = {settings: words for words, settings in kept.items()}
        seed = f"seed={self.base.seed}"
        short = "" if part == 1.0 else f" 1/{1 / part:.0f}"
        results = self.runs.measure(
            list(names), lambda settings: f"{names[settings] or 'as given'}{short} {seed}"
        )
        by_words = {names[settings]: result for settings, result in results.items()}
        made = [Attempt(c, by_words[c.words], part) for c in possible if c.words in by_words]
        self.attempts += made
        return made


def distinct_candidates(base: Settings, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that can be made, each once."""
    possible = [c for c in candidates if not c.parts or distinct(base, [c.change])]
    return list({candidate.words: candidate for candidate in possible}.values())
