"""What a person asks of explain.py: the command line, read and checked."""

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from sgdprobe.refusal import Refusal

DESCRIPTION = "Explain a gap: which difference between two recipes makes which part of it."


@dataclass(frozen=True)
class Request:
    """Two recipes and how to compare them. Accuracies are shares, 0 … 1.

    fixed, varied : words of Hydra's grammar, KEY=VALUE for both ends and KEY=a,b, one for each.
    """

    first: str
    second: str
    study: str
    factors: tuple[str, ...]
    fixed: tuple[str, ...]
    varied: tuple[str, ...]
    seeds: int
    claim: float | None
    tolerance: float | None
    force: bool
    run: bool
    command: str


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, like every other refusal."""

    def error(self, message: str) -> NoReturn:
        """Raises Refusal."""
        raise Refusal(f"{message}; --help lists what can be asked")


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
    add("--seeds", metavar="N", type=int, default=10, help="runs of each cell; default: 10")
    add("--claim", metavar="PERCENT", type=float, help="what FIRST is said to reach")
    add("--tolerance", metavar="POINTS", type=float, help="how far from it the mean may lie")
    add("--force", action="store_true", help="run even with more than 7 factors")
    add("--no-run", action="store_true", help="only from runs that are recorded already")
    return options


def read(arguments: Sequence[str]) -> Request:
    """The request in these words. Raises Refusal."""
    given = parser().parse_args(arguments)
    _check(given)
    spoken = [word for word in arguments if word not in ("--force", "--no-run")]
    return Request(
        first=given.first,
        second=given.second,
        study=given.study or f"explain-{given.first}-{given.second}",
        factors=tuple(given.factors.split(",")) if given.factors else (),
        fixed=tuple(given.fix),
        varied=tuple(given.varied),
        seeds=given.seeds,
        claim=None if given.claim is None else given.claim / 100,
        tolerance=None if given.tolerance is None else given.tolerance / 100,
        force=given.force,
        run=not given.no_run,
        command=shlex.join(["python", "src/explain.py", *spoken]),
    )


def _check(given: argparse.Namespace) -> None:
    if given.seeds < 2:
        raise Refusal(f"--seeds must be at least 2, or nothing has an interval; got {given.seeds}")
    for name in ("claim", "tolerance"):
        value = getattr(given, name)
        if value is not None and not 0 <= value <= 100:
            raise Refusal(f"--{name} must be a percentage from 0 to 100; got {value:g}")
    if given.study and not re.fullmatch(r"\w[\w.-]*", given.study):
        raise Refusal(f"--study must be a folder's name; got {given.study!r}")
