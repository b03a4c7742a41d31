"""Settings of a run: types, ranges, choices, and the errors for values outside of them.

Hydra composes the values; they are checked here, once, before anything is written.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from operator import attrgetter
from typing import Any

from sgdprobe.config.formatting import did_you_mean, format_value, repr_value
from sgdprobe.config.validators import (
    BOOL,
    DATA_ROOT,
    LAYER_WIDTHS,
    N_JOBS,
    SCHEDULER,
    STORE_URI,
    Validator,
    choice,
    choice_or_file,
    non_empty_str,
    nullable,
    number,
)
from sgdprobe.errors import OwnFileError, SettingsError
from sgdprobe.nn import (
    ACTIVATIONS,
    GRADIENTS,
    INITIALIZERS,
    LOSS_REDUCTIONS,
    LOSSES,
    OPTIMIZERS,
    OUTPUTS,
    SAMPLINGS,
    SOFTMAX_AXIS,
)
from sgdprobe.nn.foreign import ForeignError, foreign_hash, is_foreign, load_foreign
from sgdprobe.nn.functions import activation_function
from sgdprobe.nn.initializers import initializer
from sgdprobe.nn.optimizer import check_optimizer
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
    return setting(default, choice(words), **traits)


# Settings of recording and of execution: they change no number.
_operational = partial(
    setting, affects_results=False, hashed=False, same_in_sweep=True, tunable=False
)


@dataclass(frozen=True)
class DataSettings:
    """The images, and the scale of their pixels."""

    name: str = setting("mnist", non_empty_str("the data's name"), hashed=False, tunable=False)
    root: str | None = setting(
        None,
        nullable(DATA_ROOT),
        hashed=False,
        tunable=False,
    )
    scale: str = _choice("unit", ("unit", "none", "standard"), label="pixels")
    train_images: int | None = setting(None, nullable(number(int, least=1)))
    validation: int = setting(0, number(int, least=0), tunable=False)


@dataclass(frozen=True)
class NetworkSettings:
    """The layers between pixels and classes."""

    hidden: tuple[int, ...] = setting((50,), LAYER_WIDTHS, bare=True)
    activation: str = setting(
        "sigmoid", choice_or_file(ACTIVATIONS, activation_function), bare=True
    )
    output: str = _choice("softmax", OUTPUTS)
    softmax_over: str = _choice("sample", SOFTMAX_AXIS)
    loss: str = _choice("cross_entropy", LOSSES, bare=True)
    loss_reduction: str = _choice("mean", LOSS_REDUCTIONS, label="reduction")


@dataclass(frozen=True)
class InitSettings:
    """The spread of the weights and biases before training."""

    scheme: str = setting("normal", choice_or_file(INITIALIZERS, initializer), bare=True)
    scale: float = setting(0.01, number(float, least=0))
    bias_scale: float = setting(0.0, number(float, least=0))


@dataclass(frozen=True)
class TrainingSettings:
    """The updates; `iterations` or `epochs` is their number, and the other is None."""

    learning_rate: float = setting(0.1, number(float, above=0), label="lr")
    batch_size: int = setting(100, number(int, least=1), label="batch")
    iterations: int | None = setting(10000, nullable(number(int, least=1)))
    epochs: int | None = setting(None, nullable(number(int, least=1)))
    sampling: str = _choice("with_replacement", SAMPLINGS)
    gradient: str = setting("backprop", choice_or_file(GRADIENTS, load_foreign))
    optimizer: str = setting("sgd", choice_or_file(OPTIMIZERS, check_optimizer), bare=True)
    momentum: float = setting(0.9, number(float, least=0, below=1))
    beta1: float = setting(0.9, number(float, least=0, below=1))
    beta2: float = setting(0.999, number(float, least=0, below=1))
    weight_decay: float = setting(0.0, number(float, least=0))


@dataclass(frozen=True)
class TrackingSettings:
    """The store that records runs."""

    uri: str | None = _operational(None, nullable(STORE_URI))
    experiment: str | None = _operational(
        None, nullable(non_empty_str("an MLflow experiment's name"))
    )
    lease: int = _operational(600, number(int, least=10))
    model: bool = _operational(True, BOOL)


@dataclass(frozen=True)
class SweepSettings:
    """Execution of many runs."""

    backend: str = _operational("loky", choice(("loky", "dask", "sequential")))
    scheduler: str | None = _operational(None, nullable(SCHEDULER))
    n_jobs: int = _operational(-1, N_JOBS)
    resume: bool = _operational(True, BOOL)
    fail_fast: bool = _operational(False, BOOL)
    max_kills: int = _operational(2, number(int, least=1))
    dry_run: bool = _operational(False, BOOL)


@dataclass(frozen=True)
class Settings:
    """All settings of one run; make them with `Settings.from_dict`, which checks them."""

    seed: int = setting(0, number(int, least=0), tunable=False)
    dtype: str = _choice("float32", ("float32", "float64"), bare=True)
    bits: str = _choice("native", KERNEL_LEVELS, same_in_sweep=True, tunable=False)
    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    init: InitSettings = field(default_factory=InitSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)

    @classmethod
    def from_dict(cls, nested: Mapping[str, Any]) -> "Settings":
        """Check the values and return the settings; what is missing keeps its default.

        nested : {"seed": 0, "init": {"scale": 0.1}, …}. Raises SettingsError.
        """
        return _checked(dict(_flatten(nested)))

    def flat(self) -> dict[str, Any]:
        """Return {"seed": 0, "data.name": "mnist", …}, in the order of declaration."""
        return {key: attrgetter(key)(self) for key in TRAITS}

    def replace(self, values: Mapping[str, Any]) -> "Settings":
        """Return the settings with other values, by full key; all are checked together.

        Raises SettingsError.
        """
        return _checked({**self.flat(), **values})

    @staticmethod
    def traits(key: str) -> Traits:
        """Return the traits of the setting with this full key, such as init.scale."""
        return TRAITS[key]

    def hashed(self) -> dict[str, Any]:
        """Return the flat settings of a run's key: those that can change its numbers."""
        return {key: value for key, value in self.flat().items() if key not in EXCLUDED}

    def foreign(self) -> dict[str, str]:
        """Return {FILE.py:NAME: SHA-256 of the file} of the functions that are the user's own."""
        training = self.training
        names = (self.network.activation, training.gradient, self.init.scheme, training.optimizer)
        return {name: foreign_hash(name) for name in names if is_foreign(name)}

    @property
    def workload(self) -> str:
        """Return a text that is the same for runs that take about the same time."""
        network, training = self.network, self.training
        epochs = training.epochs
        length = f"{epochs} epochs" if epochs else f"{training.iterations} updates"
        return (
            f"{format_value(network.hidden)} {network.activation} {self.dtype}, {length} of "
            f"{training.batch_size} by {training.gradient}, on {self.data.root or self.data.name}"
        )

    def key(self, *hashes: str) -> str:
        """Return a run's identity: a hash of hashed() and of the hashes of data and source."""
        text = json.dumps([self.hashed(), *hashes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _flatten(nested: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if name not in BLOCKS:
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{key}", item) for key, item in value.items())
        else:
            raise invalid_value(name, value, "a block of settings")


def _checked(flat: Mapping[str, Any]) -> Settings:
    """Return the settings with these values, by full key. Raises SettingsError."""
    blocks: dict[str, dict[str, Any]] = {name: {} for name in ("", *BLOCKS)}
    for key, value in flat.items():
        if key not in TRAITS:
            raise unknown_setting(key, value)
        block, _, name = key.rpartition(".")
        blocks[block][name] = check_value(key, value, TRAITS[key].check)
    made = {name: block(**blocks[name]) for name, block in BLOCKS.items()}
    settings = Settings(**blocks[""], **made)
    _check_together(settings)
    return settings


def check_value(key: str, value: Any, check: Validator) -> Any:
    """Return the value in its own type. Raises SettingsError, which names the key."""
    try:
        return check(value)
    except ForeignError as error:
        raise OwnFileError(f"{key}={value}: {error}") from error
    except ValueError:
        raise invalid_value(key, value, check.expects) from None


def invalid_value(key: str, value: Any, expects: str) -> SettingsError:
    """Return the error of a value that is not accepted."""
    return SettingsError(f"{key} must be {expects}; got {repr_value(value)}")


def unknown_setting(key: str, value: Any) -> SettingsError:
    """Return the error of a setting that does not exist, with those of its block or the nearest."""
    block, _, name = key.rpartition(".")
    names = [other for other in TRAITS if block and other.startswith(f"{block}.")]
    names = names or [item.name for item in fields(Settings)]
    last = {traits.label: other for other, traits in TRAITS.items()}
    last |= {other.rpartition(".")[2]: other for other in TRAITS} | OTHER_WORDS
    meant = last.get(name.lower())
    near = f"; did you mean {meant}?" if meant else did_you_mean(key, TRAITS)
    return SettingsError(
        f"{key}={format_value(value)}: no such setting; there are {', '.join(names)}{near}"
    )


# Words of other libraries and of textbooks for what a setting does here.
OTHER_WORDS = {
    **dict.fromkeys(("adam", "adagrad", "solver"), "training.optimizer"),
    **dict.fromkeys(("alpha", "eta"), "training.learning_rate"),
    **dict.fromkeys(("dropout", "l2"), "training.weight_decay"),
    **dict.fromkeys(("depth", "layers", "units", "width"), "network.hidden"),
    **dict.fromkeys(("steps", "updates"), "training.iterations"),
    "momentum": "training.optimizer=momentum with training.momentum",
    "random_state": "seed",
}


def _traits() -> Iterator[tuple[str, Traits]]:
    for item in fields(Settings):
        block = BLOCKS.get(item.name)
        for each in fields(block) if block else [item]:
            traits: Traits = each.metadata["traits"]
            key = f"{item.name}.{each.name}" if block else item.name
            yield key, replace(traits, label=traits.label or each.name)


BLOCKS: dict[str, Any] = {
    item.name: item.default_factory for item in fields(Settings) if not item.metadata
}
TRAITS = dict(_traits())
OPERATIONAL = frozenset(key for key, traits in TRAITS.items() if not traits.affects_results)
EXCLUDED = frozenset(key for key, traits in TRAITS.items() if not traits.hashed)


def _check_together(settings: Settings) -> None:
    """Raise SettingsError for values that contradict each other."""
    training = settings.training
    if (training.iterations is None) == (training.epochs is None):
        raise SettingsError(
            "training.iterations or training.epochs must be null, and only one of them; "
            f"got training.iterations={format_value(training.iterations)} and "
            f"training.epochs={format_value(training.epochs)}"
            + ("; to count epochs, type training.iterations=null too" if training.epochs else "")
        )
    sweep = settings.sweep
    if sweep.scheduler is not None and sweep.backend != "dask":
        raise invalid_value("sweep.scheduler", sweep.scheduler, "null without sweep=dask")
    if sweep.scheduler is not None and sweep.n_jobs != -1:
        expects = "-1 with sweep.scheduler, whose workers are used, all of them"
        raise invalid_value("sweep.n_jobs", sweep.n_jobs, expects)
    if settings.data.root is None and settings.data.name != "mnist":
        raise invalid_value("data.name", settings.data.name, "mnist while data.root is null")


def check_against_data(settings: Settings, examples: int) -> None:
    """Raise SettingsError if a batch, or the images held out, are more than the data has."""
    held_out, size = settings.data.validation, settings.training.batch_size
    of = "the number of training images"
    if held_out >= examples:
        raise invalid_value("data.validation", held_out, f"less than {examples}, {of}")
    kept = settings.data.train_images or examples - held_out
    if kept > examples - held_out:
        left = "those that are not held out" if held_out else of
        raise invalid_value("data.train_images", kept, f"at most {examples - held_out}, {left}")
    if size > kept:
        raise invalid_value("training.batch_size", size, f"at most {kept}, {of}")
