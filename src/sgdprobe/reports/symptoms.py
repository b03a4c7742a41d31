"""Diagnostics of the cells near baseline and target."""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.study.diagnostics import FinalDiagnostics
from sgdprobe.study.factors import Cell
from sgdprobe.study.intervals import Estimate


class DiagnosticsRow(NamedTuple):
    """A cell in the tables of diagnostics; the effect is None for baseline and target.

    symptoms : of each that is shown, its mean after the first epoch and after the last.
    """

    sign: str
    name: str
    cell: Cell
    effect: Estimate | None
    first_loss: float | None
    last_loss: float | None
    least_loss: float | None
    never_predicted: str | None
    symptoms: list[tuple[float, float] | None]


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None without values."""
    return float(np.mean(values)) if values else None


def first_and_last(series: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Return the mean of the first values and that of the last; None without series."""
    if not series:
        return None
    first, last = (float(np.mean([values[at] for values in series])) for at in (0, -1))
    return first, last


def least_loss(settings: Settings) -> float | None:
    """Return the least possible loss; None if it is not known in closed form.

    A softmax over the batch shares its 1 among the samples: a perfect network gives each 1 / n.
    """
    if settings.network.softmax_over == "sample":
        return 0.0
    is_entropy = settings.network.loss == "cross_entropy"
    return log(settings.training.batch_size) if is_entropy else None


def never_predicted(ends: Sequence[FinalDiagnostics]) -> str | None:
    """Return the classes that some of the runs never predict, and the number of those runs."""
    found = [end.never_predicted for end in ends if end.never_predicted is not None]
    if not found:
        return None
    classes = sorted({one for classes in found for one in classes})
    runs = sum(bool(classes) for classes in found)
    return f"{', '.join(map(str, classes))} in {runs} of {len(found)} runs" if classes else "none"
