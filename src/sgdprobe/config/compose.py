"""From what was typed to `Settings`, by Hydra: the one place where a configuration is composed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sgdprobe.config.arguments import _parsed, recipes
from sgdprobe.config.settings import Settings
from sgdprobe.paths import CONF

KEYS = frozenset(Settings().flat())

# What Hydra raises for overrides that cannot be composed.
COMPOSE_ERRORS = (HydraException, OmegaConfBaseException)


def plain(config: DictConfig) -> dict[str, Any]:
    """The composed settings in plain dicts, without Hydra's own."""
    return _resolved(_ours(config))


def _ours(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _resolved(config: DictConfig) -> dict[str, Any]:
    container = OmegaConf.to_container(config, resolve=True)
    if not isinstance(container, dict):
        raise TypeError(f"a configuration is a mapping; got {type(container)}")
    return {str(key): value for key, value in container.items()}


def recipe_of(hydra: Any) -> str | None:
    """The recipe that a configuration was composed with; `hydra` is its node of that name."""
    choice = hydra.runtime.choices.get("experiment")
    return None if choice is None else str(choice)


def list_groups_without_copies() -> None:
    """Let Hydra list its groups, 84 times for --help, from the repository that it has.

    It would copy all of that, each time, to add a search path which it then does not have.
    """
    copying = ConfigLoaderImpl.get_group_options

    def options(
        self: ConfigLoaderImpl,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        if config_name or overrides:
            return copying(self, group_name, results_filter, config_name, overrides)
        return self.repository.get_group_options(group_name, results_filter)

    ConfigLoaderImpl.get_group_options = options  # type: ignore[method-assign]


class Composer:
    """Composes the settings of many jobs.

    Hydra takes 60 ms or more to compose; a job that differs from another only in values need not
    be composed again: its values take the place of the other's, before references such as ${seed}
    are followed. Jobs share a configuration only if they give the same keys values, so that none
    is left with another's.

    words : Hydra's own overrides, the same for all.
    """

    def __init__(
        self, loader: ConfigLoader, name: str = "config", words: Sequence[str] = ()
    ) -> None:
        self._loader = loader
        self._name = name
        # -m adds a mode, which is the command's: without it a configuration has its recipe's own.
        self._words = [word for word in words if not word.startswith("hydra.mode=")]
        self._bases: dict[tuple[str, ...], tuple[DictConfig, str | None, bool]] = {}

    def job(self, overrides: Sequence[str]) -> tuple[Settings, str | None]:
        """The settings under these overrides, and the recipe's name. Raises SettingsError."""
        settings, recipe, _ = self._composed(overrides)
        return settings, recipe

    def single(self, overrides: Sequence[str]) -> Settings | None:
        """The settings under these overrides; None where the recipe is a sweep.

        Raises SettingsError.
        """
        settings, _, is_sweep = self._composed(overrides)
        return None if is_sweep else settings

    def recipes(self) -> dict[str, Settings]:
        """The settings of every recipe that is a single run, by name."""
        found = {name: self.single([f"experiment={name}"]) for name in recipes()}
        return {name: settings for name, settings in found.items() if settings is not None}

    def _composed(self, overrides: Sequence[str]) -> tuple[Settings, str | None, bool]:
        values = [_parsed(word) for word in overrides if _sets_a_value(word)]
        others = [word for word in overrides if not _sets_a_value(word)]
        alike = (*others, *(value.key_or_group for value in values))
        if alike not in self._bases:
            composed = self._loader.load_configuration(
                self._name, [*self._words, *others], RunMode.RUN
            )
            is_sweep = composed.hydra.mode == RunMode.MULTIRUN
            self._bases[alike] = _ours(composed), recipe_of(composed.hydra), is_sweep
        config, recipe, is_sweep = self._bases[alike]
        for value in values:
            OmegaConf.update(config, value.key_or_group, value.value(), merge=False)
        return Settings.from_dict(_resolved(config)), recipe, is_sweep


def known_recipes() -> dict[str, Settings]:
    """The settings of every recipe that is a single run, by name."""
    with composer() as compose:
        return compose.recipes()


@contextmanager
def composer() -> Iterator[Composer]:
    """A composer outside of `hydra.main`."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield Composer(GlobalHydra.instance().config_loader())


def _sets_a_value(word: str) -> bool:
    """Whether a word only gives a setting another value: no group, and not + or ~."""
    key = word.partition("=")[0].removeprefix("++")
    return key in KEYS
