"""The two recipes that explain.py compares, composed."""

from collections.abc import Sequence
from dataclasses import dataclass

from sgdprobe.config.arguments import check_keys, check_recipe, parse_override, recipes
from sgdprobe.config.compose import Composer, open_composer
from sgdprobe.config.settings import OPERATIONAL, Settings
from sgdprobe.errors import SettingsError


@dataclass(frozen=True)
class RecipePair:
    """Two recipes to compare, and the overrides of both, in Hydra's grammar.

    fixed : KEY=VALUE, the same in both. varied : KEY=a,b, a in the baseline and b in the target.
    """

    baseline: str
    target: str
    fixed: tuple[str, ...] = ()
    varied: tuple[str, ...] = ()


def compose_pairs(pairs: Sequence[RecipePair]) -> list[tuple[Settings, Settings]]:
    """Return for each pair the settings of baseline and target. Raises SettingsError."""
    with open_composer() as composer:
        return [_compose_pair(pair, composer) for pair in pairs]


def _compose_pair(pair: RecipePair, composer: Composer) -> tuple[Settings, Settings]:
    for name in (pair.baseline, pair.target):
        check_recipe(name, recipes())
    check_keys([*pair.fixed, *pair.varied])
    for word in (*pair.fixed, *pair.varied):
        if word.partition("=")[0] == "seed":
            raise SettingsError(f"{word}: the seeds are 0, 1, …; --seeds gives their number")
    for word in pair.fixed:
        if len(_values(word)) != 1:
            raise SettingsError(f"--fix {word}: give one value, the same for both recipes")
    both = [_split(word) for word in pair.varied]
    return (
        _single(composer, pair.baseline, [*pair.fixed, *(first for first, _ in both)]),
        _single(composer, pair.target, [*pair.fixed, *(second for _, second in both)]),
    )


def _single(composer: Composer, name: str, words: Sequence[str]) -> Settings:
    composed = composer.compose([f"experiment={name}", *words])
    if composed.is_sweep:
        raise SettingsError(f"{name}: this recipe is a sweep; choose a recipe of a single run")
    return composed.settings


def _split(word: str) -> tuple[str, str]:
    """Split KEY=a,b into KEY=a and KEY=b."""
    key, values = word.partition("=")[0], _values(word)
    if len(set(values)) != 2 or len(values) != 2:
        raise SettingsError(f"--with {word}: give two different values, one for each recipe")
    if key in OPERATIONAL:
        raise SettingsError(f"--with {word}: this setting changes no result; set it with --fix")
    return f"{key}={values[0]}", f"{key}={values[1]}"


def _values(word: str) -> list[str]:
    override = parse_override(word)
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    return [override.get_value_string()]
