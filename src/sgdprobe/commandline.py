"""What the doors have in common: words on the command line, refusals, and signals.

A bare word such as `notes` means `experiment=notes`; Hydra's own grammar refuses it, so it is
rewritten before Hydra sees it, in the arguments and in the line that a shell asks to complete.
"""

import signal
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from sgdprobe.places import CONF
from sgdprobe.refusal import Refusal
from sgdprobe.settings import SettingsError

# Hydra's options; a test holds them against Hydra's own parser.
COMMANDS = {"--run", "-r", "--multirun", "-m", "--cfg", "-c", "--info", "-i"}
COMMANDS |= {"--shell-completion", "-sc"}
FLAGS = {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r"}
FLAGS |= {"--multirun", "-m", "--shell-completion", "-sc"}
WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"}
WITH_VALUE |= {"--config-dir", "-cd", "--experimental-rerun"}
WITH_OPTIONAL_VALUE = {"--info", "-i"}
INFO = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}

REFUSED = 2  # exit code: the request was wrong, nothing was written


def recipes(conf: Path = CONF) -> list[str]:
    """The names of the recipes, in alphabetical order."""
    return sorted(path.stem for path in (conf / "experiment").glob("*.yaml"))


def expand(arguments: Sequence[str], known: Sequence[str]) -> list[str]:
    """The arguments with every recipe's bare name written as `experiment=NAME`; options come last.

    Hydra's parser does not take overrides on both sides of an option. Raises SettingsError for a
    bare word that names no recipe, for a second recipe, and for an option that Hydra lacks.
    """
    overrides: list[str] = []
    options: list[str] = []
    value_of: str | None = None
    for word in arguments:
        if value_of is not None and (value_of in WITH_VALUE or word in INFO):
            value_of = None
            options.append(word)
        elif word.startswith("-"):
            value_of = _option(word)
            options.append(word)
        else:
            value_of = None
            overrides.append(word if _is_override(word) else f"experiment={_recipe(word, known)}")
    commands = [word for word in options if word in COMMANDS]
    chosen = [word for word in overrides if word.startswith("experiment=")]
    for together in (commands, chosen):
        if len(together) > 1:
            raise SettingsError(f"{' and '.join(together)} can't be asked for together")
    return overrides + options


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith("~")


def _recipe(word: str, known: Sequence[str]) -> str:
    if word not in known:
        raise SettingsError(f"{word}: no such recipe; there are {', '.join(known)}")
    return word


def _option(word: str) -> str | None:
    """The option if a value follows it as a word of its own."""
    name, equals, _ = word.partition("=")
    if name not in FLAGS | WITH_VALUE | WITH_OPTIONAL_VALUE:
        raise SettingsError(f"{name}: no such option; --help lists them")
    return name if name not in FLAGS and not equals else None


def complete(environment: MutableMapping[str, str], known: Sequence[str]) -> list[str]:
    """Recipes that the word being typed may become; rewrites COMP_LINE for Hydra's own answers."""
    line = environment.get("COMP_LINE", "")
    head, space, typed = line.rpartition(" ")
    if not space:
        return []
    words = [f"experiment={word}" if word in known else word for word in head.split(" ")]
    environment["COMP_LINE"] = " ".join([*words, typed])
    is_bare = not typed.startswith(("-", "~", "+")) and "=" not in typed
    return [name for name in known if is_bare and name.startswith(typed)]


@contextmanager
def refusals(*also: type[Exception]) -> Iterator[None]:
    """Turn a request that can't be honoured into one line on stderr and exit code 2."""
    refused: tuple[type[Exception], ...] = (Refusal, *also)
    try:
        yield
    except refused as error:
        # Hydra's messages have several lines and end with its search path.
        text = str(error).partition("Config search path:")[0]
        sys.stderr.write(f"{' '.join(text.split())}\n")
        raise SystemExit(REFUSED) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a closed terminal, unwind like Ctrl-C.

    So a run marks itself KILLED on its way out. Under nohup, SIGHUP stays ignored.
    """

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, unwind) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was recorded stays\n")
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
