"""The report of a diagnosis: page, table of all runs, and the lines of a terminal."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sgdprobe.config.formatting import counted, duration, format_value, percent
from sgdprobe.diagnosis.diagnosis import Diagnosis
from sgdprobe.diagnosis.proof import Arm
from sgdprobe.diagnosis.race import NEAR
from sgdprobe.reports import plotting as style
from sgdprobe.reports.answer import wrapped
from sgdprobe.reports.format import RUNS_FILE, interval, points
from sgdprobe.reports.inline import pictures
from sgdprobe.reports.recipe import recipe_yaml
from sgdprobe.reports.render import write_report
from sgdprobe.reports.tables import SEED, Column, documentation, to_csv
from sgdprobe.rules import FAULTS, RULES, Finding
from sgdprobe.study.intervals import Array

MAX_SHOWN = 3  # repairs in a terminal

VERDICTS = {
    "healthy": "nothing to repair",
    "repaired": "a repair is proven",
    "open": "better settings were found, but no repair is proven",
    "helpless": "no change of a setting helps",
}


@dataclass(frozen=True)
class DiagnosisPage:
    """A diagnosis and its learning curves, by the words of each arm's changes."""

    diagnosis: Diagnosis
    curves: Mapping[str, Array]

    @cached_property
    def arms(self) -> list[Arm]:
        """The recipe, the proven repairs, other candidates, and the best found."""
        proof = self.diagnosis.proof
        known = [proof.original, *proof.repairs]
        return [*known, *(arm for arm in proof.arms if arm not in known)]

    def words(self, arm: Arm) -> str:
        """The name of an arm."""
        return arm.candidate.words or "as given"

    def role(self, arm: Arm) -> str:
        """The part that an arm has in the answer, such as "smallest repair"."""
        proof = self.diagnosis.proof
        roles = ["recipe"] if arm is proof.original else []
        roles += ["smallest repair"] if arm in proof.repairs else []
        roles += ["best found"] if arm is proof.best else []
        return ", ".join(roles) or "candidate"

    def mark(self, arm: Arm) -> style.Mark:
        """Return the tooltip and the link of an arm's curve."""
        proof = self.diagnosis.proof
        seeds = counted(len(proof.seeds), "seed")
        text = f"{self.words(arm)}: {interval(proof.accuracy(arm))}, {seeds}"
        return style.Mark(text, f"arm-{self.arms.index(arm) + 1}")

    def faults(self, arm: Arm) -> list[str]:
        """The faults that an arm repairs."""
        return self.diagnosis.faults_of(arm)

    def recipe(self, arm: Arm) -> str:
        """The lines of a recipe that an arm changes, in YAML."""
        question, change = self.diagnosis.question, arm.candidate.change
        before = question.settings.flat()
        comments = {key: f"was {format_value(before[key])}" for key in change}
        return recipe_yaml(question.recipe or "", change, comments)

    @property
    def sizes(self) -> list[tuple[int, Any]]:
        """The best attempt of the race for each number of changes."""
        best: dict[int, Any] = {}
        for attempt in self.diagnosis.race.full:
            size = len(attempt.candidate)
            if size not in best or attempt.accuracy > best[size].accuracy:
                best[size] = attempt
        return sorted(best.items())


def yaml_lines(change: Mapping[str, Any]) -> list[str]:
    """Return changes as lines of a recipe, one for each block: init: {scheme: he, scale: 1}."""
    blocks: dict[str, list[str]] = {}
    for key, value in change.items():
        block, _, name = key.rpartition(".")
        blocks.setdefault(block, []).append(f"{name}: {format_value(value)}")
    own = blocks.pop("", [])
    return [*own, *(f"{block}: {{{', '.join(rows)}}}" for block, rows in blocks.items())]


def answer_lines(diagnosis: Diagnosis) -> list[str]:
    """Return the answer in about ten lines that fit a terminal."""
    proof, name = diagnosis.proof, diagnosis.question.name
    seeds = counted(len(proof.seeds), "seed")
    lines = [
        f"{name}: test accuracy {interval(proof.accuracy(proof.original))} ({seeds}); "
        f"best found {interval(proof.accuracy(proof.best))}"
    ]
    named = [f"{FAULTS[fault]} ({fault})" for fault in diagnosis.faults]
    if diagnosis.is_healthy:
        limit = (
            f"no change tried gains {100 * NEAR:.0f} points"
            if proof.reach is None
            else f"it reaches {percent(proof.reach)}"
        )
        lines.append(f"nothing to repair: {limit}")
    else:
        lines.append(f"fault: {'; '.join(named[:4]) or 'not known'}")
    lines += [f"  {found.text}" for found in diagnosis.conclusive]
    repairs = proof.repairs if diagnosis.verdict == "repaired" else []
    for arm in repairs[:MAX_SHOWN]:
        word = "smallest repair" if arm is repairs[0] else "equivalent"
        lines.append(
            f"{word}: {arm.candidate.words}: {interval(proof.accuracy(arm))}, "
            f"gain {points(proof.gain(arm))}"
        )
    if len(repairs) > MAX_SHOWN:
        lines.append(f"and {len(repairs) - MAX_SHOWN} more of this size")
    if diagnosis.verdict == "open":
        lines.append(f"no repair is proven; best found: {proof.best.candidate.words}")
    elif diagnosis.verdict == "helpless":
        lines.append(f"no change of a setting helps, {len(diagnosis.race.full) - 1} were tried")
    elif diagnosis.verdict == "repaired" and proof.best not in repairs:
        kinds = ", ".join(diagnosis.faults_of(proof.best))
        lines.append(f"best found: {proof.best.candidate.words} ({kinds})")
    tried = len(diagnosis.race.full) - 1
    left = diagnosis.race.left_out
    note = f"; left out for lack of time: {len(left)}, more with --minutes" if left else ""
    lines.append(f"{tried} changes tried in {duration(diagnosis.seconds)}{note}")
    return [part for line in lines for part in wrapped(line)]


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the answer for scripts."""
    proof = diagnosis.proof

    def arm(one: Arm) -> dict[str, Any]:
        mean, gain = proof.accuracy(one), proof.gain(one)
        return {
            "changes": dict(one.candidate.change),
            "faults": diagnosis.faults_of(one),
            "accuracy": mean.mean,
            "interval": None if mean.is_tied else [mean.low, mean.high],
            "gain": gain.mean,
            "gain_interval": None if gain.is_tied else [gain.low, gain.high],
            "run_ids": list(one.run_ids),
        }

    return {
        "recipe": diagnosis.question.name,
        "verdict": diagnosis.verdict,
        "faults": diagnosis.faults,
        "findings": [
            {
                "rule": found.name,
                "fault": found.fault,
                "text": found.text,
                "race": diagnosis.agreement(found),
            }
            for found in diagnosis.findings
        ],
        "as_given": arm(proof.original),
        "repairs": [arm(one) for one in proof.repairs] if diagnosis.verdict == "repaired" else [],
        "best": arm(proof.best),
        "seeds": list(proof.seeds),
        "left_out": diagnosis.race.left_out,
        "seconds": diagnosis.seconds,
    }


@dataclass(frozen=True)
class Row:
    """A run in cells.csv."""

    phase: str
    changes: str
    count: int
    part: float
    seed: int
    test_accuracy: float
    diverged: str
    run_id: str


COLUMNS = [
    Column(name, description, attrgetter(name))
    for name, description in {
        "phase": "race: one seed, to find candidates; proof: seeds of its own",
        "changes": "settings that differ from the recipe; empty for the recipe",
        "count": "number of single changes",
        "part": "length of the run, as a share of the recipe's own",
        "seed": SEED,
        "test_accuracy": "on all test images, 0 … 1; that of a guess for a run that diverged",
        "diverged": "1 if the loss became NaN or infinite; only of the race",
        "run_id": "the run in MLflow",
    }.items()
]


def rows(diagnosis: Diagnosis) -> Iterator[Row]:
    """Yield all runs of a diagnosis."""
    seed = diagnosis.question.settings.seed
    for attempt in diagnosis.race.attempts:
        candidate, result = attempt.candidate, attempt.result
        yield Row(
            "race", candidate.words, len(candidate), attempt.part, seed,
            result.accuracy, str(int(result.diverged)), result.run_id,
        )  # fmt: skip
    for arm in diagnosis.proof.arms:
        for k, number in enumerate(diagnosis.proof.seeds):
            accuracy = float(arm.accuracies[k])
            words = arm.candidate.words
            yield Row("proof", words, len(arm), 1.0, number, accuracy, "", arm.run_ids[k])


def learning_curves(page: DiagnosisPage) -> Figure:
    """Draw test accuracy over epochs: the recipe, its smallest repair, the best found."""
    figure, axes = style.single(3.4)
    proof = page.diagnosis.proof
    arms = {id(arm): arm for arm in (proof.original, *proof.repairs[:1], proof.best)}
    for arm, line in zip(arms.values(), style.STYLES, strict=False):
        curve = page.curves[arm.candidate.words]
        if curve.size:
            style.mean_and_band(axes, curve, page.role(arm), line, page.mark(arm))
    axes.set(xlabel="epoch", ylabel="test accuracy")
    style.accuracy_over_epochs(axes)
    style.legend_above(figure, [axes])
    return figure


def write_diagnosis(page: DiagnosisPage, folder: Path) -> list[Path]:
    """Write the report of a diagnosis and return its files, the page first."""
    found = page.diagnosis
    facts = {
        "page_of": page,
        "found": found,
        "proof": found.proof,
        "race": found.race,
        "question": found.question,
        "faults": FAULTS,
        "rules": RULES,
        "near": NEAR,
        "verdict": VERDICTS[found.verdict],
        "columns": documentation(COLUMNS),
        "agreement": _agreement,
        "repaired": _repaired,
        "time": duration(found.seconds),
    }
    images = pictures(lambda: {"learning_curves.svg": learning_curves(page)})
    tables = {RUNS_FILE: to_csv(COLUMNS, rows(found))}
    return write_report(folder, "diagnosis.md.j2", facts, tables, images)


def _repaired(diagnosis: Diagnosis, found: Finding) -> str:
    """Say if a rule still speaks after the repair; rules about a whole run are not asked again."""
    if diagnosis.remaining is None or RULES[found.rule].stage == "after":
        return "–"
    return "speaks" if found.name in diagnosis.remaining else "silent"


def _agreement(diagnosis: Diagnosis, found: Finding) -> str:
    words = {"confirmed": "agrees", "refuted": "disagrees", "": "cannot say"}
    return words[diagnosis.agreement(found)]
