"""Pictures, in matplotlib's object form: nothing global, no window."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sgdprobe.nn import EpochMetrics

# Okabe and Ito's colours: told apart without colour vision too.
BLUE, ORANGE, BLACK = "#0072B2", "#D55E00", "#000000"


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
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure
