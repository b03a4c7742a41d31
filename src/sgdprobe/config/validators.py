"""Validators of settings: one small class for each kind of value.

Each is called with a value and returns it in its own type, or raises ValueError. `expects`
completes the sentence "KEY must be …", so that every error names the choices.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol


class Validator(Protocol):
    """Interface of all validators."""

    @property
    def expects(self) -> str: ...

    def __call__(self, value: Any) -> Any: ...


@dataclass(frozen=True)
class Number:
    """A finite number of one kind, at least `least` or greater than `above`.

    1 is accepted for 1.0; True is no number, and 1.5 is no integer.
    """

    kind: type[int] | type[float]
    least: float | None = None
    above: float | None = None
    below: float | None = None

    @property
    def expects(self) -> str:
        noun = "an integer" if self.kind is int else "a finite number"
        limits = {"above": self.above, "of at least": self.least, "below": self.below}
        given = [f"{word} {limit:g}" for word, limit in limits.items() if limit is not None]
        return " ".join([noun, " and ".join(given)]).rstrip()

    def __call__(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | self.kind):
            raise ValueError
        try:
            number = self.kind(value)
        except OverflowError:  # an integer beyond the largest float
            raise ValueError from None
        infinite = isinstance(number, float) and not math.isfinite(number)
        too_low = (self.above is not None and number <= self.above) or (
            self.least is not None and number < self.least
        )
        if infinite or too_low:
            raise ValueError
        if self.below is not None and number >= self.below:
            raise ValueError
        return number


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def expects(self) -> str:
        return f"one of {', '.join(self.words)}"

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return value


@dataclass(frozen=True)
class NonEmptyStr:
    """Text of at least one character that is not a space."""

    expects: str = "a text"

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError
        return value


@dataclass(frozen=True)
class Bool:
    """true or false; 0 and 1 are numbers."""

    expects: str = "true or false"

    def __call__(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value


@dataclass(frozen=True)
class LayerWidths:
    """A list of layer widths; empty for softmax regression."""

    expects: str = "a list of integers of at least 1, such as [50,100] or []"

    def __call__(self, value: Any) -> tuple[int, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError
        return tuple(int(Number(int, least=1)(width)) for width in value)


@dataclass(frozen=True)
class NJobs:
    """A number of processes; negative counts from all cores, as in joblib."""

    expects: str = "an integer other than 0 (-1: one for each core)"

    def __call__(self, value: Any) -> int:
        number = int(Number(int)(value))
        if number == 0:
            raise ValueError
        return number


@dataclass(frozen=True)
class Nullable:
    """null, or a value that another validator accepts."""

    check: Any

    @property
    def expects(self) -> str:
        return f"{self.check.expects}, or null"

    def __call__(self, value: Any) -> Any:
        return None if value is None else self.check(value)
