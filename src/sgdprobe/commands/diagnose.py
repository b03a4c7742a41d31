"""Diagnose one recipe: what is wrong, and which smallest change is proven to repair it."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdprobe import reports, tracking
from sgdprobe.commands.answers import JSON_HELP, answer, answering
from sgdprobe.commands.cli import Parser
from sgdprobe.commands.console import plain_console, print_numerical
from sgdprobe.config.arguments import check_keys, check_recipe, recipes
from sgdprobe.config.compose import open_composer
from sgdprobe.config.settings import OPERATIONAL, Settings
from sgdprobe.diagnosis.diagnosis import Diagnosis, Question, diagnose
from sgdprobe.errors import EXIT_FAILED, StoreError, UserError, one_line
from sgdprobe.paths import OWN_CONF, study_folder
from sgdprobe.provenance.command import command_line
from sgdprobe.provenance.environment import pin_cpu_kernels
from sgdprobe.run.build import load_data
from sgdprobe.run.job import NO_RECIPE

DESCRIPTION = "Say what is wrong with one recipe, and which smallest change is proven to repair it."
MIN_SEEDS = 2


def main(arguments: Sequence[str]) -> int:
    """Diagnose, write the report and print the answer. Returns the exit code.

    1 where something is wrong that no change is proven to repair. Raises UserError.
    """
    given = parser().parse_intermixed_args(arguments)
    check_options(given)
    with answering(given.json):
        return _diagnose(given, arguments)


def _diagnose(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    asked = compose(given.words)
    name, settings = asked.name, asked.settings
    study = given.study or f"diagnose-{name}"
    words = [word for word in arguments if word not in ("--force", "--json", "--write")]
    question = Question(
        name,
        asked.recipe,
        settings,
        study,
        given.minutes,
        None if given.reach is None else given.reach / 100,
        given.seeds,
        command_line("diagnose", *words),
    )
    folder = study_folder(study)
    repaired = OWN_CONF / "experiment" / f"{name}-repaired.yaml"
    if given.write and repaired.exists() and not given.force:
        raise UserError(f"{repaired} exists; --force replaces it")
    reports.check_folder(folder, question.command, given.force)
    pin_cpu_kernels(settings.bits)
    load_data(settings)
    console = plain_console()
    print_numerical([settings], console)
    found = diagnose(question, console.print)
    answer(reports.as_json(found))
    tell = console.print
    for line in reports.answer_lines(found):
        tell(line)
    code = _report(found, folder, tell)
    if given.write:
        _write_recipe(found, asked.typed, repaired, tell)
    return code or (found.verdict in ("open", "helpless"))


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(prog=command_line("diagnose"), description=DESCRIPTION)
    add = options.add_argument
    add(
        "words",
        nargs="*",
        metavar="RECIPE | KEY=VALUE",
        help="a recipe, then settings, as train.py",
    )
    add("--minutes", metavar="M", type=float, default=5.0, help="time of the search; default: 5")
    add("--reach", metavar="PERCENT", type=float, help="accuracy that is good enough")
    add("--seeds", metavar="N", type=int, default=5, help="runs of each claim; default: 5")
    add("--study", metavar="NAME", help="folder in experiments/; default: diagnose-RECIPE")
    add("--write", action="store_true", help="write conf/experiment/RECIPE-repaired.yaml")
    add("--json", action="store_true", help=JSON_HELP)
    add("--force", action="store_true", help="replace another report, or the repaired recipe")
    return options


def check_options(given: argparse.Namespace) -> None:
    """Raise UserError for an option's value that no diagnosis can have."""
    if not 0 < given.minutes <= 24 * 60:
        raise UserError(f"--minutes must be above 0 and at most 1440; got {given.minutes:g}")
    if given.reach is not None and not 0 < given.reach <= 100:
        raise UserError(f"--reach must be a percentage above 0, at most 100; got {given.reach:g}")
    if given.seeds < MIN_SEEDS:
        raise UserError(
            f"--seeds must be at least {MIN_SEEDS}, since one run has no interval; "
            f"got {given.seeds}"
        )


@dataclass(frozen=True)
class Recipe:
    """The recipe on the command line: its own settings, and those with the words typed after it."""

    name: str
    recipe: str | None
    own: Settings
    settings: Settings

    @property
    def typed(self) -> dict[str, Any]:
        """The settings that the words change."""
        own, flat = self.own.flat(), self.settings.flat()
        return {k: flat[k] for k in flat if flat[k] != own[k] and k not in OPERATIONAL}


def compose(words: Sequence[str]) -> Recipe:
    """Return the recipe and the settings of the words. Raises SettingsError."""
    bare = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    if len(bare) > 1:
        raise UserError(f"give one recipe; got {', '.join(bare)}")
    for name in bare:
        check_recipe(name, recipes())
    check_keys(overrides)
    chosen = [f"experiment={name}" for name in bare]
    with open_composer() as composer:
        own, composed = (composer.compose(part) for part in (chosen, [*chosen, *overrides]))
    if composed.is_sweep:
        raise UserError(f"{bare[0]}: this recipe is a sweep; choose a recipe of a single run")
    recipe = composed.recipe
    return Recipe(recipe or NO_RECIPE, recipe, own.settings, composed.settings)


def _report(found: Diagnosis, folder: Path, tell: Callable[[str], None]) -> int:
    """Write the report, keep its page in the store, say where both are. Returns the exit code."""
    runs, proof = found.race.runs, found.proof
    curves = {arm.candidate.words: runs.curves(arm.run_ids) for arm in proof.arms}
    try:
        page, *others = reports.write_diagnosis(reports.DiagnosisPage(found, curves), folder)
    except OSError as error:
        sys.stderr.write(f"no report in {folder}, but all runs are recorded: {one_line(error)}\n")
        return EXIT_FAILED
    for file in (page, *others):
        tell(str(file))
    run = runs.recorded(proof.original.run_ids[0])
    try:
        address = tracking.log_report(runs.base.tracking.uri, run, page, runs.study)
    except StoreError as error:  # the report is written; only its copy in the store is missing
        tell(f"the page is not in MLflow: {error}")
        return EXIT_FAILED
    tell(f"in MLflow: {address}")
    return 0


def _write_recipe(
    found: Diagnosis, typed: Mapping[str, Any], file: Path, tell: Callable[[str], None]
) -> None:
    """Write the recipe with its smallest repair, and the reason in its head."""
    if found.verdict != "repaired":
        tell(f"no {file.name}: {found.verdict}")
        return
    question, proof, arm = found.question, found.proof, found.proof.repairs[0]
    before, after = (proof.accuracy(one).mean for one in (proof.original, arm))
    defaults = f"defaults:\n  - {question.recipe}\n  - _self_\n" if question.recipe else ""
    lines = reports.yaml_lines({**typed, **arm.candidate.change})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "# @package _global_\n"
        f"# {question.name}, repaired: {', '.join(found.faults_of(arm))}. Test accuracy "
        f"{100 * before:.1f} % -> {100 * after:.1f} %,\n"
        f"# means of {len(proof.seeds)} seeds. Found by: {question.command}\n"
        f"#   {command_line('train', file.stem)}\n{defaults}" + "\n".join(lines) + "\n"
    )
    tell(f"written: {file}; type {command_line('train', file.stem)}")
