"""From what was typed to `Settings`, by Hydra: the one place where a configuration is composed."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from sgdprobe.commandline import CONF, recipes
from sgdprobe.settings import Settings, SettingsError, unknown

GROUPS = {path.name for path in CONF.iterdir() if path.is_dir()}


def check_keys(overrides: Sequence[str]) -> None:
    """Refuse what is no setting before Hydra composes; it would let `+foo=1` pass.

    Raises SettingsError.
    """
    known = Settings().flat()
    for word in overrides:
        try:
            override = _parsed(word)
        except OverrideParseException as error:
            raise SettingsError(f"{word}: not KEY=VALUE in Hydra's grammar, {error}") from error
        key = override.key_or_group
        if override.is_hydra_override() or (key in GROUPS and not override.is_delete()):
            continue
        if override.is_delete():
            raise SettingsError(f"{word}: a setting can't be removed, only given another value")
        if key not in known:
            raise unknown(key, override.get_value_string())


def plain(config: DictConfig) -> dict[str, Any]:
    """The composed settings in plain dicts, without Hydra's own."""
    ours = [str(key) for key in config if key != "hydra"]
    container = OmegaConf.to_container(OmegaConf.masked_copy(config, ours), resolve=True)
    if not isinstance(container, dict):
        raise TypeError(f"a configuration is a mapping; got {type(container)}")
    return {str(key): value for key, value in container.items()}


def recipe_of(hydra: Any) -> str | None:
    """The recipe that a configuration was composed with; `hydra` is its node of that name."""
    choice = hydra.runtime.choices.get("experiment")
    return None if choice is None else str(choice)


class Composer:
    """Composes the settings of many jobs that share a master configuration.

    Hydra takes 60 ms to compose; a job that differs from another only in values need not be
    composed again: its values are put into the same composed dicts.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._bases: dict[tuple[str, ...], tuple[dict[str, Any], str | None]] = {}

    def job(self, overrides: Sequence[str]) -> tuple[Settings, str | None]:
        """The settings under these overrides, and the recipe's name. Raises SettingsError."""
        values = [word for word in overrides if _sets_a_value(word)]
        others = tuple(word for word in overrides if not _sets_a_value(word))
        if others not in self._bases:
            composed = self._loader.load_sweep_config(self._master, list(others))
            self._bases[others] = plain(composed), recipe_of(composed.hydra)
        base, recipe = self._bases[others]
        config = {k: dict(v) if isinstance(v, dict) else v for k, v in base.items()}
        for word in values:
            override = _parsed(word)
            block, _, name = override.key_or_group.rpartition(".")
            (config[block] if block else config)[name] = override.value()
        return Settings.of(config), recipe

    def recipes(self) -> dict[str, Settings]:
        """The settings of every recipe that is a single run, by name."""
        found = {}
        for name in recipes():
            composed = self._loader.load_configuration(
                "config", [f"experiment={name}"], run_mode=RunMode.RUN
            )
            if composed.hydra.mode != RunMode.MULTIRUN:
                found[name] = Settings.of(plain(composed))
        return found


@lru_cache(maxsize=4096)
def _parsed(word: str) -> Override:
    return OverridesParser.create().parse_override(word)


def _sets_a_value(word: str) -> bool:
    """Whether a word only gives a setting another value: no group, no prefix, no reference."""
    key = word.partition("=")[0]
    return key in Settings().flat() and "${" not in word
