"""How fast is sgdprobe? The very loop that `train` runs, and its own evaluation."""

from problem import LEARNING_RATE, SIZES, Indices, Problem

from sgdprobe.config.settings import Settings
from sgdprobe.nn import SGD, Examples, accuracy
from sgdprobe.nn.training import run_updates
from sgdprobe.run.build import build_network, splits

# What a run is told, as far as it bears on what is made of data and weights.
RUN = Settings.from_dict({"network": {"hidden": list(SIZES[1:-1])}, "data": {"scale": "unit"}})


class Ours:
    """As a run does it."""

    def __init__(self, problem: Problem) -> None:
        self.network = build_network(RUN, problem.data, problem.params)
        self.optimizer = SGD(LEARNING_RATE)
        parts = splits(RUN, problem.data)
        self.examples, self.test = parts.train, parts.test

    def updates(self, masks: Indices) -> None:
        batches = map(self.examples.batch, masks)
        run_updates(self.network, batches, self.optimizer, [])

    def evaluate(self) -> tuple[float, float]:
        return accuracy(self.network, self.examples), accuracy(self.network, self.test)


class OursOnAllPixels(Ours):
    """With every pixel of every image in every product, as its peers have it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.examples, self.test = map(on_all_pixels, (self.examples, self.test))


def on_all_pixels(part: Examples) -> Examples:
    """The same examples, with nothing left out of a batch."""
    return Examples(part.images, part.labels, position=part.position, dtype=part.dtype)
