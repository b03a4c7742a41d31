"""The settings of a run: their types, ranges and choices, and every refusal.

Hydra composes; what it composed is checked here, once, before anything is written.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from sgdprobe.config.formatting import format_value, repr_value
from sgdprobe.config.validators import (
    Bool,
    Choice,
    LayerWidths,
    NJobs,
    NonEmptyStr,
    Nullable,
    Number,
    Validator,
)
from sgdprobe.errors import SettingsError
from sgdprobe.nn import ACTIVATIONS, GRADIENTS, INITIALIZERS, LOSSES, SAMPLINGS, SOFTMAX_AXIS
from sgdprobe.provenance.environment import KERNEL_LEVELS


@dataclass(frozen=True)
class Traits:
    """Properties of one setting, asked for by `Settings.traits(key)`.

    affects_results : False where it only says where a run is recorded or executed.
    hashed : part of a run's key. The data's name and folder are not: its hash is in the key.
    same_in_sweep : one value for all runs of a sweep, which share processes and a store.
    tunable : can suit one network better than another; False for what a result rests on.
    label : short name in run names and tables. bare : a run name shows the value alone.
    """

    check: Validator
    affects_results: bool = True
    hashed: bool = True
    same_in_sweep: bool = False
    tunable: bool = True
    label: str = ""
    bare: bool = False


def setting(default: Any, check: Validator, **traits: Any) -> Any:
    """Declare a field: its default, the values it accepts, its other traits."""
    return field(default=default, metadata={"traits": Traits(check, **traits)})


def _choice(default: str, words: Iterable[str], **traits: Any) -> Any:
    return setting(default, Choice(tuple(words)), **traits)


# Settings of recording and of execution: they change no number.
_operational = partial(
    setting, affects_results=False, hashed=False, same_in_sweep=True, tunable=False
)


@dataclass(frozen=True)
class DataSettings:
    """The images, and the scale of their pixels."""

    name: str = setting("mnist", NonEmptyStr("the data's name"), hashed=False, tunable=False)
    root: str | None = setting(
        None,
        Nullable(NonEmptyStr("a folder with the four IDX files")),
        hashed=False,
        tunable=False,
    )
    scale: str = _choice("unit", ("unit", "none", "standard"), label="pixels")
    validation: int = setting(0, Number(int, least=0), tunable=False)


@dataclass(frozen=True)
class NetworkSettings:
    """The layers between pixels and classes."""

    hidden: tuple[int, ...] = setting((50,), LayerWidths(), bare=True)
    activation: str = _choice("sigmoid", ACTIVATIONS, bare=True)
    softmax_over: str = _choice("sample", SOFTMAX_AXIS)
    loss: str = _choice("cross_entropy", LOSSES, bare=True)


@dataclass(frozen=True)
class InitSettings:
    """The spread of the weights before training."""

    scheme: str = _choice("normal", INITIALIZERS, bare=True)
    scale: float = setting(0.01, Number(float, least=0))


@dataclass(frozen=True)
class TrainingSettings:
    """The updates; `iterations` or `epochs` is their number, and the other is None."""

    learning_rate: float = setting(0.1, Number(float, above=0), label="lr")
    batch_size: int = setting(100, Number(int, least=1), label="batch")
    iterations: int | None = setting(10000, Nullable(Number(int, least=1)))
    epochs: int | None = setting(None, Nullable(Number(int, least=1)))
    sampling: str = _choice("with_replacement", SAMPLINGS)
    gradient: str = _choice("backprop", GRADIENTS)


@dataclass(frozen=True)
class TrackingSettings:
    """The store that records runs."""

    uri: str | None = _operational(None, Nullable(NonEmptyStr("an MLflow tracking URI")))
    experiment: str | None = _operational(
        None, Nullable(NonEmptyStr("an MLflow experiment's name"))
    )


@dataclass(frozen=True)
class SweepSettings:
    """Execution of many runs."""

    backend: str = _operational("loky", Choice(("loky", "sequential")))
    n_jobs: int = _operational(-1, NJobs())
    resume: bool = _operational(True, Bool())
    fail_fast: bool = _operational(False, Bool())
    max_kills: int = _operational(2, Number(int, least=1))
    dry_run: bool = _operational(False, Bool())


@dataclass(frozen=True)
class Settings:
    """All settings of one run; make them with `Settings.from_dict`, which checks them."""

    seed: int = setting(0, Number(int, least=0), tunable=False)
    dtype: str = _choice("float32", ("float32", "float64"), bare=True)
    bits: str = _choice("native", KERNEL_LEVELS, same_in_sweep=True, tunable=False)
    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    init: InitSettings = field(default_factory=InitSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)

    @classmethod
    def from_dict(cls, composed: Mapping[str, Any]) -> "Settings":
        """Check nested dicts and return their settings. Raises SettingsError."""
        settings: Settings = _checked(cls, composed, "")
        _check_together(settings)
        return settings

    def flat(self) -> dict[str, Any]:
        """{"seed": 0, "data.name": "mnist", …}, in the order of declaration."""
        pairs: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if dataclasses.is_dataclass(value):
                pairs |= {f"{item.name}.{f.name}": getattr(value, f.name) for f in fields(value)}
            else:
                pairs[item.name] = value
        return pairs

    def replace(self, values: Mapping[str, Any]) -> "Settings":
        """Return the settings with other values, by full key; all are checked together.

        Raises SettingsError.
        """
        nested: dict[str, Any] = {}
        for key, value in {**self.flat(), **values}.items():
            block, _, name = key.rpartition(".")
            (nested.setdefault(block, {}) if block else nested)[name] = value
        return Settings.from_dict(nested)

    @staticmethod
    def traits(key: str) -> Traits:
        """Return the traits of the setting with this full key, such as init.scale."""
        return TRAITS[key]

    def hashed(self) -> dict[str, Any]:
        """The flat settings that are in a run's key, because they can change its numbers."""
        return {key: value for key, value in self.flat().items() if key not in EXCLUDED}

    @property
    def workload(self) -> str:
        """What a run's time depends on: runs of one size take about as long."""
        network, training = self.network, self.training
        length = (
            f"{training.epochs} epochs" if training.epochs else f"{training.iterations} updates"
        )
        return (
            f"{format_value(network.hidden)} {network.activation} {self.dtype}, {length} of "
            f"{training.batch_size} by {training.gradient}, on {self.data.root or self.data.name}"
        )

    def key(self, *hashes: str) -> str:
        """The run's identity: its numbers and the hashes of its data and of its source."""
        text = json.dumps([self.hashed(), *hashes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def invalid_value(key: str, value: Any, expects: str) -> SettingsError:
    """The one sentence in which a value is refused."""
    return SettingsError(f"{key} must be {expects}; got {repr_value(value)}")


def unknown_setting(key: str, value: Any) -> SettingsError:
    """No such setting; the choices are those of its block, or the blocks."""
    block = key.rpartition(".")[0]
    siblings = [other for other in Settings().flat() if other.rpartition(".")[0] == block]
    choices = siblings if block and siblings else [item.name for item in fields(Settings)]
    return SettingsError(
        f"{key}={format_value(value)}: no such setting; there are {', '.join(choices)}"
    )


def _checked(block: type[Any], given: Any, prefix: str) -> Any:
    """An instance of a block of settings, from a mapping; defaults where it is silent."""
    if not isinstance(given, Mapping):
        raise invalid_value(prefix.rstrip("."), given, "a block of settings")
    names = {item.name for item in fields(block)}
    values = {}
    for name, value in given.items():
        key = f"{prefix}{name}"
        if name not in names:
            raise unknown_setting(key, value)
        if name in BLOCKS:
            values[name] = _checked(BLOCKS[name], value, f"{key}.")
        else:
            values[name] = check_value(key, value, TRAITS[key].check)
    return block(**values)


def check_value(key: str, value: Any, check: Validator) -> Any:
    """Return the value in its own type. Raises SettingsError, which names the key."""
    try:
        return check(value)
    except ValueError:
        raise invalid_value(key, value, check.expects) from None


def _traits(block: type[Any], prefix: str = "") -> Iterator[tuple[str, Traits]]:
    for item in fields(block):
        if item.name in BLOCKS:
            yield from _traits(BLOCKS[item.name], f"{item.name}.")
        else:
            traits: Traits = item.metadata["traits"]
            yield f"{prefix}{item.name}", replace(traits, label=traits.label or item.name)


BLOCKS: dict[str, Any] = {
    item.name: item.default_factory for item in fields(Settings) if not item.metadata
}
TRAITS = dict(_traits(Settings))
OPERATIONAL = frozenset(key for key, traits in TRAITS.items() if not traits.affects_results)
EXCLUDED = frozenset(key for key, traits in TRAITS.items() if not traits.hashed)


def _check_together(settings: Settings) -> None:
    """Values that are fine alone and contradict each other."""
    training = settings.training
    if (training.iterations is None) == (training.epochs is None):
        raise SettingsError(
            "training.iterations or training.epochs must be null, and only one of them; "
            f"got training.iterations={format_value(training.iterations)} and "
            f"training.epochs={format_value(training.epochs)}"
        )
    if settings.data.root is None and settings.data.name != "mnist":
        raise invalid_value("data.name", settings.data.name, "mnist while data.root is null")


def check_against_data(settings: Settings, examples: int) -> None:
    """Neither the images held out nor a batch can be more than there are. Raises SettingsError."""
    held_out = settings.data.validation
    if held_out >= examples:
        raise invalid_value(
            "data.validation", held_out, f"less than {examples}, the number of training images"
        )
    if settings.training.batch_size > examples - held_out:
        raise invalid_value(
            "training.batch_size",
            settings.training.batch_size,
            f"at most {examples - held_out}, the number of training images",
        )
