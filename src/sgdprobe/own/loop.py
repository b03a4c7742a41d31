"""Record a training loop of the user's own, in NumPy or PyTorch, beside sgdprobe's runs.

    with record("mine", seed=0, learning_rate=0.1) as run:
        for epoch in range(10):
            ...  # train
            run.epoch(loss=loss, train_accuracy=train, test_accuracy=test)

Arrays may be NumPy's or PyTorch's tensors; PyTorch is not imported here.
"""

import hashlib
import inspect
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from sgdprobe import tracking
from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import TRAITS, Settings
from sgdprobe.errors import SettingsError, StoreError, UserError
from sgdprobe.nn import DivergedError, EpochMetrics
from sgdprobe.nn.functions import ACTIVATIONS
from sgdprobe.nn.symptoms import GRADIENT_SYMPTOMS, SLOPE_SYMPTOMS
from sgdprobe.provenance.source import file_hash
from sgdprobe.rules import findings
from sgdprobe.rules.course import Course
from sgdprobe.run.ending import ending

Array = NDArray[Any]
PROGRAM = "program.py"  # the artifact: the file that recorded the run


def record(
    name: str,
    *,
    seed: int | None = None,
    activation: str | None = None,
    classes: int = 10,
    uri: str | None = None,
    run_name: str | None = None,
    **settings: Any,
) -> "OwnRun":
    """Return a run to record in a `with` block, in the experiment `name`.

    activation : of the hidden layers, sigmoid, relu, tanh or identity; needed where `epoch` is
    given activations. classes : for the accuracy of a guess. uri : the store; by default that of
    the commands. settings : recorded as parameters; a name such as learning_rate that is the end of
    one setting of sgdprobe is recorded as that one, training.learning_rate.

    Raises UserError for a wrong argument, StoreError for a store that cannot be used.
    """
    caller = inspect.stack()[1].filename
    params = {"seed": seed, **settings, "activation": activation}
    params = {_full_key(key): value for key, value in params.items() if value is not None}
    if activation is not None and activation not in ACTIVATIONS:
        raise UserError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
    if not isinstance(classes, int) or classes < 2:
        raise UserError(f"classes must be an integer of at least 2; got {classes!r}")
    return OwnRun(name, params, classes, uri, run_name, Path(caller))


def _full_key(word: str) -> str:
    """Return the setting of sgdprobe that ends in this word, if it is one alone; else the word."""
    ends = [key for key in TRAITS if key.rpartition(".")[2] == word]
    return ends[0] if len(ends) == 1 else word


class OwnRun:
    """A run of a user's own loop: FINISHED at the end of its block, FAILED or KILLED by an error.

    run_id : its id in the store, once the block has begun.
    """

    def __init__(
        self,
        name: str,
        params: Mapping[str, Any],
        classes: int,
        uri: str | None,
        run_name: str | None,
        program: Path,
    ) -> None:
        self._name, self._params, self._classes = name, dict(params), classes
        self._uri, self._program = uri, program
        self._run_name = run_name or _run_name(self._params)
        self._losses: list[float] = []  # of the epoch so far
        self._epochs: list[EpochMetrics] = []
        self._weights: dict[str, Array] = {}
        self._never: list[int] = []
        self._recorder: tracking.OwnRunRecorder | None = None

    @property
    def run_id(self) -> str:
        """The id of the run in the store."""
        return self._open.run_id

    @property
    def _open(self) -> "tracking.OwnRunRecorder":
        if self._recorder is None:
            raise UserError("record(…) must be used in a with block: with record(…) as run:")
        return self._recorder

    def __enter__(self) -> "OwnRun":
        store = tracking.open_experiment(self._uri, self._name)
        texts = {key: format_value(_plain(value)) for key, value in self._params.items()}
        self._recorder = tracking.OwnRunRecorder(store, self._run_name, texts, self._tags(texts))
        self._recorder.__enter__()
        if self._program.is_file():
            self._recorder.text(PROGRAM, self._program.read_text(encoding="utf-8"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        recorder = self._open
        try:
            self._finish(isinstance(error, DivergedError))
        finally:
            recorder.__exit__(kind, error, trace)
        with suppress(StoreError):  # the run is recorded; only MLflow's columns are as they were
            tracking.show(recorder.store, list(self._params))

    def _tags(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return the tags of the run; runs with equal seed, settings and program have one key."""
        is_file = self._program.is_file()
        source = file_hash(self._program) if is_file else hashlib.sha256(b"").hexdigest()
        same = texts if is_file and "seed" in texts else {"": uuid4().hex}
        key = json.dumps([self._name, dict(same), source], sort_keys=True)
        return {
            "recipe": self._name,
            "own_loop": self._program.name if is_file else "interactive",
            "source_hash": source,
            "key": hashlib.sha256(key.encode()).hexdigest(),
            "mlflow.source.name": " ".join(sys.argv) or self._program.name,
            "mlflow.source.type": "LOCAL",
            **({"seed": texts["seed"]} if "seed" in texts else {}),
        }

    def update(self, loss: Any) -> None:
        """Note the loss of one update, before it. They are recorded, and their mean is the epoch's.

        Raises DivergedError for a loss that is NaN or infinite: nothing can be learned any more.
        """
        value = _number("loss", loss)
        if not math.isfinite(value):
            at = sum(len(epoch.losses) for epoch in self._epochs) + len(self._losses) + 1
            raise DivergedError(f"the loss became {value} at update {at:,}")
        self._losses.append(value)

    def epoch(
        self,
        *,
        train_accuracy: Any,
        test_accuracy: Any,
        loss: Any = None,
        validation_accuracy: Any = None,
        network: Any = None,
        params: Mapping[str, Any] | None = None,
        gradients: Mapping[str, Any] | None = None,
        activations: Sequence[Any] | None = None,
        predicted: Any = None,
    ) -> None:
        """Record an epoch that has ended.

        loss : mean over its updates; None: of those that `update` was told. Accuracies : 0 … 1,
        over all examples. network : a PyTorch module, whose parameters and gradients are taken.
        params, gradients : arrays by name, W1, b1, W2, … or 0.weight, 0.bias, …; those with the
        same number, or the same words before the last dot, are one layer. activations : outputs of
        each hidden layer for the same examples at each epoch, (n, units). predicted : the class
        that each test example is given.

        Raises DivergedError for a loss or weights that are NaN or infinite, UserError for another
        wrong value.
        """
        recorder, number = self._open, len(self._epochs) + 1
        if loss is None and not self._losses:
            raise UserError(f"epoch {number} has no loss: give loss=…, or each loss to run.update")
        mean = float(np.mean(self._losses)) if loss is None else _number("loss", loss)
        if not math.isfinite(mean):
            raise DivergedError(f"the loss became {mean} in epoch {number}")
        self._keep_weights(params if network is None else dict(network.named_parameters()), number)
        if gradients is None and network is not None:
            gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
        signs = gradient_symptoms(gradients or {})
        signs |= slope_symptoms(activations or (), self._params.get("network.activation"))
        if predicted is not None:
            seen = {int(k) for k in np.unique(_array(predicted))}
            self._never = [k for k in range(self._classes) if k not in seen]
        before = self._epochs[-1].updates if self._epochs else 0
        validation = validation_accuracy
        metrics = EpochMetrics(
            number,
            before + len(self._losses),
            mean,
            _share("train_accuracy", train_accuracy),
            _share("test_accuracy", test_accuracy),
            None if validation is None else _share("validation_accuracy", validation),
            signs,
            np.array(self._losses),
        )
        recorder.epoch(metrics)
        self._epochs.append(metrics)
        self._losses = []

    def _keep_weights(self, params: Mapping[str, Any] | None, epoch: int) -> None:
        if params is None:
            return
        self._weights = {name: np.array(_array(values)) for name, values in params.items()}
        wrong = [name for name, values in self._weights.items() if not np.isfinite(values).all()]
        if wrong:
            raise DivergedError(f"the weights {wrong[0]} became infinite or NaN in epoch {epoch}")

    def _finish(self, diverged: bool) -> None:
        """Record how the run went: its ending, what rules find in it, its last weights."""
        recorder, epochs = self._open, self._epochs
        losses = np.concatenate([*(metrics.losses for metrics in epochs), np.array(self._losses)])
        tags = {"diagnostic.ending": last} if (last := ending(epochs, self._classes)) else {}
        if len(losses):
            tags["diagnostic.first_loss"] = repr(float(losses[0]))
            recorder.arrays("losses.npz", {"loss": losses})
        if self._weights:
            recorder.arrays("weights.npz", self._weights)
        course = Course(self._settings(), epochs, self._never, diverged)
        tags |= {f"course.{found.name}": found.text for found in findings("after", course)}
        recorder.tags(tags)

    def _settings(self) -> Settings:
        """Return sgdprobe's settings as far as the run's are the same, for the rules."""
        settings = Settings()
        layers = {n for e in self._epochs for n in e.symptoms if n.startswith("saturated_")}
        given = {"network.hidden": (1,) * len(layers), **self._params}
        for key, value in given.items():
            if key in TRAITS:
                try:
                    settings = settings.replace({key: _plain(value)})
                except SettingsError:  # such as an optimizer that sgdprobe does not have
                    continue
        return settings


def _run_name(params: Mapping[str, Any]) -> str:
    """Return the settings by their short names, the seed last, as the names of other runs."""
    words = []
    for key, value in params.items():
        traits = TRAITS.get(key)
        label = key if traits is None else traits.label
        bare = traits is not None and traits.bare
        if key != "seed":
            words.append(format_value(_plain(value)) if bare else f"{label}={format_value(value)}")
    words += [f"seed={params['seed']}"] if "seed" in params else []
    return " ".join(words)[:200] or "run"


def _plain(value: Any) -> Any:
    """Return NumPy's and PyTorch's numbers as Python's, other values as they are."""
    return value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value


def _array(values: Any) -> Array:
    """Return an array, also of a PyTorch tensor on any device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def _number(word: str, value: Any) -> float:
    array = _array(value)
    if array.ndim or array.dtype.kind not in "fiu":
        raise UserError(f"{word} must be one number; got {value!r:.60}")
    return float(array)


def _share(word: str, value: Any) -> float:
    share = _number(word, value)
    if not 0 <= share <= 1:
        hint = "; divide percent by 100" if 1 < share <= 100 else ""
        raise UserError(f"{word} must be between 0 and 1; got {share:g}{hint}")
    return share


def layers_of(names: Sequence[str]) -> dict[str, int]:
    """Return the layer, from 1, of each parameter's name.

    By its last number, where all names are letters and a number; else by what stands before the
    last dot, in the order of appearance.
    """
    numbers = [re.fullmatch(r"[A-Za-z_]+?(\d+)", name) for name in names]
    groups = [
        found[1] if found and all(numbers) else name.rpartition(".")[0] or name
        for name, found in zip(names, numbers, strict=True)
    ]
    ordered = list(dict.fromkeys(groups))
    if all(numbers):
        ordered.sort(key=int)
    return {name: ordered.index(group) + 1 for name, group in zip(names, groups, strict=True)}


def gradient_symptoms(gradients: Mapping[str, Any]) -> dict[str, float]:
    """Return gradient_norm_k of each layer, as sgdprobe's runs have it."""
    layers = layers_of(list(gradients))
    signs = {}
    for k in sorted(set(layers.values())):
        arrays = [_array(gradients[name]).astype(np.float64).ravel()
                  for name, layer in layers.items() if layer == k]  # fmt: skip
        whole = np.concatenate(arrays)
        for name, of in GRADIENT_SYMPTOMS.items():
            signs[f"{name}_{k}"] = of(whole, np.empty(0))
    return signs


def slope_symptoms(activations: Sequence[Any], activation: str | None) -> dict[str, float]:
    """Return saturated_k and dead_k of each hidden layer, from its outputs. Raises UserError."""
    if len(activations) and activation is None:
        raise UserError("activations need record(…, activation=…): sigmoid, relu, tanh or identity")
    signs = {}
    for k, outputs in enumerate(activations, start=1):
        h = _array(outputs).astype(np.float64)
        if h.ndim != 2 or not h.size:
            raise UserError(f"activations of layer {k} must be (n, units); got {h.shape}")
        function = ACTIVATIONS[str(activation)]
        slope = np.abs(function.derivative(h, np.empty_like(h)))
        for name, of in SLOPE_SYMPTOMS.items():
            signs[f"{name}_{k}"] = of(slope, function.max_slope)
    return signs


__all__ = ["OwnRun", "record"]
