"""Pictures, in matplotlib's object form: nothing global, no window."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sgdprobe.nn import EpochMetrics
from sgdprobe.nn.functions import Array
from sgdprobe.reports.plotting import BLACK, BLUE, ORANGE, despine


def run_figures(epochs: Sequence[EpochMetrics], title: str) -> dict[str, Figure]:
    """The pictures of one run, by file name."""
    return {
        "learning_curve.png": learning_curve(epochs, title),
        "loss_at_every_update.png": loss_at_every_update(
            np.concatenate([metrics.losses for metrics in epochs]), title
        ),
    }


def learning_curve(epochs: Sequence[EpochMetrics], title: str) -> Figure:
    """Loss on the left; train and test accuracy on the right; over epochs."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    steps = [metrics.epoch for metrics in epochs]
    loss.plot(steps, [m.loss for m in epochs], color=BLACK, marker=".")
    loss.set(xlabel="epoch", ylabel="loss, mean over the epoch's updates")
    test = [m.test_accuracy for m in epochs]
    accuracy.plot(steps, [m.train_accuracy for m in epochs], color=BLUE, marker=".", label="train")
    accuracy.plot(steps, test, color=ORANGE, marker=".", linestyle="--", label="test")
    accuracy.set(xlabel="epoch", ylabel="accuracy")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0))
    accuracy.legend(loc="lower right")
    for axes in (loss, accuracy):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        despine(axes)
    figure.suptitle(title)
    return figure


def loss_at_every_update(losses: Array, title: str) -> Figure:
    """The last picture of the notes: the loss of each batch before its update."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(1, len(losses) + 1), losses, color=BLUE, linewidth=0.4)
    axes.set(xlabel="update", ylabel="loss of the batch", title=title)
    despine(axes)
    return figure
