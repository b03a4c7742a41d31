"""A network class of the user's with the book's interface: loaded, made, called, given weights."""

import inspect
import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data import load
from sgdprobe.errors import UserError
from sgdprobe.nn.foreign import ForeignError, foreign_file, load_foreign
from sgdprobe.own.source import Place, place_of_error

Array = NDArray[Any]

SIZES = (784, 50, 10)
METHODS = ("predict", "loss", "gradient")
SIZE_NAMES = ("input_size", "hidden_size", "output_size")
BATCHES = (7, 11, 13, 17, 19)  # sizes of a batch: one that is no size of the network
LEARNED = 20  # examples to be learned by heart
START = 100  # examples of the first loss


class CallFailed(Exception):  # noqa: N818 (an event)
    """A method of the user's raised an error; place : the line of their file."""

    def __init__(self, method: str, error: BaseException, place: Place | None) -> None:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        super().__init__(f"{method}() raises {text}")
        self.place = place


@contextmanager
def quiet() -> Iterator[None]:
    """Let the user's program compute NaN without a warning: the checks look for it."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def call(net: Any, method: str, file: Path, *arguments: Any) -> Any:
    """Return what a method returns. Raises CallFailed."""
    try:
        with quiet():
            return getattr(net, method)(*arguments)
    except Exception as error:
        raise CallFailed(method, error, place_of_error(error, file)) from error


@dataclass(frozen=True)
class NetworkClass:
    """A class FILE.py:NAME, and the arguments with which it is made."""

    name: str
    kind: type
    file: Path
    arguments: Sequence[Any] = ()
    named: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(
        cls, name: str, sizes: Sequence[int] = SIZES, given: Mapping[str, Any] | None = None
    ) -> "NetworkClass":
        """Load a class and find out its arguments. Raises UserError.

        sizes : input, hidden, output, for a constructor like the book's; its own names for them
        are input_size, hidden_size and output_size. given : other arguments by name.
        """
        try:
            kind, file = load_foreign(name), foreign_file(name)
        except ForeignError as error:
            raise UserError(f"{name}: {error}") from error
        if not isinstance(kind, type):
            raise UserError(f"{name} is no class but {type(kind).__name__}")
        found = cls(name, kind, file, *_arguments(kind, sizes, given or {}))
        found.new()
        return found

    def new(self) -> Any:
        """Make a network; NumPy's global random numbers, which the book uses, start anew."""
        np.random.seed(0)  # noqa: NPY002
        try:
            with quiet():
                return self.kind(*self.arguments, **self.named)
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            where = place_of_error(error, self.file)
            at = f", at {where}" if where else ""
            words = [*map(repr, self.arguments), *(f"{k}={v!r}" for k, v in self.named.items())]
            raise UserError(
                f"{self.kind.__name__}({', '.join(words)}) cannot be made{at}: {text}; "
                "--sizes and --with give other arguments"
            ) from error

    @property
    def module(self) -> ModuleType:
        """The module that defines the class."""
        return sys.modules[self.kind.__module__]

    def method(self, name: str) -> Any:
        """The function of a method."""
        return getattr(self.kind, name)


def _arguments(
    kind: type, sizes: Sequence[int], given: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments by position and by name for a class's constructor."""
    try:
        parameters = inspect.signature(kind).parameters
    except (TypeError, ValueError):
        return (), dict(given)
    by_name: dict[str, Any] = dict(zip(SIZE_NAMES, sizes, strict=True))
    if "hidden_size_list" in parameters:
        by_name["hidden_size_list"] = [sizes[1]]
    named = {name: value for name, value in by_name.items() if name in parameters}
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        p for p in parameters.values() if p.default is p.empty and p.kind in kinds
        and p.name not in named and p.name not in given
    ]  # fmt: skip
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    if not named and (takes_any or len(needed) == len(sizes)):
        return tuple(sizes), dict(given)
    return (), {**named, **given}


@dataclass(frozen=True)
class Subject:
    """A network class under examination: batches, and networks with new weights."""

    network: NetworkClass

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter."""
        return {name: values.shape for name, values in self.network.new().params.items()}

    @cached_property
    def inputs(self) -> int:
        """The number of inputs: the constructor's input_size, else the rows of the first matrix."""
        size = self.network.named.get("input_size", (*self.network.arguments, None)[0])
        return int(size or self._matrices[0][0])

    @cached_property
    def classes(self) -> int:
        """The number of outputs: the constructor's, else the columns of the last matrix."""
        size = self.network.named.get("output_size")
        if len(self.network.arguments) == len(SIZES):
            size = self.network.arguments[-1]
        return int(size or self._matrices[-1][-1])

    @property
    def _matrices(self) -> list[tuple[int, ...]]:
        return [shape for shape in self.shapes.values() if len(shape) > 1] or [SIZES]

    @cached_property
    def batch(self) -> tuple[Array, Array]:
        """A few examples with random inputs : (n, inputs), 0 … 1, and integer labels."""
        taken = {size for shape in self.shapes.values() for size in shape}
        n = next(size for size in BATCHES if size not in taken)
        rng = np.random.default_rng(1)
        return rng.random((n, self.inputs)), rng.integers(0, self.classes, n)

    @property
    def labelled_batch(self) -> tuple[Array, Array]:
        """The batch with its labels in a form that the network takes."""
        x, t = self.batch
        return x, self.labels(t)

    def examples(self, n: int) -> tuple[Array, Array]:
        """The first n images of MNIST, 0 … 1, if they fit; else random inputs with labels."""
        if self.inputs == 784 and self.classes == 10:
            data = load("mnist", None)
            return data.train_images[:n] / 255, data.train_labels[:n].astype(np.intp)
        rng = np.random.default_rng(2)
        return rng.random((n, self.inputs)), np.arange(n) % self.classes

    def one_hot(self, t: Array) -> Array:
        """Labels as rows of 0s and a 1, in float64."""
        return np.eye(self.classes)[t]

    @cached_property
    def tame(self) -> Any:
        """A network in float64 whose weights are neither small nor large, and not symmetric.

        The arrays are changed in place, so layers that share them see it.
        """
        net = self.network.new()
        before = list(net.params.values())  # alive, so that no other object gets their ids
        _replace(net, {id(values): values.astype(np.float64) for values in before}, set())
        rng = np.random.default_rng(3)
        for values in net.params.values():
            spread = rng.standard_normal(values.shape)
            if values.ndim > 1:
                values[...] = spread / math.sqrt(values.shape[0])
            else:
                values += 0.1 * spread
        return net

    def predict(self, net: Any, x: Array) -> Array:
        """Call the method; its result as an array. Raises CallFailed."""
        return np.asarray(call(net, "predict", self.network.file, x))

    def loss(self, net: Any, x: Array, t: Array) -> Any:
        """Call the method. Raises CallFailed."""
        return call(net, "loss", self.network.file, x, t)

    def gradient(self, net: Any, x: Array, t: Array) -> Any:
        """Call the method; its arrays are copied, since it may use them again.

        Raises CallFailed.
        """
        grads = call(net, "gradient", self.network.file, x, t)
        return {k: np.array(v) for k, v in grads.items()} if isinstance(grads, dict) else grads

    @cached_property
    def forms(self) -> dict[str, tuple[float, Any] | Exception]:
        """Loss and gradient of the batch with each form of labels, or the error that it raises."""
        x, t = self.batch
        found: dict[str, tuple[float, Any] | Exception] = {}
        for name, labels in (("one-hot", self.one_hot(t)), ("integer", t)):
            try:
                loss = float(self.loss(self.tame, x, labels))
                found[name] = loss, self.gradient(self.tame, x, labels)
            except (CallFailed, TypeError, ValueError) as error:
                found[name] = error
        return found

    def labels(self, t: Array) -> Array:
        """Return integer labels in a form that the network takes, one-hot if it can."""
        return t if isinstance(self.forms["one-hot"], Exception) else self.one_hot(t)


def _replace(thing: Any, new: Mapping[int, Array], seen: set[int]) -> None:
    """Put new arrays in the place of others, by identity, in all that an object holds."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    content: Any = thing if isinstance(thing, dict | list) else getattr(thing, "__dict__", {})
    pairs = list(content.items() if isinstance(content, dict) else enumerate(content))
    for key, value in pairs:
        if id(value) in new:
            content[key] = new[id(value)]
        elif _has_content(value):
            _replace(value, new, seen)


def _has_content(value: Any) -> bool:
    if isinstance(value, type | ModuleType) or inspect.isroutine(value):
        return False
    return isinstance(value, dict | list) or hasattr(value, "__dict__")
