"""What a sweep will run: a frozen list of jobs, checked before the first one starts."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sgdprobe.assembly import load_data
from sgdprobe.naming import run_name
from sgdprobe.run import NO_RECIPE, Job
from sgdprobe.settings import Settings, SettingsError, shown


@dataclass(frozen=True)
class Plan:
    """Jobs without duplicates, in the order of their axes.

    `varied` names the settings that differ between jobs, in the order in which they were given.
    """

    sweep: str
    jobs: tuple[Job, ...]
    varied: tuple[str, ...]
    merged: int

    @classmethod
    def of(cls, cells: Sequence[tuple[Settings, str | None]], axes: Sequence[str]) -> "Plan":
        """The plan of these settings, each with its recipe.

        Raises SettingsError or DataError for anything that no run could honour.
        """
        unique = list(dict.fromkeys(cells))
        flats = [settings.flat() for settings, _ in unique]
        varied = tuple(axis for axis in axes if len({flat.get(axis) for flat in flats}) > 1)
        for key in flats[0]:
            if key.startswith(("tracking.", "sweep.", "bits")) and key in varied:
                values = ", ".join(shown(value) for value in {flat[key] for flat in flats})
                raise SettingsError(f"{key} must be the same in all runs of a sweep; got {values}")
        for settings, _ in unique:
            load_data(settings)
        sweep = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        jobs = [_job(settings, recipe, sweep, varied) for settings, recipe in unique]
        return cls(sweep, tuple(jobs), varied, merged=len(cells) - len(unique))


def _job(settings: Settings, recipe: str | None, sweep: str, varied: Sequence[str]) -> Job:
    name = recipe or NO_RECIPE
    tags = {"recipe": name, "sweep": sweep, "seed": str(settings.seed)}
    return Job(settings, name, run_name(settings, varied), tags)


def same_program(one: Settings, other: Settings) -> bool:
    """Whether two settings differ at most in seed and precision."""
    differing = {k for k, v in one.numbers().items() if other.numbers()[k] != v}
    return one.data == other.data and differing <= {"seed", "dtype"}
