"""Tab completion in bash: of `sgdprobe …`, and of the scripts in src/ of a clone.

Other programs that python is asked to run keep the completion that they had.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from sgdprobe.commands import known_commands
from sgdprobe.commands.cli import Parser, import_command
from sgdprobe.errors import UserError
from sgdprobe.paths import CLONE

# A program that finds a line in this variable prints the words that may come next, and ends.
VARIABLE = "SGDPROBE_COMPLETE"

INSTALL = r"""
_sgdprobe_before=$(complete -p python 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
_sgdprobe_ask() {
  local line=${COMP_LINE:0:COMP_POINT}
  local word=${line##* } words
  words=$(VARIABLE=$line "$@" 2>/dev/null)
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  case $COMP_WORDBREAKS in *=*) COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}") ;; esac
}
_sgdprobe() { _sgdprobe_ask "${COMP_WORDS[0]}"; }
_sgdprobe_python() {
  local script=${COMP_WORDS[1]}
  local folder=${script%/*}
  [ "$folder" != "$script" ] || folder=.
  if [ "$folder" -ef "SOURCE" ] && [ -f "$script" ] && [ "$COMP_CWORD" -gt 1 ]; then
    _sgdprobe_ask "${COMP_WORDS[0]}" "$script"
  elif [ -n "$_sgdprobe_before" ] && [ "$_sgdprobe_before" != _sgdprobe_python ]; then
    "$_sgdprobe_before" "$@"
  fi
}
complete -o nospace -o bashdefault -o default -F _sgdprobe sgdprobe
complete -o nospace -o bashdefault -o default -F _sgdprobe_python python python3
"""
UNINSTALL = "complete -r sgdprobe python python3"

# bash expands what it is given: a file's name must not become a command.
PLAIN = re.compile(r"[\w.=/+-]+")

# What the positional arguments and options with these names take.
RECIPES = {"overrides", "words", "baseline", "target"}
SETTINGS = {"overrides", "words", "fix", "varied", "tune"}
LAST = {"run": "last", "sweep": "last", "what": "last"}


def main(words: Sequence[str]) -> int:
    """Print the lines that bash evaluates. Returns the exit code."""
    given = parser().parse_args(words)
    print(UNINSTALL if given.uninstall else lines())
    return 0


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(
        prog="sgdprobe completion",
        description="Print the lines that set up tab completion in bash.",
        epilog='to set it up: eval "$(sgdprobe completion)", also in ~/.bashrc',
    )
    options.add_argument("--uninstall", action="store_true", help="print what removes it")
    return options


def lines() -> str:
    """Return the lines that bash evaluates to set completion up."""
    source = str(CLONE / "src") if CLONE else ""
    return INSTALL.strip().replace("VARIABLE", VARIABLE).replace("SOURCE", source)


def by_hydra(words: Sequence[str]) -> str:
    """Return what `-sc WORDS` prints, as Hydra's programs do. Raises UserError."""
    if "install=bash" in words:
        return lines()
    if "uninstall=bash" in words:
        return UNINSTALL
    raise UserError("--shell-completion needs install=bash or uninstall=bash")


def complete(name: str, line: str) -> list[str]:
    """Return the words that may take the place of the last one of a command line.

    name : the command; "main" for `sgdprobe`, whose first word is one.
    """
    head, _, typed = line.rpartition(" ")
    words = head.split()[1 if name == "main" else 2 :]
    if name == "main" and words:
        name, *words = words
    if name == "main":
        found = {*known_commands(), "--help", "--version"}
    else:
        found = {*_candidates(name, words, typed)} if name in known_commands() else set()
    return sorted(word for word in found if word.startswith(typed) and PLAIN.fullmatch(word))


def _candidates(name: str, words: Sequence[str], typed: str) -> Iterator[str]:
    with suppress(UserError, AttributeError):  # a missing library; a command without options
        actions = import_command(name).parser()._actions
        options = {word: action for action in actions for word in action.option_strings}
        before = options.get(words[-1]) if words else None
        if before is not None and before.nargs != 0:
            yield from _values([before], typed)
        elif typed.startswith("-"):
            yield from (*options, "--version")
        else:
            yield from _values([each for each in actions if not each.option_strings], typed)


def _values(actions: Iterable[argparse.Action], typed: str) -> Iterator[str]:
    from sgdprobe.config import arguments  # imports Hydra

    for action in actions:
        yield from map(str, action.choices or ())
        if action.dest in RECIPES:
            yield from arguments.recipes()
        if action.dest in SETTINGS:
            yield from arguments.overrides(typed)
        if action.dest in LAST:
            yield LAST[action.dest]
