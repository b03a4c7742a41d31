"""Differences between two recipes as factors with two levels, and the cells they span."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sgdprobe.config.formatting import counted, format_value
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
    """Return the differences, in the order in which settings are declared."""
    a, b = comparable(baseline), comparable(target)
    groups: dict[str, list[str]] = {}
    for key in a:
        if a[key] != b[key]:
            group = next((name for name, keys in COUPLED.items() if key in keys), key)
            groups.setdefault(group, []).append(key)
    return tuple(
        Factor(
            keys[0] if len(keys) == 1 else group,
            tuple(keys),
            (tuple(a[key] for key in keys), tuple(b[key] for key in keys)),
        )
        for group, keys in groups.items()
    )


def name_of(settings: Settings, recipes: Mapping[str, Settings]) -> str:
    """Name settings after the nearest recipe: notes, or notes + 2 changes; precision aside."""
    changes = {
        name: sum(factor.name != "dtype" for factor in compare(recipe, settings))
        for name, recipe in recipes.items()
    }
    nearest = min(changes, key=lambda name: changes[name])
    count = changes[nearest]
    return f"{nearest} + {counted(count, 'change')}" if count else nearest


def select(
    factors: Sequence[Factor], names: Sequence[str], option: str = "--factors"
) -> tuple[Factor, ...]:
    """Return the named factors; a name is the factor's own or that of one of its settings.

    Raises UserError for an unknown name.
    """
    for name in names:
        if not any(name == factor.name or name in factor.keys for factor in factors):
            known = ", ".join(factor.name for factor in factors)
            raise UserError(f"{option} {name}: no such difference; choose from {known}")
    return tuple(f for f in factors if f.name in names or set(f.keys) & set(names))


def merge(factors: Sequence[Factor], groups: Sequence[Sequence[str]]) -> tuple[Factor, ...]:
    """Make one factor of each group, at the place of its first member. Raises UserError."""
    found = list(factors)
    for names in groups:
        option = f"--group {','.join(names)}"
        members = select(factors, names, "--group")
        if len(members) < 2:
            raise UserError(f"{option}: give at least two differences, A,B")
        if not set(members) <= set(found):
            raise UserError(f"{option}: a difference can be in one group only")
        levels = (sum((one.levels[level] for one in members), ()) for level in (0, 1))
        keys = tuple(key for one in members for key in one.keys)
        whole = Factor("+".join(one.name for one in members), keys, (next(levels), next(levels)))
        found[found.index(members[0])] = whole
        found = [factor for factor in found if factor not in members]
    return tuple(found)
