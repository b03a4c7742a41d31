"""Differences between two recipes as factors with two levels, and the cells they span."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import OPERATIONAL, Settings
from sgdprobe.errors import UserError

# A level for each factor: 0 as in the baseline, 1 as in the target.
Cell = tuple[int, ...]

# Settings that change together, because one has no meaning without the other.
COUPLED = {
    "init": ("init.scheme", "init.scale"),
    "training.length": ("training.iterations", "training.epochs"),
    "data": ("data.name", "data.root"),
}


@dataclass(frozen=True)
class Factor:
    """Settings that change together: `levels[0]` are the baseline's values of `keys`."""

    name: str
    keys: tuple[str, ...]
    levels: tuple[tuple[Any, ...], tuple[Any, ...]]

    def values(self, level: int) -> dict[str, Any]:
        """Return the settings at a level, by key."""
        return dict(zip(self.keys, self.levels[level], strict=True))

    def format_level(self, level: int) -> str:
        """Format a level as a person types it: 0.01, or normal 1."""
        return " ".join(format_value(value) for value in self.levels[level])


def all_cells(k: int) -> list[Cell]:
    """Return the 2^k cells of k factors, in the order of a C array."""
    return list(product((0, 1), repeat=k))


def cell_id(cell: Cell) -> str:
    """Name a cell: one digit for each factor, 1 where it is as in the target."""
    return "".join(map(str, cell))


def comparable(settings: Settings) -> dict[str, Any]:
    """Return the flat settings in which recipes can differ; seeds belong to the study."""
    excluded = OPERATIONAL | {"seed"}
    return {key: value for key, value in settings.flat().items() if key not in excluded}


def compare(baseline: Settings, target: Settings) -> tuple[Factor, ...]:
    """Return the differences, in the order in which settings are declared.

    Raises UserError if there is none.
    """
    a, b = comparable(baseline), comparable(target)
    groups: dict[str, list[str]] = {}
    for key in a:
        if a[key] != b[key]:
            group = next((name for name, keys in COUPLED.items() if key in keys), key)
            groups.setdefault(group, []).append(key)
    if not groups:
        raise UserError("the two recipes do not differ: there is nothing to explain")
    return tuple(
        Factor(
            keys[0] if len(keys) == 1 else group,
            tuple(keys),
            (tuple(a[key] for key in keys), tuple(b[key] for key in keys)),
        )
        for group, keys in groups.items()
    )


def select(factors: Sequence[Factor], names: Sequence[str]) -> tuple[Factor, ...]:
    """Return the named factors; a name is the factor's own or that of one of its settings.

    Without names, all of them. Raises UserError for an unknown name.
    """
    for name in names:
        if not any(name == factor.name or name in factor.keys for factor in factors):
            known = ", ".join(factor.name for factor in factors)
            raise UserError(f"--factors {name}: no such difference; choose from {known}")
    return tuple(
        factor
        for factor in factors
        if not names or factor.name in names or set(factor.keys) & set(names)
    )
