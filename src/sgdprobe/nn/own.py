"""Functions of a user's own: an activation, an initializer. They are tried before they are used.

Each refusal is a ForeignError of one line with the values that are wrong.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.nn.foreign import ForeignError, has_foreign, load_foreign

Array = NDArray[np.floating[Any]]

STEP = 1e-5  # of central differences, in float64
MAX_SLOPE_ERROR = 1e-4  # of a derivative, times its size where that is above 1
# Inputs that an activation is tried with; none is near a whole number, where kinks lie.
INPUTS = np.linspace(-9.9871, 9.9913, 2000)
# Fans that an initializer is tried with.
FANS = ((784, 50), (50, 100), (100, 10), (1, 1))


def own_activation(name: str) -> tuple[Callable[..., Array], Callable[..., Array], float]:
    """Return the function FILE.py:NAME, its derivative, and the largest slope between -10 and 10.

    Both take a : (n, units) and return an array of its shape. The derivative is NAME_derivative of
    the same file, held against central differences; without one, central differences are the
    derivative, and the function must treat each element by itself. Raises ForeignError.
    """
    word = name.rpartition(":")[2]
    function = load_foreign(name)
    table = INPUTS.reshape(40, 50)
    for a in (table, table.astype(np.float32)):
        _values(word, function, a)
    slopes = _slopes(function, table)
    if has_foreign(f"{name}_derivative"):
        derivative = load_foreign(f"{name}_derivative")
        _check_derivative(word, derivative, table, slopes)
    else:
        _check_elementwise(word, function, table)
        derivative = central_derivative(function)
    return function, derivative, float(np.abs(slopes).max())


def _slopes(function: Callable[[Array], Array], a: Array) -> Array:
    """Return the derivative of each output by the input in its place : the shape of a.

    A function that mixes the units of an example, such as a softmax, has others beside these.
    """
    slopes = np.empty_like(a)
    for unit in range(a.shape[1]):
        step = np.zeros_like(a)
        step[:, unit] = STEP
        slopes[:, unit] = ((function(a + step) - function(a - step)) / (2 * STEP))[:, unit]
    return slopes


def central_derivative(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return the derivative of an activation by central differences, computed in float64."""

    def derivative(a: Array) -> Array:
        wide = a.astype(np.float64)
        slopes: Array = (function(wide + STEP) - function(wide - STEP)) / (2 * STEP)
        return slopes

    return derivative


def own_initializer(name: str) -> Callable[[int, int], float]:
    """Return the function FILE.py:NAME of (fan_in, fan_out), which gives a standard deviation.

    Every value that it returns is checked, first those for some usual layers. Raises ForeignError.
    """
    word, function = name.rpartition(":")[2], load_foreign(name)

    def checked(fan_in: int, fan_out: int) -> float:
        std = tried(word, function, fan_in, fan_out)
        call = f"{word}({fan_in}, {fan_out})"
        if np.ndim(std) or isinstance(std, str | bool) or std is None:
            raise ForeignError(
                f"{call} must return one number, the standard deviation of the weights; "
                f"got {described(std)}"
            )
        if not (np.isfinite(std) and std >= 0):
            raise ForeignError(f"{call} must return a standard deviation of 0 or more; got {std}")
        return float(std)

    for fans in FANS:
        checked(*fans)
    return checked


def tried(word: str, function: Any, *args: Any, **named: Any) -> Any:
    """Return what a user's function returns. Raises ForeignError for what it raises."""
    if not callable(function):
        raise ForeignError(f"{word} must be a function; got {described(function)}")
    try:
        with np.errstate(all="ignore"):
            return function(*args, **named)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ForeignError(f"{word} cannot be called: {text}") from error


def described(value: Any) -> str:
    """Return a value for a message: an array by its shape and type."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:60]}…"


def _values(word: str, function: Any, a: Array) -> Array:
    """Return what a function makes of a, checked to be of a's shape and finite, and a unchanged."""
    given = a.copy()
    values = tried(word, function, given)
    if not isinstance(values, np.ndarray) or values.shape != a.shape or values.dtype.kind != "f":
        raise ForeignError(
            f"{word}(a) must return floats of the shape of a, {a.shape}; got {described(values)}"
        )
    if not np.array_equal(given, a):
        raise ForeignError(f"{word}(a) changes a; it must return a new array")
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values.ravel()))[0])
        raise ForeignError(f"{word}({a.ravel()[at]:.6g}) is {values.ravel()[at]}")
    return values


def _check_elementwise(word: str, function: Any, table: Array) -> None:
    """Raise ForeignError for a function that gives an element another value among other ones."""
    values = _values(word, function, table)
    alone = _values(word, function, INPUTS[:100].reshape(100, 1)).ravel()
    differing = np.abs(values.ravel()[:100] - alone) > 1e-9 * (1 + np.abs(alone))
    if differing.any():
        at = int(np.argmax(differing))
        raise ForeignError(
            f"{word} must treat each element by itself; {word}({INPUTS[at]:.6g}) is "
            f"{values.ravel()[at]:.6g} in one array and {alone[at]:.6g} in another; or give "
            f"{word}_derivative, the slopes that a program uses"
        )


def _check_derivative(word: str, derivative: Any, table: Array, slopes: Array) -> None:
    """Raise ForeignError where the derivative is not that of central differences."""
    name = f"{word}_derivative"
    given, slopes = _values(name, derivative, table).ravel(), slopes.ravel()
    errors = np.abs(given - slopes) / np.maximum(1, np.abs(slopes))
    worst = int(errors.argmax())
    if errors[worst] > MAX_SLOPE_ERROR:
        raise ForeignError(
            f"{name}({INPUTS[worst]:.6g}) is {given[worst]:.6g}; "
            f"central differences of {word} give {slopes[worst]:.6g}"
        )
