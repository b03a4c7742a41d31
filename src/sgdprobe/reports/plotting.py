"""The style of all figures: colours, panels, axes; and a figure as the bytes of a file."""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sgdprobe.study.intervals import Array

mpl.rcdefaults()
mpl.rcParams["text.parse_math"] = False  # a name from a store may have a $

# Okabe and Ito's colours, which can be told apart without colour vision.
BLUE, ORANGE, BLACK, GREY = "#0072B2", "#D55E00", "#000000", "#777777"
# Styles of lines: colour, marker and dashes all differ.
STYLES = (
    (BLACK, "o", "-"), (ORANGE, "s", "--"), (BLUE, "^", "-."), ("#009E73", "D", ":"),
    ("#CC79A7", "v", "-"), ("#E69F00", "x", "--"),
)  # fmt: skip
COLUMNS = 3
WIDTH = 9.0  # inches


def svg(figure: Figure) -> bytes:
    """Return the figure as SVG; the same figure gives the same bytes, whenever it is drawn."""
    with mpl.rc_context({"svg.hashsalt": "sgdprobe", "svg.fonttype": "path"}):
        stream = io.BytesIO()
        # savefig() would draw all of it once more, only to lay it out.
        canvas: Any = FigureCanvasSVG(figure)  # matplotlib's own has no types
        canvas.print_svg(stream, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, dpi=120)
    return stream.getvalue()


def single(height: float) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure with `count` panels in rows of at most three, all on the same scales."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, height * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.ravel())
    for empty in axes[count:]:
        empty.remove()
    for lowest in axes[max(count - columns, 0) : count]:
        lowest.tick_params(labelbottom=True)
    return figure, axes[:count]


def despine(axes: Axes) -> None:
    """Show a light grid and no box."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def whole_epochs(axes: Axes) -> None:
    """Show ticks at whole epochs only, also for a single one."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def accuracy_over_epochs(axes: Axes) -> None:
    """Show epochs below and accuracies, in percent, on the left."""
    whole_epochs(axes)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    despine(axes)


def mean_and_band(axes: Axes, curve: Array, label: str, style: tuple[str, str, str]) -> None:
    """Draw the mean of (seeds, epochs), and a band from the lowest seed to the highest."""
    colour, marker, dashes = style
    epochs = np.arange(1, curve.shape[1] + 1)
    axes.plot(epochs, curve.mean(axis=0), color=colour, marker=marker, linestyle=dashes,
              label=label, linewidth=1.2, markersize=3)  # fmt: skip
    low, high = curve.min(axis=0), curve.max(axis=0)
    axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)


def legend_above(figure: Figure, grid: list[Axes]) -> None:
    """Show one legend for all panels."""
    pairs = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in grid)
    handles = {label: handle for pair in pairs for handle, label in pair}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3,
                  frameon=False, fontsize=8)  # fmt: skip


def accuracy_over_saturation(groups: Mapping[str, Array]) -> Figure:
    """Draw saturation of layer 1 and test accuracy of each run : (runs, 2), by label."""
    figure, axes = single(3.7)
    for (label, runs), (colour, marker, _) in zip(groups.items(), STYLES * len(groups)):  # noqa: B905
        axes.plot(*runs.T, marker, color=colour, label=label, fillstyle="none")
    axes.set(xlabel="share of saturated units in layer 1, at the end", ylabel="test accuracy")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(fontsize=8, loc="best")
    despine(axes)
    return figure
