"""`sgdprobe COMMAND …`: the console script of an installed sgdprobe."""

import sys
from collections.abc import Sequence
from textwrap import fill

from sgdprobe.commands import COMMANDS, known_commands, start
from sgdprobe.config.formatting import did_you_mean, terminal_columns
from sgdprobe.errors import UserError

HEAD = """usage: sgdprobe COMMAND …

Find out why a NumPy network does not learn, and prove it.
"""
TAIL = (
    "sgdprobe COMMAND --help lists the options of a command. Runs are kept in the working "
    "directory: mlflow.db, mlruns/. Recipes of your own: conf/experiment/."
)
WIDTH = 12  # of the longest name, and two spaces


def script() -> None:
    """Run `sgdprobe COMMAND …`, and exit with its code."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in known_commands():
        sys.argv = [f"sgdprobe {name}", *words]
        start(name)
    start("main")


def main(words: Sequence[str]) -> int:
    """Print the commands. Raises UserError for a word that is none of them."""
    known, columns = known_commands(), terminal_columns()
    if words and words[0] not in ("-h", "--help"):
        word = words[0]
        raise UserError(
            f"{word}: no such command; there are {', '.join(known)}{did_you_mean(word, known)}"
        )
    print(HEAD)
    for name in known:
        print(
            fill(f"  {name:<{WIDTH}}{COMMANDS[name]}", columns, subsequent_indent=" " * (WIDTH + 2))
        )
    print(f"\n{fill(TAIL, columns)}")
    return 0
