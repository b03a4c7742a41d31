"""Validators of settings: one for each kind of value."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sgdprobe.nn.foreign import is_foreign
from sgdprobe.paths import absolute_path, absolute_uri


@dataclass(frozen=True)
class Validator:
    """Call it with a value: it returns the value in its own type or raises ValueError.

    expects : completes the sentence "KEY must be …", so that every error names the choices.
    words : all or some of the values, for tab completion.
    """

    expects: str
    convert: Callable[[Any], Any]
    words: tuple[str, ...] = ()

    def __call__(self, value: Any) -> Any:
        return self.convert(value)


def _require(condition: bool, value: Any) -> Any:
    if not condition:
        raise ValueError
    return value


def number(
    kind: type[int] | type[float],
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Validator:
    """Accept finite numbers; 1 counts as 1.0, but True is no number and 1.5 no integer."""
    limits = {"above": above, "of at least": least, "below": below}
    given = [f"{word} {limit:g}" for word, limit in limits.items() if limit is not None]
    noun = "an integer" if kind is int else "a finite number"

    def convert(value: Any) -> float:
        _require(isinstance(value, int | kind) and not isinstance(value, bool), value)
        try:
            result = kind(value)
        except OverflowError:  # an integer beyond the largest float
            raise ValueError from None
        _require(isinstance(result, int) or math.isfinite(result), value)
        _require(least is None or result >= least, value)
        _require(above is None or result > above, value)
        _require(below is None or result < below, value)
        return result

    return Validator(f"{noun} {' and '.join(given)}".rstrip(), convert)


def choice(words: Iterable[str]) -> Validator:
    """Accept one of some words."""
    known = tuple(words)
    return Validator(
        f"one of {', '.join(known)}",
        lambda value: _require(isinstance(value, str) and value in known, value),
        known,
    )


def choice_or_file(words: Iterable[str], load: Callable[[str], Any]) -> Validator:
    """Accept one of some words, or FILE.py:NAME or MODULE:NAME, which `load` tries.

    It raises ForeignError for what is of no use.
    """
    listed = choice(words)

    def convert(value: Any) -> str:
        if isinstance(value, str) and is_foreign(value):
            load(value)
            return value
        word: str = listed(value)
        return word

    return Validator(f"{listed.expects}, or FILE.py:NAME", convert, listed.words)


def non_empty_str(expects: str = "a text") -> Validator:
    """Accept text of at least one character that is not a space."""
    return Validator(
        expects, lambda value: _require(isinstance(value, str) and value.strip() != "", value)
    )


def _path(value: Any) -> str:
    return absolute_path(_require(isinstance(value, str) and value.strip() != "", value))


def _uri(value: Any) -> str:
    return absolute_uri(_require(isinstance(value, str), value))


def nullable(check: Validator) -> Validator:
    """Accept null, and the values that another validator accepts."""
    return Validator(
        f"{check.expects}, or null",
        lambda value: None if value is None else check(value),
        (*check.words, "null"),
    )


def _widths(value: Any) -> tuple[int, ...]:
    width = number(int, least=1)
    return tuple(width(item) for item in _require(isinstance(value, list | tuple), value))


DATA_ROOT = Validator("a folder with the four IDX files, or a .npz file", _path)
STORE_URI = Validator("an MLflow tracking URI such as sqlite:///FILE or http://HOST:PORT", _uri)
SCHEDULER = Validator(
    "a Dask scheduler's address such as tcp://HOST:8786 or tls://HOST:8786",
    lambda v: _require(bool(re.fullmatch(r"(tcp|tls)://[^\s/@]+:\d+", str(v))), v),
)
BOOL = Validator(
    "true or false", lambda value: _require(isinstance(value, bool), value), ("true", "false")
)
LAYER_WIDTHS = Validator("a list of integers of at least 1, such as [50,100] or []", _widths)
N_JOBS = Validator(  # negative counts from all cores, as in joblib
    "an integer other than 0 (-1: one for each core)",
    lambda value: _require(number(int)(value) != 0, value),
)
