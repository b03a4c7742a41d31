"""The figures of a sweep or a run for a notebook, whose own style they leave as it was."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from sgdprobe.nn import EpochMetrics
from sgdprobe.nn.functions import Array
from sgdprobe.reports.sweep import SweepTable


def inline_sweep_figures(table: SweepTable) -> dict[str, Figure]:
    """Draw a sweep; figures by name."""
    with mpl.rc_context():  # `plotting` sets matplotlib's defaults when it is imported
        from sgdprobe.reports.figures.sweep import sweep_figures

        mpl.rcdefaults()
        return _by_name(sweep_figures(table))


def inline_run_figures(
    epochs: Sequence[EpochMetrics], losses: Array | None, title: str
) -> dict[str, Figure]:
    """Draw a run; figures by name. Arguments as of `run_figures`."""
    with mpl.rc_context():
        from sgdprobe.reports.figures.run import run_figures

        mpl.rcdefaults()
        return _by_name(run_figures(epochs, losses, title))


def _by_name(figures: dict[str, Figure]) -> dict[str, Figure]:
    return {file.partition(".")[0]: figure for file, figure in figures.items()}
