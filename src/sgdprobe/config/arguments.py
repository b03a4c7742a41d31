"""Words of a command line: recipes, options and overrides, checked before Hydra composes.

A bare word such as `notes` means `experiment=notes`. Hydra's own grammar refuses it, so it is
rewritten in the arguments.
"""

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException

from sgdprobe.config.formatting import did_you_mean
from sgdprobe.config.settings import TRAITS, Settings, invalid_value, unknown_setting
from sgdprobe.errors import SettingsError
from sgdprobe.paths import CONF, OWN_CONF, PROJECT_ROOT

# Hydra does one of these at a time, and raises ValueError for two.
ACTIONS = ("run", "multirun", "cfg", "info", "shell_completion")


def recipes() -> list[str]:
    """Return the names of all recipes, in alphabetical order."""
    return choices("experiment")


def choices(group: str) -> list[str]:
    """Return the names of the files in a folder of conf/, without those that editors hide."""
    return sorted({path.stem for conf in (CONF, OWN_CONF) for path in _choices(conf, group)})


def _choices(conf: Path, group: str) -> Iterable[Path]:
    return (conf / group).glob("[!.]*.yaml")


def recipe_file(name: str) -> Path:
    """Return the file of a recipe. Raises SettingsError for one that hides another."""
    built_in, own = (conf / "experiment" / f"{name}.yaml" for conf in (CONF, OWN_CONF))
    if not own.is_file():
        return built_in
    if built_in.is_file() and own.read_bytes() != built_in.read_bytes():
        raise SettingsError(f"{own}: sgdprobe has another recipe {name}; rename the file")
    return own


@cache
def groups() -> frozenset[str]:
    """Return the names of the folders of conf/."""
    return frozenset(path.name for path in CONF.glob("*/"))


def overrides(typed: str) -> list[str]:
    """Return KEY= of each setting and group, or, after a KEY=, its values as far as known."""
    key, equal, _ = typed.partition("=")
    if not equal:
        return [f"{name}=" for name in (*Settings().flat(), *groups())]
    known = choices(key) if key in groups() else TRAITS[key].check.words if key in TRAITS else ()
    return [f"{key}={value}" for value in known]


def parser() -> argparse.ArgumentParser:
    """Return Hydra's own parser of options, which accepts no abbreviations."""
    options = get_args_parser()
    options.allow_abbrev = False
    return options


def hydra_arguments(words: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the words as Hydra takes them: overrides, then options.

    Each bare word becomes experiment=WORD. Raises SettingsError for what Hydra would refuse in
    many lines, and for a recipe, a setting or an option that does not exist.
    """
    given = _parse(words)
    for word in given.overrides:
        if not _is_override(word):
            check_recipe(word, known)
    overrides = [word if _is_override(word) else f"experiment={word}" for word in given.overrides]
    _refuse_two([word for word in overrides if word.startswith("experiment=")])
    _refuse_two([_option(name) for name in ACTIONS if getattr(given, name)])
    if given.resolve and not (given.cfg or given.help):
        raise SettingsError("--resolve needs --cfg or --help")
    if not given.shell_completion:  # its words, such as install=bash, are no settings
        check_keys(overrides)
    if given.config_path:
        given.config_path = os.path.normpath(PROJECT_ROOT / "src" / given.config_path)
    values = {_option(name): value for name, value in vars(given).items() if name != "overrides"}
    flags = [option for option, value in values.items() if value is True]
    valued = [f"{option}={value}" for option, value in values.items() if isinstance(value, str)]
    return [*overrides, *flags, *valued]


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the words with Hydra's own parser. Raises SettingsError."""

    def refuse(message: str) -> NoReturn:
        raise SettingsError(f"{message}; --help lists the options")

    options = parser()
    options.error = refuse  # type: ignore[method-assign]
    # --info takes a value or none; a recipe after it is not its value.
    pairs = pairwise([*words, ""])
    words = [
        f"{word}=all"
        if word in ("--info", "-i") and not _accepts(options, word, following)
        else word
        for word, following in pairs
    ]
    given, unknown = options.parse_known_intermixed_args(words)
    if unknown:
        raise SettingsError(f"{unknown[0].partition('=')[0]}: no such option; --help lists them")
    return given


def _accepts(options: argparse.ArgumentParser, option: str, value: str) -> bool:
    try:
        options.parse_args([option, value])
    except SettingsError:
        return False
    return True


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith("~")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _refuse_two(words: Sequence[str]) -> None:
    if len(words) > 1:
        raise SettingsError(f"{' and '.join(words)} cannot be combined; choose one")


def check_recipe(word: str, known: Sequence[str]) -> None:
    """Raise SettingsError if the word is not a known recipe."""
    if word not in known:
        raise SettingsError(
            f"{word}: no such recipe; there are {', '.join(known)}{did_you_mean(word, known)}"
        )
    recipe_file(word)


def check_keys(overrides: Sequence[str]) -> None:
    """Raise SettingsError for an override of a setting that does not exist.

    Hydra would accept `+foo=1`.
    """
    known = Settings().flat()
    for word in overrides:
        try:
            override = parse_override(word)
        except HydraException as error:
            raise SettingsError(f"{word}: not KEY=VALUE in Hydra's grammar, {error}") from error
        key = override.key_or_group
        if override.is_hydra_override():
            raise SettingsError(
                f"{word}: Hydra's own settings have no effect here; -m KEY=a,b sweeps over values, "
                "and the settings in sweep say how"
            )
        if re.search(r"sort\(\s*range", word):
            raise SettingsError(
                f"{word}: Hydra sorts a range into other values; write the range in its order, "
                "such as range(10,35,10) or range(30,5,-10)"
            )
        if override.is_delete():
            raise SettingsError(f"{word}: a setting cannot be removed; give it another value")
        if key in groups():
            _check_choice(override)
        elif key not in known:
            raise unknown_setting(key, override.get_value_string())


def _check_choice(override: Override) -> None:
    """Refuse a number, for which Hydra ends with a traceback: a choice is a file's name."""
    value = override.value()
    group = override.key_or_group
    for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
        if isinstance(choice, int | float):
            raise invalid_value(group, choice, f"one of {', '.join(choices(group))}")
        if group == "experiment" and isinstance(choice, str):
            recipe_file(choice)


def exact_range(word: str) -> str:
    """Return KEY=range(0.1,0.5,0.1) as KEY=0.1,0.2,0.3,0.4, and other words as they are.

    Hydra adds in binary and comes to 0.30000000000000004, which is another run than 0.3.
    """
    value = parse_override(word).value()
    if not isinstance(value, RangeSweep) or isinstance(value.range(), range):
        return word
    start, stop, step = (Decimal(str(each)) for each in (value.start, value.stop, value.step))
    values = [str(float(start + i * step)) for i in range(ceil((stop - start) / step))]
    if not values:
        return word
    text = ",".join(values)
    return f"{word.partition('=')[0]}={f'shuffle({text})' if value.shuffle else text}"


@lru_cache(maxsize=4096)
def parse_override(word: str) -> Override:
    """Parse KEY=VALUE by Hydra's grammar. Raises HydraException."""
    return OverridesParser.create().parse_override(word)
