"""The settings of a run: their types, ranges and choices, and every refusal.

Hydra composes; what it composed is checked here, once, before anything is written.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
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


def setting(default: Any, check: Validator) -> Any:
    """A field with its default and what it accepts."""
    return field(default=default, metadata={"check": check})


def _choice(default: str, *words: str) -> Any:
    return setting(default, Choice(words))


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how a pixel, 0 … 255, becomes x."""

    name: str = setting("mnist", NonEmptyStr("the data's name"))
    root: str | None = setting(None, Nullable(NonEmptyStr("a folder with the four IDX files")))
    scale: str = _choice("unit", "unit", "none", "standard")
    validation: int = setting(0, Number(int, least=0))


@dataclass(frozen=True)
class NetworkSettings:
    """The layers between pixels and classes."""

    hidden: tuple[int, ...] = setting((50,), LayerWidths())
    activation: str = _choice("sigmoid", *ACTIVATIONS)
    softmax_over: str = _choice("sample", *SOFTMAX_AXIS)
    loss: str = _choice("cross_entropy", *LOSSES)


@dataclass(frozen=True)
class InitSettings:
    """The spread of the weights before training."""

    scheme: str = _choice("normal", *INITIALIZERS)
    scale: float = setting(0.01, Number(float, least=0))


@dataclass(frozen=True)
class TrainingSettings:
    """The descent; its length is `iterations` or `epochs`, one of the two."""

    learning_rate: float = setting(0.1, Number(float, above=0))
    batch_size: int = setting(100, Number(int, least=1))
    iterations: int | None = setting(10000, Nullable(Number(int, least=1)))
    epochs: int | None = setting(None, Nullable(Number(int, least=1)))
    sampling: str = _choice("with_replacement", *SAMPLINGS)
    gradient: str = _choice("backprop", *GRADIENTS)


@dataclass(frozen=True)
class TrackingSettings:
    """Where runs are recorded."""

    uri: str | None = setting(None, Nullable(NonEmptyStr("an MLflow tracking URI")))
    experiment: str | None = setting(None, Nullable(NonEmptyStr("an MLflow experiment's name")))


@dataclass(frozen=True)
class SweepSettings:
    """How runs are fanned out; nothing here changes a number."""

    backend: str = _choice("loky", "loky", "sequential")
    n_jobs: int = setting(-1, NJobs())
    resume: bool = setting(True, Bool())
    fail_fast: bool = setting(False, Bool())
    max_kills: int = setting(2, Number(int, least=1))
    dry_run: bool = setting(False, Bool())


@dataclass(frozen=True)
class Settings:
    """All of them. `Settings.of` is the way in from a composed configuration."""

    seed: int = setting(0, Number(int, least=0))
    dtype: str = _choice("float32", "float32", "float64")
    bits: str = _choice("native", *KERNEL_LEVELS)
    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    init: InitSettings = field(default_factory=InitSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)

    @classmethod
    def from_dict(cls, composed: Mapping[str, Any]) -> "Settings":
        """The settings in nested dicts, each value checked. Raises SettingsError."""
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

    def hashed(self) -> dict[str, Any]:
        """The flat settings that can change a run's numbers: not where it is recorded or run.

        `data.name` and `data.root` are not among them; what they lead to is known by its hash.
        """
        elsewhere = ("tracking.", "sweep.", "data.name", "data.root")
        return {key: v for key, v in self.flat().items() if not key.startswith(elsewhere)}

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
    items = {item.name: item for item in fields(block)}
    values = {}
    for name, value in given.items():
        key = f"{prefix}{name}"
        if name not in items:
            raise unknown_setting(key, value)
        check = items[name].metadata.get("check")
        if check is None:
            values[name] = _checked(_BLOCKS[name], value, f"{key}.")
            continue
        try:
            values[name] = check(value)
        except ValueError:
            raise invalid_value(key, value, check.expects) from None
    return block(**values)


_BLOCKS: dict[str, Any] = {
    item.name: item.default_factory for item in fields(Settings) if "check" not in item.metadata
}


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
