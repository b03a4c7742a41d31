"""Drawings of what a network has learned, from what its run recorded when it ended."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sgdprobe.nn.functions import Array
from sgdprobe.reports import plotting as style

MAX_NUMBERED = 15  # classes of a confusion matrix whose cells have room for a number
MAX_UNITS = 60  # of the first layer that are drawn
MAX_NAMED = 20  # classes with a tick each
ACROSS = 12  # units in a row
LEAST_ZEROS = 0.005  # a share that is worth a word
STEPS = 12  # of colour to either side of 0, for weights


def confusion_matrix(counts: NDArray[np.intp]) -> Figure:
    """Draw counts : (classes, classes), true classes in rows; errors are shaded by their share."""
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    draw_confusion(figure.subplots(), counts, numbered=len(counts) <= MAX_NUMBERED)
    return figure


def draw_confusion(axes: Axes, counts: NDArray[np.intp], *, numbered: bool) -> None:
    """Shade errors by their share of the true class; what is right stays white.

    All cells with the same scale would show a diagonal and nothing else.
    """
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0.0)
    axes.imshow(shares, cmap="Oranges", vmin=0.0, vmax=max(float(shares.max()), 0.01))
    for i, j in product(range(classes), repeat=2) if numbered else ():
        if counts[i, j]:
            dark = shares[i, j] > 0.6 * shares.max()
            axes.text(
                j, i, str(counts[i, j]), ha="center", va="center", fontsize=8,
                color="white" if dark and i != j else style.BLACK,
                fontweight="bold" if i == j else "normal",
            )  # fmt: skip
    ticks = range(0, classes, -(-classes // MAX_NAMED))
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set_xlabel("predicted class", fontsize=8)
    axes.set_ylabel("true class", fontsize=8)
    axes.tick_params(labelsize=8, length=0)


def most_wrong(images: NDArray[np.uint8], wrong: Mapping[str, Sequence[Any]]) -> Figure:
    """Draw images : (n, height, width), with true class, predicted class and its probability."""
    columns = 5
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(6.4, 1.35 * rows + 0.1), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
    facts = zip(wrong["labels"], wrong["predicted"], wrong["probabilities"], strict=True)
    for axes, image, (label, predicted, probability) in zip(
        grid.ravel(), images, facts, strict=False
    ):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(f"{label} → {predicted}: {100 * probability:.1f} %", fontsize=8, pad=2)
    return figure


def first_layer(W1: Array, height: int, width: int) -> Figure:
    """Draw the weights W1 : (pixels, units) of each unit as an image; all on one scale."""
    shown = W1.T[:MAX_UNITS]
    columns = min(ACROSS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(
        figsize=(style.WIDTH, style.WIDTH / ACROSS * rows * min(height / width, 3) + 0.1),
        layout="constrained",
    )
    draw_units(figure.subplots(), shown, height, width, columns)
    return figure


def draw_units(axes: Axes, units: Array, height: int, width: int, columns: int) -> None:
    """Draw weights of units : (units, pixels) side by side: blue below 0, red above."""
    rows = -(-len(units) // columns)
    sheet = np.full((rows * (height + 2), columns * (width + 2)), np.nan)
    for k, unit in enumerate(units):
        top, left = (k // columns) * (height + 2), (k % columns) * (width + 2)
        sheet[top : top + height, left : left + width] = unit.reshape(height, width)
    # A few weights are far larger than all others; they may not set the scale alone.
    limit = float(np.percentile(np.abs(units), 99.5)) or 1.0
    steps = np.rint(sheet / limit * STEPS) / STEPS  # few colours: a file of half the size
    axes.imshow(steps, cmap="RdBu_r", vmin=-1.0, vmax=1.0, interpolation="none")
    axes.axis("off")


def layer_histograms(start: Sequence[Any], end: Sequence[Any]) -> Figure:
    """Draw activations and gradients of each layer, before training and after; a row for each.

    start, end : for each layer its histograms; `end` is empty for a run that did not finish.
    """
    rows = len(start)
    figure = Figure(figsize=(style.layout().width, 1.6 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False)
    times = [("start", start, style.GREY), ("end", end, style.BLUE)]
    for k, (left, right) in enumerate(grid):
        for name, layers, colour in times[: 1 + bool(end)]:
            layer = layers[k]
            if "activation" in layer:
                _draw_histogram(left, layer["activation"], name, colour)
            _draw_histogram(right, layer["gradient"], _gradient_label(name, layer), colour)
        right.set_title(f"layer {k + 1}: |gradient|", fontsize=8)
        right.set_xlabel("decimal logarithm", fontsize=7)
        if "activation" in start[k]:
            left.set_title(f"layer {k + 1}: activations", fontsize=8)
            left.legend(fontsize=7)
        else:
            left.axis("off")
        right.legend(fontsize=7)
    for axes in grid.ravel():
        axes.tick_params(labelsize=7)
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _gradient_label(name: str, layer: Mapping[str, Any]) -> str:
    zeros = layer["gradient"]["zeros"]
    return f"{name}, {100 * zeros:.0f} % are 0" if zeros >= LEAST_ZEROS else name


def _draw_histogram(axes: Axes, found: Mapping[str, Any], label: str, colour: str) -> None:
    """Draw counts as shares of the largest one: what was counted may differ in number."""
    counts = np.array(found["counts"], float)
    edges = np.linspace(found["low"], found["high"], len(counts) + 1)
    axes.stairs(counts / max(counts.max(), 1.0), edges, color=colour, fill=True, alpha=0.35)
    axes.stairs(counts / max(counts.max(), 1.0), edges, color=colour, label=label)
    axes.set_ylim(bottom=0)


def overview(counts: NDArray[np.intp], images: NDArray[np.uint8], W1: Array) -> Figure:
    """Draw a row about one run: confusion matrix, the most wrong images, first units.

    images : (n, height, width).
    """
    figure = Figure(figsize=(style.WIDTH, 3.0), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    draw_confusion(left, counts, numbered=False)
    left.set_title("errors by class", fontsize=8)
    height, width = images.shape[1:]
    _draw_sheet(middle, images[:25])
    middle.set_title("surest errors", fontsize=8)
    draw_units(right, W1.T[:25], height, width, 5)
    right.set_title("weights of the first units", fontsize=8)
    return figure


def _draw_sheet(axes: Axes, images: NDArray[np.uint8]) -> None:
    """Draw images : (n, height, width) in rows of five."""
    count, height, width = images.shape
    sheet = np.zeros((-(-max(count, 1) // 5) * (height + 1), 5 * (width + 1)), np.uint8)
    for k, image in enumerate(images):
        top, left = (k // 5) * (height + 1), (k % 5) * (width + 1)
        sheet[top : top + height, left : left + width] = image
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=255, interpolation="none")
    axes.axis("off")
