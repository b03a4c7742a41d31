"""The question on the command line of explain.py: its options, checked."""

import argparse
import re
from collections.abc import Sequence

from sgdprobe.commands.answers import JSON_HELP
from sgdprobe.commands.cli import Parser
from sgdprobe.config.recipe_pair import RecipePair
from sgdprobe.config.settings import Settings, unknown_setting
from sgdprobe.errors import UserError
from sgdprobe.paths import study_folder
from sgdprobe.provenance.command import command_line
from sgdprobe.study.claim import claim_of
from sgdprobe.study.looks import MOST_SEEDS, planned
from sgdprobe.study.spec import StudySpec

DESCRIPTION = "Explain a gap: which difference between two recipes causes which part of it."


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(prog=command_line("explain"), description=DESCRIPTION)
    add = options.add_argument
    add("baseline", help="the recipe whose result is to be explained")
    add("target", help="the recipe it is compared with")
    add("--study", metavar="NAME", help="folder in experiments/; default: explain-BASELINE-TARGET")
    add(
        "--factors",
        metavar="A,B",
        type=_names,
        default=(),
        help="vary only these differences; others as in the baseline",
    )
    add(
        "--group",
        metavar="A,B",
        type=_names,
        action="append",
        default=[],
        help="make these differences one factor; may be given again",
    )
    add("--fix", metavar="KEY=VALUE", action="append", default=[], help="the same in both recipes")
    add(
        "--with",
        metavar="KEY=a,b",
        action="append",
        default=[],
        dest="varied",
        help="one more difference: a in the baseline, b in the target",
    )
    add(
        "--tune",
        metavar="KEY=a,b,c",
        action="append",
        default=[],
        help="each cell also at its best of these values, chosen on images held out",
    )
    add("--seeds", metavar="N", type=int, default=10, help="runs of each cell; default: 10")
    add(
        "--within",
        metavar="POINTS",
        type=float,
        help="add seeds, up to 100, until the interval of every share is within so many points",
    )
    add(
        "--screen",
        metavar="KEEP",
        type=int,
        help="many differences: find as many that matter most, and make the rest one factor",
    )
    add("--reach", metavar="PERCENT", type=float, help="accuracy below which a run is stuck")
    add("--claim", metavar="PERCENT", type=float, help="accuracy that the baseline should reach")
    add("--tolerance", metavar="POINTS", type=float, help="accepted distance of the mean from it")
    add("--force", action="store_true", help="run more than 7 factors make; replace another report")
    add("--no-run", action="store_true", help="use only runs that are recorded already")
    add("--json", action="store_true", help=JSON_HELP)
    return options


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split(","))


def check_options(given: argparse.Namespace) -> None:
    """Raise UserError for an option's value that no study can have."""
    if given.seeds < 2:
        raise UserError(
            f"--seeds must be at least 2, since one run has no interval; got {given.seeds}"
        )
    _check_percentages(given)
    for word in given.tune:
        _check_tune(word)
    if len(given.tune) > 1:
        raise UserError(f"--tune {given.tune[1]}: only one setting can be tuned at a time")
    if given.study:
        study_folder(given.study)
    for name, value in (("factors", given.factors), ("group", given.group), ("tune", given.tune)):
        if given.screen is not None and value:
            raise UserError(f"--{name} and --screen both choose the factors: give one of them")


def _check_percentages(given: argparse.Namespace) -> None:
    for name in ("claim", "tolerance", "reach", "within"):
        value = getattr(given, name)
        if value is not None and not 0 <= value <= 100:
            raise UserError(f"--{name} must be a percentage from 0 to 100; got {value:g}")
    if given.within == 0:
        raise UserError("--within must be greater than 0; got 0")
    if given.within and given.seeds > MOST_SEEDS:
        raise UserError(f"--within adds seeds up to {MOST_SEEDS}; got --seeds {given.seeds}")


def _check_tune(word: str) -> None:
    key, _, value = word.partition("=")
    if key not in Settings().flat():
        raise unknown_setting(key, value)
    if not Settings.traits(key).tunable:
        raise UserError(
            f"--tune {word}: this setting cannot be tuned; choose one of the data, network, "
            "init or training settings"
        )
    values = _values(word)
    if len(values) < 2 or len(set(values)) < len(values) or not all(values):
        raise UserError(f"--tune {word}: give at least two different values, KEY=a,b,c")


def _values(word: str) -> list[str]:
    """Return the values of KEY=a,b,c; a comma inside brackets does not separate."""
    return re.split(r",(?![^\[]*\])", word.partition("=")[2])


def recipe_pairs(given: argparse.Namespace) -> list[RecipePair]:
    """Return the two recipes as asked for, then with each value of the tuned setting in both."""

    def pair(fixed: Sequence[str], varied: Sequence[str]) -> RecipePair:
        return RecipePair(given.baseline, given.target, tuple(fixed), tuple(varied))

    pairs = [pair(given.fix, given.varied)]
    for tune in given.tune:
        key = tune.partition("=")[0]
        fixed, varied = (
            [word for word in words if word.partition("=")[0] != key]
            for words in (given.fix, given.varied)
        )
        pairs += [pair([*fixed, f"{key}={value}"], varied) for value in _values(tune)]
    return pairs


def study_spec(
    given: argparse.Namespace, arguments: Sequence[str], ends: tuple[str, str], written: Settings
) -> StudySpec:
    """Return the question that the options ask.

    ends : names of baseline and target. written : the baseline's recipe without any option.
    """
    claim, tolerance, reach, within = (
        None if percent is None else percent / 100
        for percent in (given.claim, given.tolerance, given.reach, given.within)
    )
    question = [word for word in arguments if word not in ("--force", "--no-run")]
    return StudySpec(
        name=given.study or f"explain-{given.baseline}-{given.target}",
        baseline=ends[0],
        target=ends[1],
        seeds=given.seeds,
        factors=given.factors,
        groups=tuple(given.group),
        tuned=given.tune[0].partition("=")[0] if given.tune else "",
        claim=claim_of(ends[0], claim, tolerance),
        reach=reach,
        within=within,
        looks=() if within is None else planned(given.seeds),
        command=command_line("explain", *question),
        recipe=given.baseline,
        written=written,
    )
