"""The figures of a sweep."""

from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from sgdprobe.reports import plotting as style
from sgdprobe.reports.sweep import COLUMN, PANEL, ROW, Cell, SweepTable

MAX_NUMBERED_COLUMNS = 12  # of a heat map whose cells still have room for a number
MAX_PANELS = 12


def sweep_figures(table: SweepTable) -> dict[str, Figure]:
    """Draw a sweep; figures by file name."""
    drawn = {"learning_curves.svg": learning_curves(table)}
    if table.has_heat_map:
        drawn["heat_map.svg"] = heat_map(table)
    if table.has_saturation:
        runs = {f"{PANEL}={hidden}": table.saturation(hidden) for hidden in table.layers}
        drawn["saturation.svg"] = style.accuracy_over_saturation(runs)
    return drawn


def mark_of(table: SweepTable, cell: Cell) -> style.Mark:
    """Return the tooltip and the link of a cell."""
    return style.Mark(table.tooltip(cell), f"cell-{table.number[cell]}")


def heat_map(table: SweepTable) -> Figure:
    """Draw test accuracy over initialization scale × learning rate, a panel for each layers.

    The darker the lower. A hatched cell has no result; its text gives the reason.
    """
    rows, columns, layers = table.values(ROW), table.values(COLUMN), table.layers
    means = [mean for mean in map(table.mean, table.cells) if mean is not None] or [0.0]
    low, high = min(means), max(max(means), min(means) + 1e-6)
    colours = ScalarMappable(Normalize(low, high), "cividis")
    figure, grid = style.panels(len(layers), 0.42 * len(rows) + 0.9)
    for axes, hidden in zip(grid, layers, strict=True):
        found = [[table.cell_at(hidden, row, column) for column in columns] for row in rows]
        for i, j in product(range(len(rows)), range(len(columns))):
            _draw_cell(axes, table, found[i][j], (i, j), colours)
        axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_title(f"{PANEL}={hidden}", fontsize=10)
    figure.supxlabel(COLUMN, fontsize=10)
    figure.supylabel(ROW, fontsize=10)
    percent = PercentFormatter(1.0, decimals=0)
    wide = style.layout() is style.WIDE
    bar = figure.colorbar(colours, ax=grid, format=percent, location="right" if wide else "top")
    bar.set_label("test accuracy", fontsize=9)
    return figure


def _draw_cell(
    axes: Axes, table: SweepTable, cell: Cell | None, at: tuple[int, int], colours: ScalarMappable
) -> None:
    """Draw a cell's number, or why it has none, and a frame with a name if it is a recipe."""
    i, j = at
    mean = table.mean(cell) if cell else None
    box = Rectangle((j - 0.5, i - 0.5), 1, 1, linewidth=0)
    if mean is None:
        text, colour = table.failure_state(cell) if cell else "not run", style.BLACK
        box.set(hatch="///", edgecolor=style.GREY, facecolor="white")
    else:
        red, green, blue, _ = map(float, colours.to_rgba(np.asarray(mean)))
        is_dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        text, colour = f"{100 * mean:.2f}", style.ON_DARK if is_dark else style.ON_LIGHT
        box.set_facecolor((red, green, blue))
    axes.add_patch(box)
    if cell:
        style.mark(box, mark_of(table, cell))
    recipes, others = (table.recipes(cell), table.same_axes(cell)) if cell else ([], [])
    if recipes or others:
        frame = Rectangle((j - 0.46, i - 0.44), 0.92, 0.88, fill=False, linewidth=2)
        frame.set(edgecolor=style.ORANGE, linestyle="-" if recipes else ":")
        axes.add_patch(frame)
    if len(table.values(COLUMN)) <= MAX_NUMBERED_COLUMNS:
        names = [", ".join(recipes), f"({', '.join(others)})" if others else ""]
        label = "\n".join(filter(None, [text, *names]))
        axes.text(j, i, label, ha="center", va="center", color=colour, fontsize=7)


def learning_curves(table: SweepTable) -> Figure:
    """Draw test accuracy over epochs: a line for each learning rate, panels for other settings.

    If no learning rate varies, lines are of the axis with the fewest values. If there are too many
    lines for their styles, or too many panels, all curves are in one panel.
    """
    fitting = [axis for axis in table.axes if len(table.values(axis)) <= len(style.STYLES)]
    line = min(fitting, key=lambda a: (a != COLUMN, len(table.values(a))), default="")
    others = [axis for axis in table.axes if axis != line]
    panels: dict[str, list[Cell]] = {}
    for cell in table.cells:
        of_panel = dict(zip(table.axes, cell, strict=True))
        panels.setdefault("\n".join(f"{axis}={of_panel[axis]}" for axis in others), []).append(cell)
    if not line or len(panels) > MAX_PANELS:
        return _all_curves(table)
    figure, grid = style.panels(len(panels), 2.3)
    styles = dict(zip(table.values(line), style.STYLES, strict=False))
    for axes, (title, cells) in zip(grid, panels.items(), strict=True):
        for cell in cells:
            value = cell[table.axes.index(line)]
            if table.curve(cell).size:
                label = f"{line}={value}"
                where = mark_of(table, cell)
                style.mean_and_band(axes, table.curve(cell), label, styles[value], where)
        axes.set_title(title, fontsize=8)
        _label_axes(axes)
    style.legend_above(figure, grid)
    return figure


def _all_curves(table: SweepTable) -> Figure:
    """Draw every cell in grey; the best in black and the worst dashed, with their settings."""
    figure, axes = style.single(4)
    ranked = [cell for cell in table.ranked if table.curve(cell).size]
    means = [table.curve(cell).mean(axis=0) for cell in ranked]
    lines = [np.column_stack([np.arange(1, len(mean) + 1), mean]) for mean in means]
    all_lines = LineCollection(lines, colors=style.GREY, linewidths=0.5, alpha=0.5)
    style.mark(all_lines, *(mark_of(table, cell) for cell in ranked))
    axes.add_collection(all_lines)
    ends = (("best", 0, "o-", style.BLACK), ("worst", -1, "s--", style.ORANGE))
    for name, position, line, colour in ends[: len(ranked)]:
        label = f"{name}: {table.settings(ranked[position])}"
        (drawn,) = axes.plot(*lines[position].T, line, color=colour, markersize=4, label=label)
        style.mark(drawn, mark_of(table, ranked[position]))
    style.legend_above(figure, [axes])
    axes.autoscale()
    _label_axes(axes)
    return figure


def _label_axes(axes: Axes) -> None:
    axes.set_xlabel("epoch", fontsize=8)
    axes.set_ylabel("test accuracy", fontsize=8)
    style.accuracy_over_epochs(axes)
