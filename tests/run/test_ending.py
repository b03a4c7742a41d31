"""How a run ended, by hand: which of three names, or none."""

import pytest

from sgdprobe.commands.console import advice
from sgdprobe.config.settings import Settings
from sgdprobe.nn import EpochMetrics
from sgdprobe.run.ending import ending
from sgdprobe.run.job import Job, Outcome


@pytest.mark.parametrize(
    ("train", "test", "name"),
    [
        ([], 0.0, ""),
        ([0.0974], 0.15, "guessing"),  # of 10 classes: up to 1.5 · 10 %
        ([0.0974], 0.151, ""),  # one epoch cannot show if more would help
        ([0.60, 0.62], 0.62, "rising"),
        ([0.60, 0.609], 0.61, "stuck"),
        ([0.90, 0.909], 0.90, ""),
        # Eight epochs: the last quarter is two, and 1.2 points in two epochs are more than 1.
        ([0.1, 0.3, 0.5, 0.6, 0.65, 0.670, 0.676, 0.682], 0.68, "rising"),
        ([0.1, 0.3, 0.5, 0.6, 0.65, 0.670, 0.674, 0.678], 0.68, "stuck"),
    ],
)
def test_endings_by_hand(train: list[float], test: float, name: str) -> None:
    epochs = [EpochMetrics(k, k, 1.0, value, test) for k, value in enumerate(train, start=1)]
    assert ending(epochs, classes=10) == name


@pytest.mark.parametrize(
    ("name", "words", "sentence", "command"),
    [
        (
            "guessing",
            ["notes", "training.learning_rate=3"],
            "at guessing level: a guess among 10 classes is right in 10.00 %; docs/how-to/",
            "python src/train.py -m notes training.learning_rate=0.3,30",
        ),
        (
            "stuck",
            [],
            "stuck: training accuracy 67.00 %, no longer rising by 1.00 % in a quarter of the run",
            "python src/train.py -m training.learning_rate=0.3,30",
        ),
        (
            "rising",
            ["notes", "+training.iterations=100", "network.hidden=[50,100]"],
            "still rising: training accuracy rose by more than 1.00 % in the last quarter",
            "python src/train.py notes 'network.hidden=[50,100]' training.iterations=200",
        ),
    ],
)
def test_the_sentence_says_what_to_type(
    name: str, words: list[str], sentence: str, command: str
) -> None:
    settings = Settings().replace({"training.learning_rate": 3.0, "training.iterations": 100})
    job = Job(settings, "notes", "seed=0")
    outcome = Outcome(job, "FINISHED", "id", 1.0, {"train_accuracy": 0.67}, ending=name)
    said, _, typed = advice(outcome, words, 10).partition("\n  ")
    assert said.startswith(sentence), said
    assert typed == command


def test_nothing_is_said_of_a_run_that_settled() -> None:
    job = Job(Settings(), "book", "seed=0")
    assert advice(Outcome(job, "FINISHED", "id", 1.0, {}), [], 10) == ""
