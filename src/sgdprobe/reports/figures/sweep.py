"""The figures of a sweep."""

from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from sgdprobe.reports.plotting import (
    BLACK,
    COLUMNS,
    GREY,
    ORANGE,
    STYLES,
    accuracy_over_epochs,
    accuracy_over_saturation,
    mean_and_band,
    panels,
    single,
)
from sgdprobe.reports.sweep import COLUMN, PANEL, ROW, SATURATED, Cell, SweepTable

MAX_NUMBERED_COLUMNS = 12  # of a heat map whose cells still have room for a number
MAX_PANELS = 12


def sweep_figures(table: SweepTable) -> dict[str, Figure]:
    """The figures of a sweep's report by file name."""
    drawn = {"learning_curves.svg": learning_curves(table)}
    if table.has_heat_map:
        drawn["heat_map.svg"] = heat_map(table)
    if table.has_saturation:
        drawn["saturation.svg"] = saturation(table)
    return drawn


def heat_map(table: SweepTable) -> Figure:
    """Test accuracy over initialization scale × learning rate, a panel for each choice of layers.

    The darker the lower. A hatched cell has no result; its text gives the reason.
    """
    rows, columns, layers = table.values(ROW), table.values(COLUMN), table.layers
    means = [mean for mean in map(table.mean, table.cells) if mean is not None] or [0.0]
    low, high = min(means), max(max(means), min(means) + 1e-6)
    figure, grid = panels(len(layers), 0.42 * len(rows) + 0.9, min(COLUMNS, len(layers)))
    for axes, hidden in zip(grid, layers, strict=True):
        places = product(enumerate(rows), enumerate(columns))
        cells = {(i, j): table.cell_at(hidden, row, column) for (i, row), (j, column) in places}
        values = np.full((len(rows), len(columns)), np.nan)
        for place, cell in cells.items():
            mean = table.mean(cell) if cell else None
            values[place] = np.nan if mean is None else mean
        axes.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        for (i, j), cell in cells.items():
            _draw_cell(axes, table, cell, i, j)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_title(f"{PANEL}={hidden}", fontsize=10)
    figure.supxlabel(COLUMN, fontsize=10)
    figure.supylabel(ROW, fontsize=10)
    percent = PercentFormatter(1.0, decimals=0)
    bar = figure.colorbar(grid[-1].images[0], ax=grid, format=percent)
    bar.set_label("test accuracy", fontsize=9)
    return figure


def _draw_cell(axes: Axes, table: SweepTable, cell: Cell | None, i: int, j: int) -> None:
    """Draw a cell's number, or why it has none, and a frame with a name if it is a recipe."""
    mean = table.mean(cell) if cell else None
    if mean is None:
        text, colour = table.failure_state(cell) if cell else "not run", BLACK
        box = Rectangle((j - 0.5, i - 0.5), 1, 1, hatch="///", edgecolor=GREY, facecolor="white")
        axes.add_patch(box)
    else:
        red, green, blue, _ = axes.images[0].to_rgba(np.asarray(mean))
        is_dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        text, colour = f"{100 * mean:.2f}", "white" if is_dark else BLACK
    recipes, others = (table.recipes(cell), table.same_axes(cell)) if cell else ([], [])
    if recipes or others:
        frame = Rectangle((j - 0.46, i - 0.44), 0.92, 0.88, fill=False, linewidth=2)
        frame.set(edgecolor=ORANGE, linestyle="-" if recipes else ":")
        axes.add_patch(frame)
    if len(table.values(COLUMN)) <= MAX_NUMBERED_COLUMNS:
        names = [", ".join(recipes), f"({', '.join(others)})" if others else ""]
        label = "\n".join(filter(None, [text, *names]))
        axes.text(j, i, label, ha="center", va="center", color=colour, fontsize=7)


def learning_curves(table: SweepTable) -> Figure:
    """Test accuracy over epochs: a line for each learning rate, a panel for all other settings.

    If no learning rate varies, lines are of the axis with the fewest values. If there are too many
    lines for their styles, or too many panels, all curves are in one panel.
    """
    line = _line_axis(table)
    others = [axis for axis in table.axes if axis != line]
    positions = [table.axes.index(axis) for axis in others]
    choices = list(dict.fromkeys(tuple(cell[i] for i in positions) for cell in table.cells))
    if line is None or len(choices) > MAX_PANELS:
        return _all_curves(table)
    figure, grid = panels(len(choices), 2.3, min(COLUMNS, len(choices)))
    styles = dict(zip(table.values(line), STYLES, strict=False))
    for axes, choice in zip(grid, choices, strict=True):
        for cell in table.cells:
            if tuple(cell[i] for i in positions) == choice and table.curve(cell).size:
                value = cell[table.axes.index(line)]
                colour, marker, dashes = styles[value]
                mean_and_band(axes, table.curve(cell), color=colour, marker=marker, markersize=3,
                              linestyle=dashes, linewidth=1.2, label=f"{line}={value}")  # fmt: skip
        words = [f"{axis}={value}" for axis, value in zip(others, choice, strict=True)]
        axes.set_title("\n".join(words), fontsize=8)
        _label_axes(axes)
    handles = {
        label: handle
        for axes in grid
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    labels = [label for value in styles if (label := f"{line}={value}") in handles]
    figure.legend([handles[label] for label in labels], labels, loc="outside upper center",
                  ncols=3, frameon=False, fontsize=8)  # fmt: skip
    return figure


def _line_axis(table: SweepTable) -> str | None:
    """The axis whose values are the lines of a panel."""
    fitting = [axis for axis in table.axes if len(table.values(axis)) <= len(STYLES)]
    if COLUMN in fitting:
        return COLUMN
    return min(fitting, key=lambda axis: len(table.values(axis)), default=None)


def _all_curves(table: SweepTable) -> Figure:
    """Every cell in grey; the best in black and the worst dashed, with their settings."""
    figure, axes = single(4)
    ranked = [cell for cell in table.ranked if table.curve(cell).size]
    means = [table.curve(cell).mean(axis=0) for cell in ranked]
    lines = [np.column_stack([np.arange(1, len(mean) + 1), mean]) for mean in means]
    axes.add_collection(LineCollection(lines, colors=GREY, linewidths=0.5, alpha=0.5))
    ends = {"best": (0, "o-", BLACK), "worst": (len(ranked) - 1, "s--", ORANGE)}
    for name, (position, style, colour) in list(ends.items())[: len(ranked)]:
        label = f"{name}: {table.settings(ranked[position])}"
        axes.plot(*lines[position].T, style, color=colour, markersize=4, label=label)
    if ranked:
        figure.legend(loc="outside upper center", frameon=False, fontsize=8)
    axes.autoscale()
    _label_axes(axes)
    return figure


def _label_axes(axes: Axes) -> None:
    axes.set_xlabel("epoch", fontsize=8)
    axes.set_ylabel("test accuracy", fontsize=8)
    accuracy_over_epochs(axes)


def saturation(table: SweepTable) -> Figure:
    """Saturation of layer 1 and test accuracy of each finished run, by its layers."""
    runs = [run for cell in table.cells for run in table.finished(cell)]
    return accuracy_over_saturation(
        {
            f"{PANEL}={hidden}": np.reshape(
                [
                    (run.metrics[SATURATED], run.metrics["test_accuracy"])
                    for run in runs
                    if run.params.get(PANEL) == hidden and SATURATED in run.metrics
                ],
                (-1, 2),
            )
            for hidden in table.layers
        }
    )
