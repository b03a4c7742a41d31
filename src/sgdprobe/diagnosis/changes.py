"""Changes of a recipe: the neighbourhood of every setting, textbook values, and their faults."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError
from sgdprobe.nn import updates_per_epoch
from sgdprobe.rules import Change
from sgdprobe.rules.rule import scaled
from sgdprobe.run.build import load_data

RATE_FACTORS = (0.01, 0.1, 0.3, 3.0, 10.0, 100.0)
LONGER = 3  # times the updates
# Learning rates that suit the optimizers for images of 0 … 1 and a loss that is a mean.
RATES = {"sgd": 0.1, "momentum": 0.01, "adagrad": 0.01, "adam": 0.001}
BATCHES = (10, 100, 500)
WIDTHS = ((50,), (100,), (50, 100))
MAX_WIDTH = 500  # of a doubled layer
LIGHT_DECAY = 1e-4

# Each class of faults, and the settings whose change repairs it; for the learning rate see below.
FAULT_OF = {
    "data.scale": "pixels",
    "data.train_images": "few_images",
    "network.hidden": "layers",
    "network.activation": "activation",
    "network.output": "output",
    "network.softmax_over": "output",
    "network.loss": "loss",
    "network.loss_reduction": "loss",
    "init.scheme": "weights",
    "init.scale": "weights",
    "init.bias_scale": "weights",
    "training.batch_size": "batch_size",
    "training.optimizer": "optimizer",
    "training.momentum": "optimizer",
    "training.weight_decay": "weight_decay",
    "training.gradient": "gradient",
    "training.sampling": "batch_size",
    "training.iterations": "too_short",
    "training.epochs": "too_short",
    "dtype": "gradient",
}


def init_of(scheme: str, scale: float) -> Change:
    """Return initial weights of a scheme, with biases that start at 0."""
    return {"init.scheme": scheme, "init.scale": scale, "init.bias_scale": 0.0}


def updates_of(settings: Settings, images: int) -> int:
    """Return the run's length in updates."""
    training = settings.training
    if training.epochs is None:
        return int(training.iterations or 0)
    return training.epochs * updates_per_epoch(images, training.batch_size)


def of_length(updates: int) -> Change:
    """Return the settings of a run of so many updates."""
    return {"training.iterations": updates, "training.epochs": None}


def neighbourhood(settings: Settings, updates: int) -> list[Change]:
    """Return single changes, at least one of every setting that can repair a network.

    Left out are the seed, which is no cause; the data's folder and the images held out; bits; and
    central differences, which compute the same gradient in a thousand times the time.
    """
    return distinct(settings, _neighbours(settings, updates))


def _neighbours(settings: Settings, updates: int) -> Iterator[Change]:
    data, network, init, training = (
        settings.data,
        settings.network,
        settings.init,
        settings.training,
    )
    yield from ({"training.learning_rate": scaled(training.learning_rate, f)} for f in RATE_FACTORS)
    yield from (init_of("xavier", 1.0), init_of("he", 1.0), init_of("normal", 0.01))
    yield {"init.bias_scale": 0.0}
    yield from ({"data.scale": scale} for scale in ("unit", "standard"))
    yield from ({"network.activation": name} for name in ("relu", "sigmoid", "tanh"))
    yield {"network.softmax_over": "sample"}
    yield {"network.output": "softmax"}
    yield from ({"network.loss": name} for name in ("cross_entropy", "mean_squared_error"))
    yield {"network.loss_reduction": "mean"}
    yield {"training.gradient": "backprop"}
    yield {"training.weight_decay": 0.0 if training.weight_decay else LIGHT_DECAY}
    for name, rate in RATES.items():
        if name != training.optimizer:
            yield {"training.optimizer": name, "training.learning_rate": rate}
    if training.optimizer == "momentum":
        yield {"training.momentum": 0.9}
    yield from ({"training.batch_size": size} for size in BATCHES)
    yield {"training.sampling": "permutation"}
    yield of_length(LONGER * updates)
    yield {"data.train_images": None, **of_length(updates)}
    hidden = network.hidden
    wider = tuple(max(width, min(2 * width, MAX_WIDTH)) for width in hidden)
    yield from ({"network.hidden": widths} for widths in (wider, hidden[:1], *WIDTHS))
    yield {"dtype": "float64"}
    if data.scale == "none":
        yield {"data.scale": "unit", **init_of("xavier", 1.0)}
    if init.scheme == "normal" and network.activation == "relu":
        yield {"network.activation": "sigmoid", **init_of("xavier", 1.0)}


def textbook(settings: Settings, updates: int) -> list[Change]:
    """Return the changes that give each setting a customary value, where it has another.

    Together they make a network that learns, if any settings do; which of them are needed is
    found by leaving them out one after another.
    """
    network, training = settings.network, settings.training
    usual = ("sigmoid", "relu", "tanh")
    activation = network.activation if network.activation in usual else "relu"
    scheme = "he" if activation == "relu" else "xavier"
    shape = all(width >= WIDTHS[0][0] // 2 for width in network.hidden) and len(network.hidden) < 4
    changes: list[Change] = [
        {"data.scale": "standard" if settings.data.scale == "standard" else "unit"},
        {"network.hidden": network.hidden if shape and network.hidden else WIDTHS[1]},
        {"network.activation": activation},
        {"network.output": "softmax"},
        {"network.softmax_over": "sample"},
        {"network.loss": "cross_entropy"},
        {"network.loss_reduction": "mean"},
        init_of(scheme, 1.0),
        {"training.learning_rate": RATES.get(training.optimizer, training.learning_rate)},
        {"training.weight_decay": 0.0},
        {"training.gradient": "backprop"},
    ]
    if training.batch_size > BATCHES[-1] or training.batch_size < BATCHES[0]:
        changes.append({"training.batch_size": BATCHES[1]})
    return distinct(settings, changes)


def distinct(settings: Settings, changes: Iterable[Change]) -> list[Change]:
    """Return the changes that change something, each once, without those that cannot be made."""
    found: dict[Settings, Change] = {}
    flat = settings.flat()
    for change in changes:
        kept = {key: value for key, value in change.items() if flat[key] != value}
        try:
            changed = settings.replace(kept)
            load_data(changed)  # a batch may be more than there are images
        except SettingsError:
            continue
        if changed != settings:
            found.setdefault(changed, kept)
    return list(found.values())


def merged(changes: Sequence[Change]) -> Change | None:
    """Return all changes in one; None where two of them give a setting different values."""
    whole: dict[str, Any] = {}
    for change in changes:
        for key, value in change.items():
            if whole.get(key, value) != value:
                return None
            whole[key] = value
    return whole


def fault_of(settings: Settings, change: Change) -> str:
    """Return the class of faults that a single change repairs."""
    keys = [key for key in FAULT_OF if key in change and key not in LENGTH] or [*change]
    if "training.optimizer" in change:
        return "optimizer"
    if keys[0] == "training.learning_rate":
        higher = change["training.learning_rate"] > settings.training.learning_rate
        return "learning_rate_low" if higher else "learning_rate_high"
    return FAULT_OF[keys[0]]


LENGTH = ("training.iterations", "training.epochs")


def words_of(change: Change) -> str:
    """Return a change as it is typed: KEY=VALUE KEY=VALUE."""
    return " ".join(f"{key}={format_value(value)}" for key, value in change.items())
