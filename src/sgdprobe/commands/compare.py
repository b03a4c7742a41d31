"""Show two recorded runs side by side, in the terminal and on a page."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from sgdprobe import reports, tracking
from sgdprobe.commands.answers import JSON_HELP, answer, answering
from sgdprobe.commands.cli import STORE_HELP, Parser
from sgdprobe.commands.console import print_contradictions, reading_store
from sgdprobe.errors import EXIT_FAILED, UserError, one_line
from sgdprobe.paths import report_folder
from sgdprobe.provenance.command import command_line

LEAST, MOST = 40, 80  # characters of the table
RUN_HELP = "a run: an id, its beginning, a name, or last"


def main(words: Sequence[str]) -> int:
    """Compare two runs. Returns the exit code.

    Raises UserError if a word names no run, or both the same.
    """
    given = parser().parse_args(words)
    with answering(given.json):
        pair = run_pair(given.first, given.second, given.uri)
        for line in table_lines(pair):
            print(line)
        print_contradictions(pair.runs)
        ids = [run.run_id[:8] for run in pair.runs]
        try:
            folder = report_folder("-".join(["compare", *ids]))
            page, *_ = reports.write_comparison(pair, folder, command_line("compare", *ids))
        except OSError as error:
            sys.stderr.write(f"no page: {one_line(error)}\n")
            answer(pair.facts())
            return EXIT_FAILED
        print(page)
        answer({**pair.facts(), "page": page})
    return 0


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(
        prog=command_line("compare"), description="Show two recorded runs side by side."
    )
    options.add_argument("first", metavar="RUN", help=RUN_HELP)
    options.add_argument("second", metavar="RUN", help=RUN_HELP)
    options.add_argument("--json", action="store_true", help=JSON_HELP)
    options.add_argument("--uri", help=STORE_HELP)
    return options


def run_pair(first: str, second: str, uri: str | None) -> "reports.RunPair":
    """Return two runs with every metric epoch by epoch. Raises UserError."""
    with reading_store():
        runs = tracking.connect(uri)
        found = [tracking.find_run(runs, word) for word in (first, second)]
        if found[0].run_id == found[1].run_id:
            raise UserError(f"{first} and {second} are the same run, {found[0].run_id}")
        both = [tracking.with_series(runs, [run], run.metrics)[0] for run in found]
    return reports.RunPair(*both)


def table_lines(pair: "reports.RunPair") -> Iterator[str]:
    """Yield the comparison as lines that fit the terminal, of 40 to 80 characters."""
    width = min(MOST, max(LEAST, shutil.get_terminal_size((MOST, 24)).columns))
    yield from textwrap.wrap(pair.sentence, width)
    rows = reports.comparison_lines(pair)
    left = min(max(len(row[0]) for row in rows), width // 3)
    each = (width - left - 4) // 2
    for row in rows:
        sized = zip(row, (left, each, each), strict=True)
        cells = [textwrap.wrap(text, size) or [""] for text, size in sized]
        for k in range(max(map(len, cells))):
            parts = [cell[k] if k < len(cell) else "" for cell in cells]
            yield f"{parts[0]:<{left}}  {parts[1]:<{each}}  {parts[2]}".rstrip()
    for run in pair.runs:
        for name, text in run.findings.items():
            line = f"{run.run_id[:8]} {name}: {text}"
            yield from textwrap.wrap(line, width, subsequent_indent="  ")
