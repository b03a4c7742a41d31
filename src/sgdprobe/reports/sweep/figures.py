"""The figures of a sweep."""

from collections.abc import Mapping
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sgdprobe.reports.plotting import BLACK, COLUMNS, GREY, ORANGE, STYLES, despine, panels
from sgdprobe.reports.sweep.facts import COLUMN, PANEL, ROW, SATURATED, Cell, Facts

Style = Mapping[str, tuple[str, str, str]]  # colour, marker and dashes for each value
MOST_NUMBERS = 12  # columns of a heat map whose cells still have room for a number
MOST_PANELS = 12


def layers(facts: Facts) -> list[str]:
    """The values of network.hidden: a panel or a marker for each."""
    return facts.values(PANEL) if PANEL in facts.axes else [facts.runs[0].params.get(PANEL, "")]


def cell_at(facts: Facts, hidden: str, scale: str, rate: str) -> Cell:
    """The cell of these three values; it may not have been run."""
    values = {PANEL: hidden, ROW: scale, COLUMN: rate}
    return tuple(values[axis] for axis in facts.axes)


def heat_map(facts: Facts) -> Figure:
    """Test accuracy over initialization scale × learning rate, a panel for each choice of layers.

    The darker the lower. A hatched cell has no result, and a word that says why.
    """
    rows, columns, choices = facts.values(ROW), facts.values(COLUMN), layers(facts)
    means = [m for m in map(facts.mean, facts.cells) if m is not None] or [0.0]
    low, high = min(means), max(max(means), min(means) + 1e-6)
    figure, grid = panels(len(choices), 0.42 * len(rows) + 0.9, min(COLUMNS, len(choices)))
    for axes, hidden in zip(grid, choices, strict=True):
        found = [[facts.mean(c) if (c := cell_at(facts, hidden, r, k)) in facts.cells else None
                  for k in columns] for r in rows]  # fmt: skip
        values = np.array([[np.nan if v is None else v for v in row] for row in found])
        image = axes.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        for (i, scale), (j, rate) in product(enumerate(rows), enumerate(columns)):
            _cell(axes, facts, cell_at(facts, hidden, scale, rate), i, j)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_title(f"{PANEL}={hidden}", fontsize=10)
    figure.supxlabel(COLUMN, fontsize=10)
    figure.supylabel(ROW, fontsize=10)
    bar = figure.colorbar(image, ax=grid, format=PercentFormatter(1.0, decimals=0))
    bar.set_label("test accuracy", fontsize=9)
    return figure


def _cell(axes: Axes, facts: Facts, cell: Cell, i: int, j: int) -> None:
    """A cell's number, or why it has none, and a frame with a name where it is a recipe."""
    mean = facts.mean(cell) if cell in facts.cells else None
    is_small = len(facts.values(COLUMN)) > MOST_NUMBERS
    if mean is None:
        why = facts.failure_state(cell) if cell in facts.cells else "not run"
        box = Rectangle((j - 0.5, i - 0.5), 1, 1, hatch="///", edgecolor=GREY, facecolor="white")
        axes.add_patch(box)
        text, colour = why, BLACK
    else:
        red, green, blue, _ = axes.images[0].to_rgba(np.asarray(mean))
        is_dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        text, colour = f"{100 * mean:.2f}", "white" if is_dark else BLACK
    names, alike = (facts.recipes(cell), facts.alike(cell)) if cell in facts.cells else ([], [])
    if names or alike:
        style = "-" if names else ":"
        frame = Rectangle((j - 0.46, i - 0.44), 0.92, 0.88, fill=False, linewidth=2)
        frame.set(edgecolor=ORANGE, linestyle=style)
        axes.add_patch(frame)
    label = "\n".join(filter(None, [", ".join(names), f"({', '.join(alike)})" if alike else ""]))
    if not is_small:
        axes.text(j, i, f"{text}\n{label}".strip(), ha="center", va="center", color=colour,
                  fontsize=7)  # fmt: skip


def learning_curves(facts: Facts) -> Figure:
    """Test accuracy over epochs: a line for each learning rate, a panel for all other settings.

    Without a learning rate that varies, lines are of the axis with the fewest values; and where
    these are too many for their styles, or the panels for the page, all curves are in one.
    """
    line = _line_axis(facts)
    others = [axis for axis in facts.axes if axis != line]
    at = [facts.axes.index(axis) for axis in others]
    choices = list(dict.fromkeys(tuple(cell[i] for i in at) for cell in facts.cells))
    if line is None or len(choices) > MOST_PANELS:
        return _all_curves(facts)
    figure, grid = panels(len(choices), 2.3, min(COLUMNS, len(choices)))
    styles = dict(zip(facts.values(line), STYLES, strict=False))
    for axes, choice in zip(grid, choices, strict=True):
        for cell in facts.cells:
            if tuple(cell[i] for i in at) == choice:
                _curve(axes, facts, cell, cell[facts.axes.index(line)], styles)
        words = [f"{axis}={value}" for axis, value in zip(others, choice, strict=True)]
        axes.set_title("\n".join(words), fontsize=8)
        _over_epochs(axes)
    handles = {
        label: handle
        for axes in grid
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [handles[value] for value in styles if value in handles],
        [f"{line}={value}" for value in styles if value in handles],
        loc="outside upper center", ncols=3, frameon=False, fontsize=8,
    )  # fmt: skip
    return figure


def _line_axis(facts: Facts) -> str | None:
    """The axis whose values are lines of one panel."""
    fitting = [axis for axis in facts.axes if len(facts.values(axis)) <= len(STYLES)]
    if COLUMN in fitting:
        return COLUMN
    return min(fitting, key=lambda axis: len(facts.values(axis)), default=None)


def _curve(axes: Axes, facts: Facts, cell: Cell, value: str, styles: Style) -> None:
    curve = facts.curve(cell)
    if not curve.size:
        return
    colour, marker, dashes = styles[value]
    epochs = np.arange(1, curve.shape[1] + 1)
    axes.plot(epochs, curve.mean(axis=0), color=colour, marker=marker, linestyle=dashes,
              label=value, linewidth=1.2, markersize=3)  # fmt: skip
    axes.fill_between(epochs, curve.min(axis=0), curve.max(axis=0), color=colour, alpha=0.2,
                      linewidth=0)  # fmt: skip


def _all_curves(facts: Facts) -> Figure:
    """Every cell in grey; the best in black and the worst dashed, with their names."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    ranked = [cell for cell in facts.ranked if facts.curve(cell).size]
    lines = [
        np.column_stack([np.arange(1, len(mean) + 1), mean])
        for mean in (facts.curve(cell).mean(axis=0) for cell in ranked)
    ]
    axes.add_collection(LineCollection(lines, colors=GREY, linewidths=0.5, alpha=0.5))
    for cell, name, style in zip(
        [*ranked[:1], *ranked[-1:]], ("best", "worst"), ("o-", "s--"), strict=False
    ):
        mean = facts.curve(cell).mean(axis=0)
        axes.plot(
            np.arange(1, len(mean) + 1), mean, style, color=BLACK if name == "best" else ORANGE,
            markersize=4, label=f"{name}: {facts.words(cell)}",
        )  # fmt: skip
    if ranked:
        figure.legend(loc="outside upper center", frameon=False, fontsize=8)
    axes.autoscale()
    _over_epochs(axes)
    return figure


def _over_epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch", fontsize=8)
    axes.set_ylabel("test accuracy", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    despine(axes)


def saturation(facts: Facts) -> Figure:
    """Each finished run: how saturated its first layer ended, and what it reached."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, hidden in enumerate(layers(facts)):
        colour, marker, _ = STYLES[number % len(STYLES)]
        runs = [
            run
            for cell in facts.cells
            for run in facts.finished(cell)
            if run.params.get(PANEL) == hidden and SATURATED in run.metrics
        ]
        axes.plot(
            [run.metrics[SATURATED] for run in runs],
            [run.metrics["test_accuracy"] for run in runs],
            marker, color=colour, label=f"{PANEL}={hidden}", markersize=6, fillstyle="none",
        )  # fmt: skip
    axes.set(xlabel="share of layer 1 that is saturated, at the end", ylabel="test accuracy")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(fontsize=8, loc="best")
    despine(axes)
    return figure
