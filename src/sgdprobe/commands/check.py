"""Check a network class of the user's, and say which line to look at."""

import ast
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from sgdprobe.commands.answers import JSON_HELP, answer, answering
from sgdprobe.commands.cli import Parser
from sgdprobe.config.formatting import terminal_columns
from sgdprobe.errors import EXIT_FAILED, UserError
from sgdprobe.own.checks import Result, examine
from sgdprobe.own.network import SIZES, NetworkClass
from sgdprobe.own.problem import Problem
from sgdprobe.provenance.command import command_line

INDENT = " " * 10


def main(words: Sequence[str]) -> int:
    """Check a class and print what is wrong. Returns 0, or 1 where a check failed.

    Raises UserError for a class that cannot be loaded or made.
    """
    given = parser().parse_args(words)
    with answering(given.json):
        network = NetworkClass.load(given.network, sizes(given.sizes), named(given.given))
        results = []
        for result in examine(network):
            results.append(result)
            print(*result_lines(result), sep="\n")
        print(*last_lines(network, results), sep="\n")
        answer(as_json(network, results))
    return EXIT_FAILED if any(result.problems for result in results) else 0


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(
        prog=command_line("check"),
        description="Check a network class with the book's interface: params, predict(x), "
        "loss(x, t), gradient(x, t).",
        epilog="exit codes: 0 all right, 1 a check failed, 2 the class cannot be loaded or made",
    )
    add = options.add_argument
    add("network", metavar="FILE.py:CLASS", help="the class; MODULE:CLASS works too")
    add(
        "--sizes",
        metavar="INPUT,HIDDEN,OUTPUT",
        default=",".join(map(str, SIZES)),
        help="sizes for its constructor; default: %(default)s, which is checked on MNIST",
    )
    add(
        "--with",
        dest="given",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="another argument for its constructor; may be given again",
    )
    add("--json", action="store_true", help=JSON_HELP)
    return options


def sizes(text: str) -> list[int]:
    """Return three sizes. Raises UserError."""
    parts = text.split(",")
    if len(parts) != len(SIZES) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UserError(f"--sizes must be three integers above 0, such as 784,50,10; got {text}")
    return [int(part) for part in parts]


def named(words: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of --with: Python's literals, or text. Raises UserError."""
    found = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"--with must be NAME=VALUE; got {word}")
        try:
            found[name] = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            found[name] = text
    return found


def result_lines(result: Result) -> list[str]:
    """Return the lines that show one check, at most 80 characters wide."""
    shown = "FAILED" if result.problems else result.status
    lines = [f"{shown:<8}  {result.check.name}: {result.check.words}"]
    for problem in result.problems:
        lines += _problem_lines(problem)
    return lines + [line for note in result.notes for line in _wrapped(f"note: {note}")]


def _problem_lines(problem: Problem) -> list[str]:
    lines = _wrapped(problem.what)
    if problem.place:
        lines += [f"{INDENT}look at {problem.place.file}:{problem.place.line}"]
        lines += [f"{INDENT}    {problem.place.code}"] * bool(problem.place.code)
    return [
        *lines,
        *_wrapped(f"expected: {problem.expected}"),
        *_wrapped(f"found:    {problem.found}"),
    ]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        terminal_columns(),
        initial_indent=INDENT,
        subsequent_indent=f"{INDENT}  ",
        break_long_words=False,
    )


def last_lines(network: NetworkClass, results: Sequence[Result]) -> list[str]:
    """Return the result in a sentence, and what to do next."""
    problems = [problem for result in results for problem in result.problems]
    if not problems:
        return [f"{network.kind.__name__}: all {len(results)} checks passed"]
    failed = sum(bool(result.problems) for result in results)
    skipped = sum(result.status == "skipped" for result in results)
    rest = f", {skipped} skipped" if skipped else ""
    first = problems[0]
    where = f", {first.place.file}:{first.place.line}" if first.place else ""
    count = f"{network.kind.__name__}: {failed} of {len(results)} checks failed{rest}"
    then = "; what fails after it may follow from it" if failed > 1 else ""
    advice = f"mend first{where}: {first.what}{then}"
    return [count, *textwrap.wrap(advice, terminal_columns(), break_long_words=False)]


def as_json(network: NetworkClass, results: Sequence[Result]) -> dict[str, Any]:
    """Return the results with the keys that the reference documents."""
    return {
        "class": network.name,
        "file": str(network.file),
        "passed": not any(result.problems for result in results),
        "checks": [
            {
                "name": result.check.name,
                "status": result.status,
                "problems": [_as_json(problem) for problem in result.problems],
                "notes": list(result.notes),
            }
            for result in results
        ],
    }


def _as_json(problem: Problem) -> Mapping[str, Any]:
    place = problem.place
    return {
        "what": problem.what,
        "expected": problem.expected,
        "found": problem.found,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "code": place.code if place else None,
    }
