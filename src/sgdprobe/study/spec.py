"""What a person asks of explain.py: the command line, read and checked."""

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from sgdprobe.config.recipe_pair import RecipePair
from sgdprobe.config.settings import Settings, unknown_setting
from sgdprobe.errors import UserError
from sgdprobe.paths import study_folder

DESCRIPTION = "Explain a gap: which difference between two recipes makes which part of it."


@dataclass(frozen=True)
class StudySpec:
    """Two recipes and how to compare them. Accuracies are shares, 0 … 1.

    fixed, varied : words of Hydra's grammar, KEY=VALUE for both ends and KEY=a,b, one for each.
    tune : KEY=a,b,c, values of which every cell is to have its best; None for none.
    """

    baseline: str
    target: str
    study: str
    factors: tuple[str, ...]
    fixed: tuple[str, ...]
    varied: tuple[str, ...]
    tune: str | None
    seeds: int
    claim: float | None
    tolerance: float | None
    force: bool
    run: bool
    command: str

    @property
    def pair(self) -> RecipePair:
        """The two recipes, to be composed."""
        return RecipePair(self.baseline, self.target, self.fixed, self.varied)

    @property
    def tuned_key(self) -> str:
        """The setting that is tuned; empty where none is."""
        return (self.tune or "").partition("=")[0]

    def per_tuned_value(self) -> "list[StudySpec]":
        """The same request with each value of the tuned setting in both recipes."""
        if self.tune is None:
            return []
        key = self.tuned_key
        fixed, varied = (
            tuple(word for word in words if word.partition("=")[0] != key)
            for words in (self.fixed, self.varied)
        )
        return [
            replace(self, fixed=(*fixed, f"{key}={value}"), varied=varied)
            for value in _values(self.tune)
        ]


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, like every other refusal."""

    def error(self, message: str) -> NoReturn:
        """Raises Refusal."""
        raise UserError(f"{message}; --help lists what can be asked")


def parser() -> Parser:
    """The options, with what each does."""
    options = Parser(prog="explain.py", description=DESCRIPTION)
    add = options.add_argument
    add("first", help="the recipe whose result is to be explained")
    add("second", help="the recipe it is compared with")
    add("--study", metavar="NAME", help="folder in experiments/; default: explain-FIRST-SECOND")
    add("--factors", metavar="A,B", help="only these differences; the rest stays as in FIRST")
    add("--fix", metavar="KEY=VALUE", action="append", default=[], help="the same in both recipes")
    add(
        "--with",
        metavar="KEY=a,b",
        action="append",
        default=[],
        dest="varied",
        help="one more difference: a in FIRST, b in SECOND",
    )
    add(
        "--tune",
        metavar="KEY=a,b,c",
        action="append",
        default=[],
        help="each cell also at its best of these values, chosen on images held out",
    )
    add("--seeds", metavar="N", type=int, default=10, help="runs of each cell; default: 10")
    add("--claim", metavar="PERCENT", type=float, help="what FIRST is said to reach")
    add("--tolerance", metavar="POINTS", type=float, help="how far from it the mean may lie")
    add("--force", action="store_true", help="run even more than 7 factors make")
    add("--no-run", action="store_true", help="only from runs that are recorded already")
    return options


def read(arguments: Sequence[str]) -> StudySpec:
    """The request in these words. Raises Refusal."""
    given = parser().parse_args(arguments)
    _check(given)
    spoken = [word for word in arguments if word not in ("--force", "--no-run")]
    return StudySpec(
        baseline=given.first,
        target=given.second,
        study=given.study or f"explain-{given.first}-{given.second}",
        factors=tuple(given.factors.split(",")) if given.factors else (),
        fixed=tuple(given.fix),
        varied=tuple(given.varied),
        tune=given.tune[0] if given.tune else None,
        seeds=given.seeds,
        claim=None if given.claim is None else given.claim / 100,
        tolerance=None if given.tolerance is None else given.tolerance / 100,
        force=given.force,
        run=not given.no_run,
        command=shlex.join(["python", "src/explain.py", *spoken]),
    )


def _check(given: argparse.Namespace) -> None:
    if given.seeds < 2:
        raise UserError(
            f"--seeds must be at least 2, or nothing has an interval; got {given.seeds}"
        )
    for name in ("claim", "tolerance"):
        value = getattr(given, name)
        if value is not None and not 0 <= value <= 100:
            raise UserError(f"--{name} must be a percentage from 0 to 100; got {value:g}")
    for word in given.tune:
        _check_tune(word)
    if len(given.tune) > 1:
        raise UserError(f"--tune {given.tune[1]}: only one setting is tuned at a time")
    if given.study:
        study_folder(given.study)


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
        raise UserError(f"--tune {word}: two different values or more, KEY=a,b,c, are needed")


def _values(word: str) -> list[str]:
    """The values of KEY=a,b,c; a comma inside of brackets parts none."""
    return re.split(r",(?![^\[]*\])", word.partition("=")[2])
