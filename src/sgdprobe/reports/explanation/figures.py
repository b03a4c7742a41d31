"""The figures of a study."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sgdprobe.reports.plotting import BLACK, BLUE, GREY, ORANGE, despine, panels
from sgdprobe.study import effects
from sgdprobe.study.effects import Array, estimate

Cell = tuple[int, ...]

MOST_ACROSS = 3  # factors along a row of small boxes that still have room for their words
MOST_PANELS = 12  # interaction panels that still can be read


def learning_curves(
    first: Array, second: Array, alone: Sequence[Array], names: Sequence[str], ends: Sequence[str]
) -> Figure:
    """A panel for each factor: both recipes, and the first with that one change.

    Each curve : (seeds, epochs), drawn as its mean, with a band from the lowest to the highest
    seed; ends : the two recipes' names.
    """
    figure, grid = panels(len(names))
    for axes, changed, name in zip(grid, alone, names, strict=True):
        for curve, label, colour, style in (
            (first, ends[0], BLACK, "-"),
            (second, ends[1], ORANGE, "--"),
            (changed, "only this change", BLUE, ".-"),
        ):
            epochs = np.arange(1, curve.shape[1] + 1)
            axes.plot(epochs, curve.mean(axis=0), style, color=colour, label=label, linewidth=1.3)
            axes.fill_between(
                epochs, curve.min(axis=0), curve.max(axis=0), color=colour, alpha=0.2, linewidth=0
            )
        axes.set_title(name, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        despine(axes)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("test accuracy", fontsize=10)
    return figure


def every_cell(curves: Mapping[Cell, Array]) -> Figure:
    """A small box for each cell; left to right the last factors, as many as fit, downwards others.

    Each curve : (seeds, epochs). All boxes are drawn into one pair of axes: matplotlib takes
    seconds to lay out a hundred.
    """
    k = len(next(iter(curves)))
    across = min(k - k // 2, MOST_ACROSS)
    columns, rows = 2**across, 2 ** (k - across)
    figure = Figure(figsize=(9, 0.95 * rows + 0.1), layout="constrained")
    axes = figure.subplots()
    means, bands = [], []
    for number, (cell, curve) in enumerate(curves.items()):
        left, base = number % columns, -(number // columns)
        x = left + np.linspace(0, 0.9, max(curve.shape[1], 2))
        low, mean, high = (
            base + 0.7 * np.resize(some, len(x))
            for some in (curve.min(axis=0), curve.mean(axis=0), curve.max(axis=0))
        )
        means.append(np.column_stack([x, mean]))
        bands.append(np.column_stack([np.append(x, x[::-1]), np.append(low, high[::-1])]))
        _box(axes, left, base, is_end=len(set(cell)) == 1)
        words = f"{''.join(map(str, cell))}  {100 * float(curve[:, -1].mean()):.1f} %"
        axes.text(left, base + 0.74, words, fontsize=7)
    axes.add_collection(PolyCollection(bands, facecolors=BLUE, alpha=0.3))
    axes.add_collection(LineCollection(means, colors=BLACK, linewidths=1.1))
    axes.set(xlim=(-0.05, columns - 0.05), ylim=(1 - rows - 0.05, 0.95))
    axes.axis("off")
    return figure


def _box(axes: Axes, left: float, base: float, *, is_end: bool) -> None:
    """The frame of a small curve; that of a recipe stands out."""
    colour, width = (ORANGE, 2.0) if is_end else (GREY, 0.4)
    frame = Rectangle((left, base), 0.9, 0.7, fill=False, edgecolor=colour, linewidth=width)
    axes.add_patch(frame)


def saturation(found: Sequence[Array], levels: Sequence[str]) -> Figure:
    """Each run: how saturated its first layer ended, and what it reached; found : (runs, 2) each.

    levels : what the two arrays are the runs of.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for runs, label, marker, colour in zip(found, levels, "os", (BLACK, ORANGE), strict=True):
        axes.plot(*runs.T, marker, color=colour, label=label, markersize=5, fillstyle="none")
    axes.set(xlabel="share of layer 1 that is saturated, at the end", ylabel="test accuracy")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(fontsize=8, loc="best")
    despine(axes)
    return figure


def waterfall(y: Array, names: Sequence[str], ends: Sequence[str]) -> Figure:
    """From the first recipe to the second by Shapley shares, in the order of the factors."""
    shares = effects.shapley(y)
    k = len(names)
    at = float(y[(0,) * k].mean())
    figure = Figure(figsize=(9, 0.5 * k + 2), layout="constrained")
    axes = figure.subplots()
    axes.barh(0, at, color=GREY)
    for row, share in enumerate(shares, start=1):
        found = estimate(share)
        colour, hatch = (BLUE, "") if found.mean >= 0 else (ORANGE, "///")
        axes.barh(row, found.mean, left=at, color=colour, hatch=hatch, edgecolor="white")
        at += found.mean
        axes.errorbar(at, row, xerr=(found.high - found.low) / 2, color=BLACK, capsize=3)
        axes.annotate(
            f"{100 * found.mean:+.2f}".replace("-", "−"), (1.01, row), va="center",
            xycoords=("axes fraction", "data"), fontsize=9,
        )  # fmt: skip
    axes.barh(k + 1, at, color=GREY)
    axes.set_yticks(range(k + 2), [ends[0], *names, ends[1]])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("test accuracy; each bar a factor's share, with its 95 % interval, in points")
    despine(axes)
    return figure


def interaction_plot(y: Array, names: Sequence[str], levels: Sequence[tuple[str, str]]) -> Figure:
    """For each pair the mean at its four combinations: parallel lines just add up.

    The largest interactions first, and no more than can be read. levels : of each factor, shown.
    """
    found = effects.interactions(y)
    pairs = sorted(found, key=lambda pair: -abs(float(found[pair].mean())))[:MOST_PANELS]
    figure, grid = panels(len(pairs), 2.9)
    others = tuple(range(y.ndim - 3))
    for axes, (i, j) in zip(grid, pairs, strict=True):
        mean = np.moveaxis(y, (i, j), (-3, -2)).mean(axis=others)
        for level, marker, colour in ((0, "o-", BLACK), (1, "s--", ORANGE)):
            values = mean[:, level]
            axes.errorbar(
                (0, 1), values.mean(axis=-1), yerr=effects.half_width(values), fmt=marker,
                color=colour, capsize=3, label=f"{levels[j][level]}",
            )  # fmt: skip
        axes.set_xticks((0, 1), ["before", "after"])
        axes.set_xlim(-0.3, 1.3)
        axes.set_title(f"{names[i]}: {' → '.join(levels[i])}", fontsize=8)
        axes.legend(title=names[j], fontsize=7, title_fontsize=7, loc="upper center", ncols=2)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        despine(axes)
    low, high = grid[0].get_ylim()  # all share it
    grid[0].set_ylim(low, high + 0.3 * (high - low))  # room for the legends above the lines
    figure.supylabel("test accuracy", fontsize=10)
    return figure


def ladder_plot(y: Array, names: Sequence[str]) -> Figure:
    """Left every ladder from one recipe to the other; right what it makes of each factor."""
    figure = Figure(figsize=(9, max(3.4, 0.5 * len(names) + 1.4)), layout="constrained")
    left, right = figure.subplots(1, 2)
    _lattice(left, y.mean(axis=-1))
    shares, first, second = (
        100 * values.mean(axis=1)
        for values in (
            effects.shapley(y),
            effects.one_at_a_time(y),
            effects.leave_one_out(y),
        )
    )
    for row in range(len(names)):
        ends = [100 * end.effect.mean for end in effects.contribution_range(y, row)]
        right.plot(ends, [row, row], color=GREY, linewidth=5, alpha=0.4, solid_capstyle="butt")
    rows = range(len(names))
    right.plot(shares, rows, "o", color=BLACK, label="Shapley share", zorder=4)
    right.plot(first, rows, ">", color=BLUE, label="first change of all", zorder=3)
    right.plot(second, rows, "<", color=ORANGE, label="last change of all", zorder=3)
    right.axvline(0, color=BLACK, linewidth=0.8)
    right.set_yticks(rows, names)
    right.invert_yaxis()
    right.set_xlabel("credit in points, least to most")
    right.legend(fontsize=8, loc="best")
    despine(right)
    return figure


def _lattice(axes: Axes, mean: Array) -> None:
    """Every cell at its number of changes, joined to those with one change more."""
    places = {cell: (sum(cell), mean[cell]) for cell in product((0, 1), repeat=mean.ndim)}
    steps = [
        (place, places[(*cell[:i], 1, *cell[i + 1 :])])
        for cell, place in places.items()
        for i in range(mean.ndim)
        if not cell[i]
    ]
    axes.add_collection(LineCollection(steps, colors=GREY, linewidths=0.7))
    axes.plot(*zip(*places.values(), strict=True), ".", color=BLACK)
    axes.set(xlabel="changes made", ylabel="test accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    despine(axes)
