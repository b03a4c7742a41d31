"""What all figures share: one style, told apart by shape as well, and the bytes of a file."""

import io
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart without colour vision too.
BLUE, ORANGE, BLACK = "#0072B2", "#D55E00", "#000000"
GREY = "#777777"
# A line for each of so many things: colour, marker and dashes differ.
STYLES = (
    (BLACK, "o", "-"),
    (ORANGE, "s", "--"),
    (BLUE, "^", "-."),
    ("#009E73", "D", ":"),
    ("#CC79A7", "v", "-"),
    ("#E69F00", "x", "--"),
)
COLUMNS = 3


def svg(figure: Figure) -> bytes:
    """The figure as SVG; the same figure gives the same bytes, whenever it is drawn."""
    with mpl.rc_context({"svg.hashsalt": "sgdprobe", "svg.fonttype": "path"}):
        stream = io.BytesIO()
        # savefig() would draw all of it once more, only to lay it out.
        canvas: Any = FigureCanvasSVG(figure)  # matplotlib gives its own no types
        canvas.print_svg(stream, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def panels(count: int, height: float = 2.6, columns: int = COLUMNS) -> tuple[Figure, list[Axes]]:
    """So many panels in rows of three, all on the same scales."""
    rows = -(-count // columns)
    figure = Figure(figsize=(9, height * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.ravel())
    for empty in axes[count:]:
        empty.remove()
    for lowest in axes[max(count - columns, 0) : count]:
        lowest.tick_params(labelbottom=True)
    return figure, axes[:count]


def despine(axes: Axes) -> None:
    """A light grid and no box."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
