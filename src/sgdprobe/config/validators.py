"""What a setting accepts: one small class for each kind of value.

Each is called with a value and returns it in its own type, or raises ValueError. `expects`
completes the sentence "KEY must be …", so that every refusal can name the choices.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol


class Validator(Protocol):
    """What all of them have in common."""

    @property
    def expects(self) -> str:
        """The end of the sentence "KEY must be …"."""
        ...

    def __call__(self, value: Any) -> Any:
        """The value in its own type. Raises ValueError if it is not accepted."""
        ...


@dataclass(frozen=True)
class Number:
    """A finite number of one kind, with an optional lowest value, itself allowed or not."""

    kind: type[int] | type[float]
    least: float | None = None
    above: float | None = None

    @property
    def expects(self) -> str:
        """For example "an integer of at least 1"."""
        noun = "an integer" if self.kind is int else "a finite number"
        if self.above is not None:
            return f"{noun} above {self.above:g}"
        return noun if self.least is None else f"{noun} of at least {self.least:g}"

    def __call__(self, value: Any) -> float:
        """1 is a number too where 1.0 is asked for; True is neither, and 1.5 is no integer."""
        if isinstance(value, bool) or not isinstance(value, int | self.kind):
            raise ValueError
        try:
            number = self.kind(value)
        except OverflowError:  # an integer beyond the largest float
            raise ValueError from None
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError
        if self.above is not None and number <= self.above:
            raise ValueError
        if self.least is not None and number < self.least:
            raise ValueError
        return number


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def expects(self) -> str:
        """For example "one of unit, none, standard"."""
        return f"one of {', '.join(self.words)}"

    def __call__(self, value: Any) -> str:
        """The word."""
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return value


@dataclass(frozen=True)
class NonEmptyStr:
    """Words of any kind, at least one character."""

    expects: str = "a text"

    def __call__(self, value: Any) -> str:
        """The text."""
        if not isinstance(value, str) or not value.strip():
            raise ValueError
        return value


@dataclass(frozen=True)
class Bool:
    """true or false."""

    expects: str = "true or false"

    def __call__(self, value: Any) -> bool:
        """The flag; 0 and 1 are numbers."""
        if not isinstance(value, bool):
            raise ValueError
        return value


@dataclass(frozen=True)
class LayerWidths:
    """A list of layer widths; empty for softmax regression."""

    expects: str = "a list of integers of at least 1, such as [50,100] or []"

    def __call__(self, value: Any) -> tuple[int, ...]:
        """The widths as a tuple, which can be hashed."""
        if not isinstance(value, list | tuple):
            raise ValueError
        return tuple(int(Number(int, least=1)(width)) for width in value)


@dataclass(frozen=True)
class NJobs:
    """A number of processes; negative counts from all cores, as joblib does."""

    expects: str = "an integer other than 0 (-1: one for each core)"

    def __call__(self, value: Any) -> int:
        """The number."""
        number = int(Number(int)(value))
        if number == 0:
            raise ValueError
        return number


@dataclass(frozen=True)
class Nullable:
    """null, or what another check accepts."""

    check: Any

    @property
    def expects(self) -> str:
        """The other's words, and null."""
        return f"{self.check.expects}, or null"

    def __call__(self, value: Any) -> Any:
        """None or the other's value."""
        return None if value is None else self.check(value)
