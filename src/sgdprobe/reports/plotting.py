"""The style of all figures: colours, panels, axes; and a figure as the bytes of a file."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from textwrap import fill
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
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
# Text on a colour of data, which is the same on a light and on a dark page.
ON_LIGHT, ON_DARK = "#010101", "#fefefe"
WIDTH = 9.0  # inches
MARKS = "sgdprobe_marks"


class Layout(NamedTuple):
    """The room of a figure: its width in inches, panels, small boxes and letters in a row."""

    width: float
    columns: int
    boxes: int
    letters: int


WIDE, NARROW = Layout(WIDTH, 3, 8, 90), Layout(4.2, 1, 4, 36)
_layout = ContextVar("layout", default=WIDE)


class Mark(NamedTuple):
    """A tooltip on a part of a figure, and the place of the page that it leads to."""

    text: str
    anchor: str


@contextmanager
def narrow() -> Iterator[None]:
    """Draw for a phone."""
    token = _layout.set(NARROW)
    try:
        yield
    finally:
        _layout.reset(token)


def layout() -> Layout:
    """Return the room that figures have now."""
    return _layout.get()


def mark(artist: Artist, *marks: Mark) -> None:
    """Give an artist a tooltip and a link, or, with several, each of its points or lines."""
    setattr(artist, MARKS, marks)


def marks_of(artist: Artist) -> tuple[Mark, ...]:
    """Return the marks of an artist."""
    return getattr(artist, MARKS, ())


def wrapped(text: str) -> str:
    """Return an axis's label in as many lines as it needs."""
    return fill(text, layout().letters)


def svg(figure: Figure, text: Literal["path", "none"] = "path") -> bytes:
    """Return the figure as SVG; the same figure gives the same bytes, whenever it is drawn.

    text : "path" draws its letters, "none" leaves them text.
    """
    with mpl.rc_context({"svg.hashsalt": "sgdprobe", "svg.fonttype": text}):
        stream = io.BytesIO()
        # savefig() would draw all of it once more, only to lay it out.
        canvas: Any = FigureCanvasSVG(figure)  # matplotlib's own has no types
        canvas.print_svg(stream, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def single(height: float) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes."""
    figure = Figure(figsize=(layout().width, height), layout="constrained")
    return figure, figure.subplots()


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure with `count` panels in rows of at most three, all on the same scales."""
    columns = min(layout().columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(layout().width, height * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.ravel())
    for empty in axes[count:]:
        empty.remove()
    for lowest in axes[max(count - columns, 0) : count]:
        lowest.tick_params(labelbottom=True)
    return figure, axes[:count]


def two(height: float) -> tuple[Figure, tuple[Axes, Axes]]:
    """Make a figure with two different pairs of axes, below each other where it is narrow."""
    rows, columns = (1, 2) if layout() is WIDE else (2, 1)
    figure = Figure(figsize=(layout().width, height * rows), layout="constrained")
    first, second = figure.subplots(rows, columns)
    return figure, (first, second)


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


def mean_and_band(
    axes: Axes, curve: Array, label: str, style: tuple[str, str, str], *marks: Mark
) -> None:
    """Draw the mean of (seeds, epochs), and a band from the lowest seed to the highest."""
    colour, marker, dashes = style
    epochs = np.arange(1, curve.shape[1] + 1)
    if len(epochs) == 1:
        marker = marker or "_"  # a line of one point is unseen
    (line,) = axes.plot(epochs, curve.mean(axis=0), color=colour, marker=marker, linestyle=dashes,
                        label=label, linewidth=1.2, markersize=3)  # fmt: skip
    mark(line, *marks)
    low, high = curve.min(axis=0), curve.max(axis=0)
    axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)


def legend_above(figure: Figure, grid: list[Axes]) -> None:
    """Show one legend for all panels."""
    pairs = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in grid)
    handles = {label: handle for pair in pairs for handle, label in pair}
    columns = layout().columns
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=columns,
                  frameon=False, fontsize=8)  # fmt: skip


def accuracy_over_saturation(groups: Mapping[str, Array]) -> Figure:
    """Draw saturation of layer 1 and test accuracy of each run : (runs, 2), by label."""
    figure, axes = single(3.7)
    for (label, runs), (colour, marker, _) in zip(groups.items(), STYLES * len(groups)):  # noqa: B905
        axes.plot(*runs.T, marker, color=colour, label=label, fillstyle="none")
    label = wrapped("share of saturated units in layer 1, at the end")
    axes.set(xlabel=label, ylabel="test accuracy")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(fontsize=8, loc="best")
    despine(axes)
    return figure
