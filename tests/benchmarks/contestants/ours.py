"""How fast is sgdprobe? The very loop that `train` runs, and its own evaluation."""

from problem import LEARNING_RATE, Indices, Problem

from sgdprobe.nn import Examples, Network, accuracy
from sgdprobe.nn.training import _descend


class Ours:
    def __init__(self, problem: Problem) -> None:
        self.network = Network(problem.params)
        self.examples = Examples(problem.data.train_images, problem.train_labels)
        self.test = Examples(problem.data.test_images, problem.test_labels)

    def updates(self, masks: Indices) -> None:
        list(_descend(self.network, self.examples, masks, LEARNING_RATE, "backprop"))

    def evaluate(self) -> tuple[float, float]:
        return accuracy(self.network, self.examples), accuracy(self.network, self.test)
