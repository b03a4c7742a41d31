"""The two recipes that explain.py compares, composed."""

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser

from hydra_plugins.sgdprobe_plugins.composition import Composer, check_keys, composer
from sgdprobe.commandline import recipes
from sgdprobe.explain.request import Request
from sgdprobe.settings import Settings, SettingsError


def ends(requests: Sequence[Request]) -> list[tuple[Settings, Settings]]:
    """For each request the settings of both recipes, with what is fixed and what is varied.

    Raises SettingsError, and Hydra's own errors for a group's choice that is not there.
    """
    with composer() as compose:
        return [_ends(request, compose) for request in requests]


def _ends(request: Request, compose: Composer) -> tuple[Settings, Settings]:
    for name in (request.first, request.second):
        if name not in recipes():
            raise SettingsError(f"{name}: no such recipe; there are {', '.join(recipes())}")
    check_keys([*request.fixed, *request.varied])
    for word in (*request.fixed, *request.varied):
        if word.partition("=")[0] == "seed":
            raise SettingsError(f"{word}: the seeds are those of --seeds, from 0")
    for word in request.fixed:
        if len(_values(word)) != 1:
            raise SettingsError(f"--fix {word}: one value, the same for both recipes, is needed")
    pairs = [_pair(word) for word in request.varied]
    firsts, seconds = [[pair[end] for pair in pairs] for end in (0, 1)]
    return (
        _single(compose, request.first, [*request.fixed, *firsts]),
        _single(compose, request.second, [*request.fixed, *seconds]),
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
    if key.startswith(("tracking.", "sweep.")):
        raise SettingsError(f"--with {word}: it changes no result; --fix sets it")
    return [f"{key}={value}" for value in values]


def _values(word: str) -> list[str]:
    override = OverridesParser.create().parse_override(word)
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    return [override.get_value_string()]
