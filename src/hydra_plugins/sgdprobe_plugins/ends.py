"""The two recipes that explain.py compares, composed."""

from collections.abc import Sequence

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from hydra_plugins.sgdprobe_plugins.composition import Composer, check_keys
from sgdprobe.commandline import CONF, recipes
from sgdprobe.explain.request import Request
from sgdprobe.settings import Settings, SettingsError


def ends(request: Request) -> tuple[Settings, Settings]:
    """The settings of both recipes, with what is fixed and what is varied.

    Raises SettingsError, and Hydra's own errors for a group's choice that is not there.
    """
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
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        _refuse_sweeps(loader, (request.first, request.second))
        composer = Composer(loader, loader.load_configuration("config", [], RunMode.MULTIRUN))
        (first, _), (second, _) = (
            composer.job([f"experiment={name}", *request.fixed, *(pair[end] for pair in pairs)])
            for end, name in enumerate((request.first, request.second))
        )
    return first, second


def _refuse_sweeps(loader: ConfigLoader, names: Sequence[str]) -> None:
    for name in names:
        composed = loader.load_configuration("config", [f"experiment={name}"], RunMode.RUN)
        if composed.hydra.mode == RunMode.MULTIRUN:
            raise SettingsError(f"{name}: a sweep, and not the single run that is needed")


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
