"""How fast is PyTorch when torch.compile makes one function of several whole updates?

Gathering, forward, backward and the step are one graph, without a break, wrapped in C++; images are
kept as bytes and scaled inside it. Of the forms tried the fastest: with floats, with one update a
call, wrapped in Python, or with mode="max-autotune" it takes 5 to 20 % more.
"""

import importlib
from typing import Any

from problem import LEARNING_RATE, Indices, Problem

from contestants.pytorch_eager import Params, forward, tensors

torch: Any = importlib.import_module("torch")
functional: Any = importlib.import_module("torch.nn.functional")

UNROLLED = 10  # updates a call; twice as many are hardly faster and take twice as long to compile
CHUNK = 500  # images a call when all are evaluated


def _update(params: Params, images: Any, labels: Any, mask: Any) -> None:
    x = images.index_select(0, mask).float() * (1 / 255)
    t = labels.index_select(0, mask)

    def loss(params: Params) -> Any:
        return functional.cross_entropy(forward(params, x), t)

    for (W, b), (dW, db) in zip(params, torch.func.grad(loss)(params), strict=True):
        W.sub_(dW, alpha=LEARNING_RATE)
        b.sub_(db, alpha=LEARNING_RATE)


def _updates(params: Params, images: Any, labels: Any, masks: Any) -> None:
    for mask in masks.unbind():
        _update(params, images, labels, mask)


def _right(params: Params, images: Any, labels: Any) -> Any:
    scores = forward(params, images.float() * (1 / 255))
    return (scores.argmax(1) == labels).sum()


OPTIONS = {"cpp_wrapper": True}
compiled_updates = torch.compile(_updates, fullgraph=True, options=OPTIONS)
compiled_right = torch.compile(_right, fullgraph=True, options=OPTIONS)


class PytorchCompiled:
    def __init__(self, problem: Problem) -> None:
        self.params = [(W.detach(), b.detach()) for W, b in tensors(problem)]
        self.train = torch.tensor(problem.data.train_images), torch.tensor(problem.train_labels)
        self.test = torch.tensor(problem.data.test_images), torch.tensor(problem.test_labels)

    def updates(self, masks: Indices) -> None:
        for some in torch.from_numpy(masks).split(UNROLLED):
            compiled_updates(self.params, *self.train, some)

    def evaluate(self) -> tuple[float, float]:
        return self._accuracy(*self.train), self._accuracy(*self.test)

    def _accuracy(self, images: Any, labels: Any) -> float:
        found = 0
        for x, t in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
            found += int(compiled_right(self.params, x, t))
        return found / len(labels)
