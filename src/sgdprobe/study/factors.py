"""What two recipes differ in, as factors with two levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import OPERATIONAL, Settings
from sgdprobe.errors import UserError

# Settings that mean nothing without each other change together: a scale is a scheme's.
COUPLED = {
    "init": ("init.scheme", "init.scale"),
    "training.length": ("training.iterations", "training.epochs"),
    "data": ("data.name", "data.root"),
}


@dataclass(frozen=True)
class Factor:
    """Settings that change together: `levels[0]` are the first recipe's values of `keys`."""

    name: str
    keys: tuple[str, ...]
    levels: tuple[tuple[Any, ...], tuple[Any, ...]]

    def values(self, level: int) -> dict[str, Any]:
        """The settings at a level, by key."""
        return dict(zip(self.keys, self.levels[level], strict=True))

    def format_level(self, level: int) -> str:
        """A level as one would type it: 0.01, or normal 1."""
        return " ".join(format_value(value) for value in self.levels[level])


def comparable(settings: Settings) -> dict[str, Any]:
    """The flat settings in which recipes can differ: the seed is the design's to choose."""
    excluded = OPERATIONAL | {"seed"}
    return {key: value for key, value in settings.flat().items() if key not in excluded}


def compare(first: Settings, second: Settings) -> tuple[Factor, ...]:
    """The differences, in the order in which settings are declared. Raises Refusal if none."""
    a, b = comparable(first), comparable(second)
    groups: dict[str, list[str]] = {}
    for key in a:
        if a[key] != b[key]:
            together = next((name for name, keys in COUPLED.items() if key in keys), key)
            groups.setdefault(together, []).append(key)
    if not groups:
        raise UserError("the two recipes don't differ: there is nothing to explain")
    return tuple(
        Factor(
            keys[0] if len(keys) == 1 else group,
            tuple(keys),
            (tuple(a[key] for key in keys), tuple(b[key] for key in keys)),
        )
        for group, keys in groups.items()
    )


def select(factors: Sequence[Factor], words: Sequence[str]) -> tuple[Factor, ...]:
    """The factors that are named, by their own name or by one of their settings.

    All of them if no word is given. Raises Refusal for a word that names none.
    """
    for word in words:
        if not any(word == factor.name or word in factor.keys for factor in factors):
            names = ", ".join(factor.name for factor in factors)
            raise UserError(f"--factors {word}: no such difference; there are {names}")
    return tuple(
        factor
        for factor in factors
        if not words or factor.name in words or set(factor.keys) & set(words)
    )
