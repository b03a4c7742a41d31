"""Words on the command line: recipes, options and overrides, checked before Hydra sees them.

A bare word such as `notes` means `experiment=notes`; Hydra's own grammar refuses it, so it is
rewritten before Hydra sees it, in the arguments and in the line that a shell asks to complete.
"""

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException

from sgdprobe.config.settings import Settings, invalid_value, unknown_setting
from sgdprobe.errors import SettingsError
from sgdprobe.paths import CONF

# Hydra's options; a test holds them against Hydra's own parser.
COMMANDS = {"--run", "-r", "--multirun", "-m", "--cfg", "-c", "--info", "-i"}
COMMANDS |= {"--shell-completion", "-sc"}


FLAGS = {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r"}
FLAGS |= {"--multirun", "-m", "--shell-completion", "-sc"}


WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"}
WITH_VALUE |= {"--config-dir", "-cd", "--experimental-rerun"}


WITH_OPTIONAL_VALUE = {"--info", "-i"}


INFO = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}


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


GROUPS = {path.name for path in CONF.iterdir() if path.is_dir()}


def check_words(arguments: Sequence[str]) -> None:
    """Refuse what Hydra would refuse in many lines, and what is no setting.

    Raises SettingsError.
    """

    def error(message: str) -> NoReturn:
        raise SettingsError(message)

    parser = get_args_parser()
    parser.error = error  # type: ignore[method-assign]
    words = parser.parse_args(arguments)
    if words.resolve and not (words.cfg or words.help):
        raise SettingsError("--resolve can only be asked for together with --cfg or --help")
    if not words.shell_completion:  # its words, such as install=bash, are no settings
        check_keys(words.overrides)


def check_keys(overrides: Sequence[str]) -> None:
    """Refuse what is no setting before Hydra composes; it would let `+foo=1` pass.

    Raises SettingsError.
    """
    known = Settings().flat()
    for word in overrides:
        try:
            override = _parsed(word)
        except HydraException as error:
            raise SettingsError(f"{word}: not KEY=VALUE in Hydra's grammar, {error}") from error
        key = override.key_or_group
        if override.is_hydra_override():
            continue
        if override.is_delete():
            raise SettingsError(f"{word}: a setting can't be removed, only given another value")
        if key in GROUPS:
            _check_choice(override)
        elif key not in known:
            raise unknown_setting(key, override.get_value_string())


def _check_choice(override: Override) -> None:
    """A group's choice is a file's name; Hydra ends with a traceback for a number."""
    value = override.value()
    for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
        if isinstance(choice, int | float):
            group = override.key_or_group
            names = ", ".join(sorted(path.stem for path in (CONF / group).iterdir()))
            raise invalid_value(group, choice, f"one of {names}")


@lru_cache(maxsize=4096)
def _parsed(word: str) -> Override:
    return OverridesParser.create().parse_override(word)
