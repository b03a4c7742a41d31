"""The runs of a study: a full factorial with paired seeds, and one more for each tuned value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from sgdprobe.config.settings import Settings
from sgdprobe.errors import UserError
from sgdprobe.run.build import load_data, run_key
from sgdprobe.study.factors import (
    Cell,
    Factor,
    all_cells,
    comparable,
    compare,
    merge,
    name_of,
    select,
)
from sgdprobe.study.spec import StudySpec
from sgdprobe.sweep.plan import Plan

Run = tuple[Cell, int]  # a cell and a seed

# One in so many training images is held out to choose tuned values: 10,000 of MNIST's 60,000.
VALIDATION_FRACTION = 6


@dataclass(frozen=True)
class Factorial:
    """Every combination of the factors' levels, each with seeds 0 … n - 1.

    base : settings of the baseline, which hold wherever no factor changes them.
    left_out : differences between the recipes that stay as in the baseline.
    """

    base: Settings
    factors: tuple[Factor, ...]
    seeds: int
    left_out: tuple[Factor, ...] = ()

    @classmethod
    def between(
        cls,
        baseline: Settings,
        target: Settings,
        names: Sequence[str],
        seeds: int,
        groups: Sequence[Sequence[str]] = (),
    ) -> "Factorial":
        """Vary the named differences between two recipes, or all of them. Raises UserError.

        groups : names of differences that are one factor.
        """
        differences = compare(baseline, target)
        if not differences:
            raise UserError("the two recipes do not differ: there is nothing to explain")
        factors = select(differences, names) if names else differences
        load_data(baseline)
        left_out = tuple(factor for factor in differences if factor not in factors)
        return cls(baseline, merge(factors, groups), seeds, left_out)

    def name_corners(self, recipes: Mapping[str, Settings]) -> tuple[str, str]:
        """Name baseline and target after the recipes that they are; equal names get numbers."""
        first, second = (name_of(self.settings(cell, 0), recipes) for cell in self.corners)
        return (f"{first} (1)", f"{second} (2)") if first == second else (first, second)

    @property
    def names(self) -> list[str]:
        """The factors' names."""
        return [factor.name for factor in self.factors]

    @property
    def baseline(self) -> Cell:
        """The cell of the baseline."""
        return (0,) * len(self.factors)

    @property
    def target(self) -> Cell:
        """The cell of the target."""
        return (1,) * len(self.factors)

    @property
    def corners(self) -> tuple[Cell, Cell]:
        """Baseline and target."""
        return self.baseline, self.target

    def cells(self) -> list[Cell]:
        """All cells, the baseline first and the target last."""
        return all_cells(len(self.factors))

    def near_corners(self) -> list[Cell]:
        """The corners and the cells one change away from either."""
        k = len(self.factors)
        return [cell for cell in self.cells() if sum(cell) <= 1 or sum(cell) >= k - 1]

    def baseline_with(self, i: int) -> Cell:
        """The baseline with only factor i changed."""
        return tuple(int(j == i) for j in range(len(self.factors)))

    def target_without(self, i: int) -> Cell:
        """The target with only factor i changed back."""
        return tuple(int(j != i) for j in range(len(self.factors)))

    def settings(self, cell: Cell, seed: int) -> Settings:
        """Return the settings of one run. Raises SettingsError if they contradict themselves."""
        values: dict[str, Any] = {"seed": seed}
        for factor, level in zip(self.factors, cell, strict=True):
            values |= factor.values(level)
        return self.base.replace(values)

    def runs(self) -> Iterator[Run]:
        """Every cell with every seed."""
        return product(self.cells(), range(self.seeds))

    @cached_property
    def keys(self) -> dict[Run, str]:
        """The key of each run, under which any store knows it."""
        keys = {}
        for cell, seed in self.runs():
            settings = self.settings(cell, seed)
            keys[cell, seed] = run_key(settings, load_data(settings))
        return keys

    @property
    def axes(self) -> list[str]:
        """The settings that factors change."""
        return [key for factor in self.factors for key in factor.keys]

    def held_fixed(self) -> dict[str, Any]:
        """The settings that no factor changes."""
        return {k: v for k, v in comparable(self.base).items() if k not in self.axes}


@dataclass(frozen=True)
class Study:
    """All runs of a study: a factorial at the recipes' values, then one at each tuned value."""

    spec: StudySpec
    factorials: tuple[Factorial, ...]

    @classmethod
    def of(
        cls, spec: StudySpec, own: Factorial, tuned: Sequence[tuple[Settings, Settings]] = ()
    ) -> "Study":
        """Design the study of a factorial, and of its recipes at each tuned value.

        Raises UserError.
        """
        factorials = [own, *(_tuned_factorial(spec, *pair) for pair in tuned)]
        place = {"tracking.experiment": own.base.tracking.experiment or spec.name}
        return cls(spec, tuple(replace(one, base=one.base.replace(place)) for one in factorials))

    @property
    def factorial(self) -> Factorial:
        """The factorial at the recipes' values."""
        return self.factorials[0]

    @property
    def tuned(self) -> tuple[Factorial, ...]:
        """The factorial at each tuned value."""
        return self.factorials[1:]

    @cached_property
    def keys(self) -> set[str]:
        """The keys of all runs; factorials can share runs."""
        return {key for factorial in self.factorials for key in factorial.keys.values()}

    def missing(self, recorded: Mapping[str, object]) -> list[tuple[Factorial, Run]]:
        """Return the runs whose key is not among the recorded ones, each once."""
        missing = {
            key: (factorial, run)
            for factorial in self.factorials
            for run, key in factorial.keys.items()
            if key not in recorded
        }
        return list(missing.values())

    def plan(self, runs: Sequence[tuple[Factorial, Run]]) -> Plan:
        """Plan a sweep over these runs, tagged with the study's name."""
        axes = self.factorial.axes
        if self.tuned:
            axes += [self.spec.tuned, "data.validation"]
        settings = [factorial.settings(*run) for factorial, run in runs]
        plan = Plan.of([(one, None) for one in settings], axes)
        tag = {"study": self.spec.name}
        return replace(plan, jobs=tuple(replace(job, tags=job.tags | tag) for job in plan.jobs))


def _tuned_factorial(spec: StudySpec, baseline: Settings, target: Settings) -> Factorial:
    """Design the factorial at one tuned value; recipes that hold images out keep their number."""
    option = f"--tune {spec.tuned}"
    names = [name for name in spec.factors if name != spec.tuned]
    if spec.factors and not names:
        raise UserError(f"{option}: it is the only factor; a tuned setting cannot be a factor")
    if any(spec.tuned in group for group in spec.groups):
        raise UserError(f"{option}: a tuned setting cannot be in a group")
    images = len(load_data(baseline).train_images)
    held_out = baseline.data.validation or images // VALIDATION_FRACTION
    try:
        factorial = Factorial.between(baseline, target, names, spec.seeds, spec.groups)
    except UserError as error:
        raise UserError(f"{option}: at one value of it, {error}") from error
    if "data.validation" in factorial.axes:
        raise UserError(
            f"{option}: the recipes differ in data.validation, the images that choose the best "
            "value; give both the same with --fix"
        )
    base = factorial.base.replace({"data.validation": held_out})
    load_data(base)
    return replace(factorial, base=base)
