"""The two recipes that explain.py compares, composed."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser

from sgdprobe.config.arguments import check_keys, recipes
from sgdprobe.config.compose import Composer, composer
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
    """For each pair the settings of the baseline and of the target.

    Raises SettingsError, and Hydra's own errors for a group's choice that is not there.
    """
    with composer() as compose:
        return [_compose_pair(pair, compose) for pair in pairs]


def _compose_pair(pair: RecipePair, compose: Composer) -> tuple[Settings, Settings]:
    for name in (pair.baseline, pair.target):
        if name not in recipes():
            raise SettingsError(f"{name}: no such recipe; there are {', '.join(recipes())}")
    check_keys([*pair.fixed, *pair.varied])
    for word in (*pair.fixed, *pair.varied):
        if word.partition("=")[0] == "seed":
            raise SettingsError(f"{word}: the seeds are those of --seeds, from 0")
    for word in pair.fixed:
        if len(_values(word)) != 1:
            raise SettingsError(f"--fix {word}: one value, the same for both recipes, is needed")
    both = [_pair(word) for word in pair.varied]
    of_baseline, of_target = [[words[end] for words in both] for end in (0, 1)]
    return (
        _single(compose, pair.baseline, [*pair.fixed, *of_baseline]),
        _single(compose, pair.target, [*pair.fixed, *of_target]),
    )


def _single(compose: Composer, name: str, words: Sequence[str]) -> Settings:
    settings = compose.single([f"experiment={name}", *words])
    if settings is None:
        raise SettingsError(f"{name}: a sweep, and not the single run that is needed")
    return settings


def _pair(word: str) -> Sequence[str]:
    """KEY=a,b as KEY=a and KEY=b."""
    key, values = word.partition("=")[0], _values(word)
    if len(set(values)) != 2 or len(values) != 2:
        raise SettingsError(f"--with {word}: two values, one for each recipe, are needed")
    if key in OPERATIONAL:
        raise SettingsError(f"--with {word}: it changes no result; --fix sets it")
    return [f"{key}={value}" for value in values]


def _values(word: str) -> list[str]:
    override = OverridesParser.create().parse_override(word)
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    return [override.get_value_string()]
