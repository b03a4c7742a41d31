"""The whole diagnosis: rules look, a race tries, a proof decides."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from sgdprobe.config.settings import Settings
from sgdprobe.diagnosis.changes import fault_of
from sgdprobe.diagnosis.proof import SEEDS, Arm, Proof, prove
from sgdprobe.diagnosis.race import NEAR, Race
from sgdprobe.diagnosis.runs import Clock, Runs
from sgdprobe.provenance.environment import Environment
from sgdprobe.rules import RULES, Finding, findings
from sgdprobe.rules.course import Course
from sgdprobe.run.build import load_data
from sgdprobe.run.setup import TrainingSetup

# healthy: no change tried is far better. repaired: a smallest repair is proven. open: changes are
# far better, but none is proven to be enough. helpless: no change of a setting helps.
Verdict = Literal["healthy", "repaired", "open", "helpless"]

MIN_LEARNED = 0.1  # of the way from a guess to 100 %: below it a network has learned nothing


@dataclass(frozen=True)
class Question:
    """A recipe to diagnose, the time that the answer may take, and the accuracy that is enough.

    name : of the recipe. study : folder and MLflow experiment. reach : accuracy, 0 … 1, or None.
    """

    name: str
    recipe: str | None
    settings: Settings
    study: str
    minutes: float = 5.0
    reach: float | None = None
    seeds: int = SEEDS
    command: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """The answer.

    findings : of all rules, in their order. course : of the recipe's own run. remaining : the names
    of the findings before training that the smallest repair leaves; None without a repair.
    """

    question: Question
    findings: tuple[Finding, ...]
    course: Course
    race: Race
    proof: Proof
    seconds: float
    remaining: frozenset[str] | None = None

    @cached_property
    def verdict(self) -> Verdict:
        """The answer in a word."""
        proof = self.proof
        if proof.is_healthy:
            return "helpless" if self.conclusive or self.has_learned_nothing else "healthy"
        if proof.repairs:
            return "repaired"
        gain = float((proof.best.accuracies - proof.original.accuracies).mean())
        return "open" if gain >= NEAR or proof.gains(proof.best) else "helpless"

    @property
    def is_healthy(self) -> bool:
        """True if nothing is wrong that a rule could prove or a change repair."""
        return self.verdict == "healthy"

    @property
    def has_learned_nothing(self) -> bool:
        """True if the recipe is hardly better than a guess."""
        return learned_nothing(float(self.proof.original.accuracies.mean()), self.race.guess)

    @property
    def conclusive(self) -> list[Finding]:
        """Findings about data or gradient that hold whatever the settings."""
        return [found for found in self.findings if RULES[found.rule].conclusive]

    @property
    def suspected(self) -> list[str]:
        """The faults that rules suspect, each once."""
        return list(dict.fromkeys(found.fault for found in self.findings if found.fault))

    def faults_of(self, arm: Arm) -> list[str]:
        """Return the faults that an arm's changes repair."""
        base = self.question.settings
        return list(dict.fromkeys(fault_of(base, part) for part in arm.candidate.parts))

    @cached_property
    def faults(self) -> list[str]:
        """The faults by name, the surest first.

        Those that the data or the gradient prove; then those whose repair is proven, of equal
        repairs first those that a rule suspects. Where no change helps, those that rules suspect.
        """
        if self.is_healthy:
            return []
        named = [found.fault for found in self.conclusive]
        if self.verdict in ("repaired", "open"):
            arms = self.proof.repairs or [self.proof.best]
            repaired = [fault for arm in arms for fault in self.faults_of(arm)]
            named += sorted(repaired, key=lambda fault: fault not in self.suspected)
        else:
            named += self.suspected
        return list(dict.fromkeys(named))

    def agreement(self, found: Finding) -> str:
        """Return what the race says of a rule's suspicion: "confirmed", "refuted" or ""."""
        if not found.fault:
            return ""
        if found in self.conclusive:
            return "confirmed"
        if self.verdict in ("healthy", "helpless"):
            return "refuted" if self.is_healthy else ""
        arms = [arm for arm in self.proof.arms if len(arm) and self.proof.gains(arm)]
        return "confirmed" if any(found.fault in self.faults_of(arm) for arm in arms) else "refuted"


def learned_nothing(accuracy: float, guess: float) -> bool:
    """Return True for an accuracy that is hardly better than that of a guess."""
    return accuracy < guess + MIN_LEARNED * (1 - guess)


def diagnose(question: Question, tell: Callable[[str], None]) -> Diagnosis:
    """Diagnose a recipe. tell : called with a line about each phase, and about deaths of workers.

    Raises UserError.
    """
    settings = question.settings
    clock = Clock(60 * question.minutes)
    found = _before_training(settings)
    tell(f"rules before training: {', '.join(f.name for f in found) or 'nothing found'}")
    runs = Runs(settings, question.recipe, question.study, tell)
    race = Race(settings, runs, clock, question.reach)
    race.begin()
    course = runs.course(settings)
    found += findings("after", course)
    race.run([repair for one in found for repair in one.repairs], tell)
    proof = prove(race, runs, clock, question.seeds)
    remaining = None
    if proof.repairs:
        left = _before_training(proof.repairs[0].settings)
        remaining = frozenset(one.name for one in left)
    return Diagnosis(question, tuple(found), course, race, proof, clock.spent, remaining)


def _before_training(settings: Settings) -> list[Finding]:
    """Return what the rules find before training."""
    with Environment().single_threaded_blas():
        evidence = TrainingSetup.of(settings, load_data(settings)).evidence()
        return [*findings("before", evidence), *findings("diagnosis", evidence)]
