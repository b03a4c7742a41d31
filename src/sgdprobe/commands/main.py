"""`sgdprobe COMMAND …`: the console script of an installed sgdprobe."""

import sys
from collections.abc import Sequence

from sgdprobe.commands import COMMANDS, known_commands, start
from sgdprobe.config.formatting import did_you_mean
from sgdprobe.errors import UserError

HEAD = """usage: sgdprobe COMMAND …

Find out why a NumPy network does not learn, and prove it.

"""
TAIL = """
sgdprobe COMMAND --help lists the options of a command. Runs are kept in the
working directory: mlflow.db, mlruns/. Recipes of your own: conf/experiment/.
"""


def script() -> None:
    """Run `sgdprobe COMMAND …`, and exit with its code."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in known_commands():
        sys.argv = [f"sgdprobe {name}", *words]
        start(name)
    start("main")


def main(words: Sequence[str]) -> int:
    """Print the commands. Raises UserError for a word that is none of them."""
    known = known_commands()
    if words and words[0] not in ("-h", "--help"):
        word = words[0]
        raise UserError(
            f"{word}: no such command; there are {', '.join(known)}{did_you_mean(word, known)}"
        )
    width = max(map(len, known))
    print(HEAD + "\n".join(f"  {name:<{width}}  {COMMANDS[name]}" for name in known) + "\n" + TAIL)
    return 0
