"""The figures of one run."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from sgdprobe.nn import EpochMetrics
from sgdprobe.nn.functions import Array
from sgdprobe.reports import plotting as style


def run_figures(
    epochs: Sequence[EpochMetrics], losses: Array | None, title: str
) -> dict[str, Figure]:
    """Draw one run; figures by file name. losses : of each update, None if not recorded."""
    drawn = {"learning_curve.png": learning_curve(epochs, title)}
    if losses is not None:
        drawn["loss_at_every_update.png"] = loss_at_every_update(losses, title)
    return drawn


def learning_curve(epochs: Sequence[EpochMetrics], title: str) -> Figure:
    """Draw the loss on the left, train and test accuracy on the right; over epochs."""
    figure, (loss, accuracy) = style.two(3.6)
    steps = [metrics.epoch for metrics in epochs]
    loss.plot(steps, [m.loss for m in epochs], ".-", color=style.BLACK)
    loss.set(xlabel="epoch", ylabel="loss, mean over the epoch's updates")
    style.despine(loss)
    style.whole_epochs(loss)
    train, test = ([m.train_accuracy for m in epochs], [m.test_accuracy for m in epochs])
    accuracy.plot(steps, train, ".-", color=style.BLUE, label="train")
    accuracy.plot(steps, test, ".--", color=style.ORANGE, label="test")
    accuracy.set(xlabel="epoch", ylabel="accuracy")
    accuracy.legend(loc="lower right")
    style.accuracy_over_epochs(accuracy)
    if len(epochs) == 1:  # a scale of a single value would have ticks such as 67.170 %
        loss.set_ylim(bottom=0)
        accuracy.set_ylim(0, 1)
    figure.suptitle(title)
    return figure


def loss_at_every_update(losses: Array, title: str) -> Figure:
    """Draw the last figure of the notes: the loss of each batch before its update."""
    figure, axes = style.single(3.6)
    updates = np.arange(1, len(losses) + 1)
    axes.plot(updates, losses, color=style.BLUE, linewidth=0.4, rasterized=True)
    axes.set(xlabel="update", ylabel="loss of the batch", title=title)
    style.despine(axes)
    return figure
