"""The plan of a sweep: a frozen list of jobs, checked before the first one starts."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sgdprobe.config.formatting import format_value, run_name
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError
from sgdprobe.run.build import load_data
from sgdprobe.run.job import NO_RECIPE, Job


@dataclass(frozen=True)
class Plan:
    """Jobs without duplicates, in the order of their axes.

    varied : the settings that differ between jobs, in the order of the axes.
    """

    sweep: str
    jobs: tuple[Job, ...]
    varied: tuple[str, ...]
    duplicates: int

    @classmethod
    def of(cls, cells: Sequence[tuple[Settings, str | None]], axes: Sequence[str]) -> "Plan":
        """Return the plan of these settings, each with its recipe.

        Raises SettingsError or DataError for settings that no run can have.
        """
        unique = list(dict.fromkeys(cells))
        flats = [settings.flat() for settings, _ in unique]
        differing = [key for key in flats[0] if len({flat[key] for flat in flats}) > 1]
        for key in differing:
            if Settings.traits(key).same_in_sweep:
                values = ", ".join(
                    format_value(v) for v in dict.fromkeys(flat[key] for flat in flats)
                )
                raise SettingsError(f"{key} must be the same in all runs of a sweep; got {values}")
        for settings, _ in unique:
            load_data(settings)
        sweep = new_sweep_id()
        varied = _in_order(differing, [axis.lstrip("+") for axis in axes])
        several = len({recipe for _, recipe in unique}) > 1
        jobs = [_job(settings, recipe, sweep, varied, several) for settings, recipe in unique]
        return cls(sweep, tuple(jobs), varied, duplicates=len(cells) - len(unique))


def new_sweep_id() -> str:
    """Return an id that begins with the time, and that no other sweep has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _in_order(differing: Sequence[str], axes: Sequence[str]) -> tuple[str, ...]:
    """Return the settings on the axes; a group, such as network, is an axis of all its settings."""
    on_axes = [key for axis in axes for key in differing if axis in (key, key.partition(".")[0])]
    return tuple(dict.fromkeys(on_axes))


def _job(
    settings: Settings, recipe: str | None, sweep: str, varied: Sequence[str], several: bool
) -> Job:
    """Return a job, whose name differs from that of every other job of the sweep."""
    recipe = recipe or NO_RECIPE
    tags = {"recipe": recipe, "sweep": sweep, "seed": str(settings.seed)}
    name = run_name(settings, varied)
    return Job(settings, recipe, f"{recipe} {name}" if several else name, tags)


def same_program(one: Settings, other: Settings) -> bool:
    """Return whether two settings differ at most in seed and precision."""
    differing = {k for k, v in one.hashed().items() if other.hashed()[k] != v}
    return one.data == other.data and differing <= {"seed", "dtype"}
