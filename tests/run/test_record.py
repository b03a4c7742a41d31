"""The record of a run: its diagnostics by hand, and beside its own weights and losses."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.nn import EpochMetrics, Examples, Network
from sgdprobe.run.build import load_data, splits
from sgdprobe.run.learned import Predictions
from sgdprobe.run.record import diagnostic_tags, numbers


def test_the_confusion_matrix_has_true_classes_in_rows() -> None:
    # Two pixels, three classes. Scores: pixel 0 for class 0, pixel 1 for class 1, class 2 never.
    params = {"W1": np.eye(2, 3), "b1": np.zeros(3)}
    images = np.array([[9, 0], [0, 9], [9, 0], [9, 0]], np.uint8)
    examples = Examples(images, np.array([0, 1, 2, 0]), dtype="float64")
    counts = Predictions.of(Network(params), examples).confusion_matrix(classes=3)
    assert counts.tolist() == [[2, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert diagnostic_tags([], counts) == {"diagnostic.never_predicted": "2"}


def test_all_test_images_are_counted(digits: Path) -> None:
    settings = Settings().replace({"data.root": str(digits)})
    data = load_data(settings)
    params = {"W1": np.zeros((784, 10), np.float32), "b1": np.eye(10, dtype=np.float32)[3]}
    examples = splits(settings, data).test
    counts = Predictions.of(Network(params), examples).confusion_matrix(data.classes)
    assert counts[:, 3].tolist() == np.bincount(data.test_labels).tolist()
    tags = diagnostic_tags([], counts)
    assert tags["diagnostic.never_predicted"] == "0 1 2 4 5 6 7 8 9"


def test_the_first_loss_reads_back_as_the_same_float() -> None:
    losses = np.array([2.302585092994046, 0.1 + 0.2])
    epochs = [EpochMetrics(1, 1, 0.0, 0.0, 0.0, losses=losses[i:]) for i in (0, 1)]
    assert float(diagnostic_tags(epochs, None)["diagnostic.first_loss"]) == 2.302585092994046
    every_class = diagnostic_tags(epochs[1:], np.ones((10, 10), np.intp))
    assert every_class == {
        "diagnostic.first_loss": "0.30000000000000004",
        "diagnostic.never_predicted": "none",
    }


@dataclass(frozen=True)
class WithTopFive(EpochMetrics):
    """One more metric, as a reader would add it: a field that is a float."""

    top_five: float = 0.0


def test_a_metric_is_one_field() -> None:
    epoch = WithTopFive(1, 10, 2.3, 0.1, 0.2, symptoms={"dead_1": 0.5}, top_five=0.9)
    assert epoch.metrics == {
        "loss": 2.3,
        "train_accuracy": 0.1,
        "test_accuracy": 0.2,
        "validation_accuracy": None,
        "top_five": 0.9,
        "symptom/dead_1": 0.5,
    }
    (recorded,) = numbers([epoch], {}, 0.0)["epochs"]
    assert recorded["top_five"] == 0.9
