"""Composition by Hydra: from the words of a command line to `Settings`."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import hydra
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from sgdprobe.config.arguments import hydra_arguments, parse_override, recipe_file, recipes
from sgdprobe.config.settings import TRAITS, Settings
from sgdprobe.errors import SettingsError, one_line
from sgdprobe.paths import CLONE, CONF, OWN_CONF
from sgdprobe.provenance.command import command_line


def _own_conf() -> list[str]:
    """Return the directory of a person's own recipes, for hydra.searchpath; in a clone none."""
    return [] if CLONE or not OWN_CONF.is_dir() else [f"file://{OWN_CONF}"]


# Resolvers that conf/config.yaml uses.
OmegaConf.register_new_resolver("own_conf", _own_conf, replace=True)
OmegaConf.register_new_resolver("command_line", command_line, replace=True)
OmegaConf.register_new_resolver("recipes", lambda: ", ".join(recipes()), replace=True)


def run_hydra(words: Sequence[str]) -> tuple[Settings, str | None, list[str]] | None:
    """Let Hydra do what the words ask for; for a single run, return its composed settings.

    Returns the settings, the recipe and the keys given on the command line; None where Hydra has
    answered itself, such as for --cfg. A sweep is run by our launcher, which exits. Raises
    SettingsError.
    """
    composed: list[tuple[DictConfig, str | None]] = []

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
    def keep(config: DictConfig) -> None:
        composed.append((config, recipe_of(HydraConfig.get())))

    words = hydra_arguments(words, recipes())
    overridden = [word.partition("=")[0].lstrip("+") for word in words if word[0] != "-"]
    sys.argv[1:] = words  # hydra.main reads them there
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors instead of printing them
    with errors_in_one_line():
        keep()
        for config, recipe in composed:
            return _settings(_without_hydra(config), recipe), recipe, overridden
    return None


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn errors of Hydra, and of a file in conf/, into SettingsError."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        text = str(error).partition("Config search path:")[0]
        if several := re.search("(?:argument|parameters) '(.+?)'.*--multirun", text, re.DOTALL):
            text = f"{several[1]}: several values are a sweep, which needs -m; a list is [a,b]"
        raise SettingsError(" ".join(text.split())) from error
    except MarkedYAMLError as error:
        place = error.problem_mark
        where = f"{place.name}, line {place.line + 1}" if place else "a file in conf/"
        raise SettingsError(f"{where}: no YAML: {error.problem}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"a file in conf/ is no text in UTF-8: {error}") from error


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _settings(config: DictConfig, recipe: str | None) -> Settings:
    """Return the settings of a composed configuration. Raises SettingsError."""
    values: Any = OmegaConf.to_container(config, resolve=True)
    if "experiment" in values:
        file = recipe_file(str(recipe))
        raise SettingsError(f"{file} must begin with the line # @package _global_")
    return Settings.from_dict(values)


def recipe_of(node: Any) -> str | None:
    """Return the recipe of a composed configuration; `node` is its block `hydra`."""
    choice = node.runtime.choices.get("experiment")
    return None if choice is None else str(choice)


class Composed(NamedTuple):
    """The settings of a job, its recipe, and whether the recipe is a sweep."""

    settings: Settings
    recipe: str | None
    is_sweep: bool


class Composer:
    """Settings of many jobs, composed once for each set of keys.

    Hydra takes 60 ms or more to compose. Jobs that give values to the same keys share one
    configuration: each job's values replace those of the job before, and references such as
    ${seed} are resolved afterwards.

    words : Hydra's own overrides, the same for all jobs.
    """

    def __init__(
        self, loader: ConfigLoader, name: str = "config", words: Sequence[str] = ()
    ) -> None:
        self._loader = loader
        self._name = name
        # -m sets the mode of the command; without it a configuration has its recipe's mode.
        self._words = [word for word in words if not word.startswith("hydra.mode=")]
        self._bases: dict[tuple[str, ...], tuple[DictConfig, str | None, bool]] = {}

    def recipes(self) -> dict[str, Settings]:
        """Return the settings of every recipe that is a single run, by name.

        One that cannot be composed, such as an unfinished one, is left out with a line on stderr.
        """
        found = {}
        for name in recipes():
            try:
                composed = self.compose([f"experiment={name}"])
            except SettingsError as error:
                print(f"the recipe {name} is left out: {one_line(error)}", file=sys.stderr)
                continue
            if not composed.is_sweep:
                found[name] = composed.settings
        return found

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Return the settings under these overrides. Raises SettingsError."""
        with errors_in_one_line():
            values = [parse_override(word) for word in overrides if _sets_a_value(word)]
            others = [word for word in overrides if not _sets_a_value(word)]
            keys = (*others, *(value.key_or_group for value in values))
            if keys not in self._bases:
                self._bases[keys] = self._base(others)
            config, recipe, is_sweep = self._bases[keys]
            for value in values:
                OmegaConf.update(config, value.key_or_group, value.value(), merge=False)
            return Composed(_settings(config, recipe), recipe, is_sweep)

    def _base(self, words: Sequence[str]) -> tuple[DictConfig, str | None, bool]:
        words = [*self._words, *words]
        composed = self._loader.load_configuration(self._name, words, RunMode.RUN)
        is_sweep = composed.hydra.mode == RunMode.MULTIRUN
        return _without_hydra(composed), recipe_of(composed.hydra), is_sweep


def _sets_a_value(word: str) -> bool:
    """Return whether a word only gives a setting another value: no group, no + or ~."""
    return word.partition("=")[0].removeprefix("++") in TRAITS


def known_recipes() -> dict[str, Settings]:
    """Return the settings of every recipe that is a single run, by name."""
    with open_composer() as composer:
        return composer.recipes()


@contextmanager
def open_composer() -> Iterator[Composer]:
    """Give a composer outside of `hydra.main`."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield Composer(GlobalHydra.instance().config_loader())
