"""The figures of a study."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sgdprobe.config.formatting import percent
from sgdprobe.reports import plotting as style
from sgdprobe.reports.estimates import Estimates
from sgdprobe.reports.explanation import StudySummary
from sgdprobe.reports.format import interval, points
from sgdprobe.study.factors import Cell, cell_id
from sgdprobe.study.intervals import half_width

MAX_PANELS = 12  # of interactions


def study_figures(study: StudySummary) -> dict[str, Figure]:
    """Draw a study; figures by file name."""
    drawn = {"learning_curves.svg": learning_curves(study), "every_cell.svg": every_cell(study)}
    if study.saturation:
        drawn["saturation.svg"] = style.accuracy_over_saturation(study.saturation)
    for suffix, found, place in (("", study.own, "runs"), ("_tuned", study.best, "tuned-runs")):
        if found:
            drawn[f"waterfall{suffix}.svg"] = waterfall(found, study.ends, place)
            drawn[f"orderings{suffix}.svg"] = orderings(found, place)
        if found and found.interactions:
            drawn[f"interactions{suffix}.svg"] = interactions(found, place)
    return drawn


def mark_of(study: StudySummary, cell: Cell) -> style.Mark:
    """Return the tooltip and the link of a cell."""
    own, design = study.own, study.design
    levels = (factor.format_level(level) for factor, level in zip(own.factors, cell, strict=True))
    settings = ", ".join(f"{n}={level}" for n, level in zip(own.names, levels, strict=True))
    name = dict(zip(design.corners, study.ends, strict=True)).get(cell, "")
    text = f"{name and name + ': '}{settings}: {interval(own.at(cell))}, {design.seeds} seeds"
    return style.Mark(text, f"cell-{cell_id(cell)}")


def learning_curves(study: StudySummary) -> Figure:
    """Draw a panel for each factor: baseline, target, and the baseline with that one change."""
    design, (baseline, target) = study.design, study.ends
    figure, grid = style.panels(len(design.names), 2.6)
    for i, (axes, name) in enumerate(zip(grid, design.names, strict=True)):
        for cell, label, line in (
            (design.baseline, baseline, (style.BLACK, "", "-")),
            (design.target, target, (style.ORANGE, "", "--")),
            (design.baseline_with(i), "only this change", (style.BLUE, "o", "-")),
        ):
            style.mean_and_band(axes, study.curves(cell), label, line, mark_of(study, cell))
        axes.set_title(name, fontsize=10)
        style.accuracy_over_epochs(axes)
    style.legend_above(figure, grid)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("test accuracy", fontsize=10)
    return figure


def every_cell(study: StudySummary) -> Figure:
    """Draw a small box for each cell; left to right the last factors, as many as fit.

    All boxes are drawn into one pair of axes: matplotlib takes seconds to lay out a hundred.
    """
    k = len(study.own.factors)
    columns = min(2 ** (k - k // 2), style.layout().boxes)
    rows = 2**k // columns
    figure, axes = style.single(0.95 * rows + 0.1)
    means, bands = [], []
    for number, cell in enumerate(study.design.cells()):
        curve = study.curves(cell)
        left, base = number % columns, -(number // columns)
        x = left + np.linspace(0, 0.9, max(curve.shape[1], 2))
        low, mean, high = (
            base + 0.7 * np.resize(some, len(x))
            for some in (curve.min(axis=0), curve.mean(axis=0), curve.max(axis=0))
        )
        means.append(np.column_stack([x, mean]))
        bands.append(np.column_stack([np.append(x, x[::-1]), np.append(low, high[::-1])]))
        is_recipe = len(set(cell)) == 1
        box = Rectangle((left, base), 0.9, 0.7, fill=False, linewidth=2.0 if is_recipe else 0.4)
        box.set_edgecolor(style.ORANGE if is_recipe else style.GREY)
        style.mark(box, mark_of(study, cell))
        axes.add_patch(box)
        words = f"{''.join(map(str, cell))}  {100 * float(curve[:, -1].mean()):.1f} %"
        axes.text(left, base + 0.74, words, fontsize=7)
    axes.add_collection(PolyCollection(bands, facecolors=style.BLUE, alpha=0.3))
    axes.add_collection(LineCollection(means, colors=style.BLACK, linewidths=1.1))
    axes.set(xlim=(-0.05, columns - 0.05), ylim=(1 - rows - 0.05, 0.95))
    axes.axis("off")
    return figure


def waterfall(found: Estimates, ends: Sequence[str], place: str = "runs") -> Figure:
    """Draw the way from baseline to target by Shapley shares, in the order of the factors.

    place : of the page, to which the bars lead.
    """
    k = len(found.names)
    at = found.at((0,) * k).mean
    figure, axes = style.single(0.5 * k + 2)
    axes.barh(0, at, color=style.GREY)
    for row, name in enumerate(found.names, start=1):
        share = found.shares[name]
        colour, hatch = (style.BLUE, "") if share.mean >= 0 else (style.ORANGE, "///")
        (bar,) = axes.barh(row, share.mean, left=at, color=colour, hatch=hatch, edgecolor="white")
        style.mark(bar, style.Mark(f"{name}: {points(share)} points", place))
        at += share.mean
        if not share.is_tied:
            axes.errorbar(at, row, xerr=(share.high - share.low) / 2, color=style.BLACK, capsize=3)
        text = f"{100 * share.mean:+.2f}".replace("-", "−")
        axes.text(1.01, row, text, va="center", fontsize=9, transform=axes.get_yaxis_transform())
    axes.barh(k + 1, at, color=style.GREY)
    axes.set_yticks(range(k + 2), [ends[0], *found.names, ends[1]])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    label = "test accuracy; bars: shares in points, with 95 % intervals"
    axes.set_xlabel(style.wrapped(label))
    style.despine(axes)
    return figure


def interactions(found: Estimates, place: str = "runs") -> Figure:
    """Draw the mean of each pair at its four combinations; parallel lines mean no interaction.

    The largest interactions first, and no more than fit.
    """
    pairs = list(found.interactions)[:MAX_PANELS]
    figure, grid = style.panels(len(pairs), 2.9)
    others = tuple(range(found.y.ndim - 3))
    for axes, pair in zip(grid, pairs, strict=True):
        positions = [found.names.index(name) for name in pair]
        one, other = (found.factors[position] for position in positions)
        mean = np.moveaxis(found.y, positions, (-3, -2)).mean(axis=others)
        for level, line, colour in ((0, "o-", style.BLACK), (1, "s--", style.ORANGE)):
            values, label = mean[:, level], other.format_level(level)
            means, half = values.mean(axis=-1), half_width(values, found.level)
            inside = np.minimum([half, half], [means, 1 - means])  # an accuracy is from 0 to 1
            inside[:, np.isinf(half)] = np.nan  # equal seeds have no interval
            drawn = axes.errorbar((0, 1), means, yerr=inside, fmt=line, color=colour, capsize=3,
                                  label=label)  # fmt: skip
            text = f"{other.name}={label}: {percent(means[0])} → {percent(means[1])}"
            style.mark(drawn[0], style.Mark(text, place))
        axes.set_xticks((0, 1), ["before", "after"])
        axes.set_xlim(-0.3, 1.3)
        levels = f"{one.format_level(0)} → {one.format_level(1)}"
        axes.set_title(f"{one.name}: {levels}", fontsize=8)
        axes.legend(title=other.name, fontsize=7, title_fontsize=7, loc="upper center", ncols=2)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        style.despine(axes)
    low, high = grid[0].get_ylim()  # all share it
    grid[0].set_ylim(low, high + 0.3 * (high - low))  # room for the legends above the lines
    figure.supylabel("test accuracy", fontsize=10)
    return figure


def orderings(found: Estimates, place: str = "runs") -> Figure:
    """Draw all orderings from baseline to target, and each factor's contributions to them."""
    names, rows = found.names, range(len(found.names))
    height = max(3.4, 0.5 * len(names) + 1.4)
    figure, (left, right) = style.two(height)
    _draw_lattice(left, found, place)
    ranges = [[100 * end.effect.mean for end in found.contribution_range(n)] for n in names]
    right.hlines(rows, *zip(*ranges, strict=True), color=style.GREY, linewidth=5, alpha=0.4)
    for estimates, marker, colour, label in (
        (found.shares, "o", style.BLACK, "Shapley share"),
        (found.by_kind["alone"], ">", style.BLUE, "first of all changes"),
        (found.by_kind["last"], "<", style.ORANGE, "last of all changes"),
    ):
        means = [100 * estimates[name].mean for name in names]
        right.plot(means, rows, marker, color=colour, label=label)
    right.axvline(0, color=style.BLACK, linewidth=0.8)
    right.set_yticks(rows, names)
    right.invert_yaxis()
    right.set_xlabel(style.wrapped("contribution in points, minimum to maximum"))
    right.legend(fontsize=8, loc="best")
    style.despine(right)
    return figure


def _draw_lattice(axes: Axes, found: Estimates, place: str) -> None:
    """Draw every cell at its number of changes, joined to those with one change more."""
    mean = found.y.mean(axis=-1)
    places = {cell: (sum(cell), mean[cell]) for cell in product((0, 1), repeat=mean.ndim)}
    steps = [
        (at, places[(*cell[:i], 1, *cell[i + 1 :])])
        for cell, at in places.items()
        for i in range(mean.ndim)
        if not cell[i]
    ]
    axes.add_collection(LineCollection(steps, colors=style.GREY, linewidths=0.7))
    (dots,) = axes.plot(*zip(*places.values(), strict=True), ".", color=style.BLACK)
    style.mark(dots, *(_cell_mark(found, cell, place) for cell in places))
    axes.set(xlabel="changes made", ylabel="test accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    style.despine(axes)


def _cell_mark(found: Estimates, cell: Cell, place: str) -> style.Mark:
    """Return the tooltip and the link of a cell by the changes made."""
    anchor = f"cell-{cell_id(cell)}" if place == "runs" else place
    changes = ", ".join(found.changes(cell)) or "no change"
    return style.Mark(f"{changes}: {interval(found.at(cell))}", anchor)
