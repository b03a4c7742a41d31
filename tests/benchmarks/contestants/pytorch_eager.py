"""How fast is PyTorch, one operation after another?

Autograd over functional layers, and the step in one call for all weights. Of the forms tried the
fastest: nn.Sequential takes 3 % more, torch.optim.SGD (looped, foreach or fused) 30 % more; images
kept as bytes are as fast.
"""

import importlib
from typing import Any

from problem import BATCH_SIZE, LEARNING_RATE, SIZES, Indices, Problem

torch: Any = importlib.import_module("torch")
functional: Any = importlib.import_module("torch.nn.functional")

CHUNK = 500  # images a forward pass when all are evaluated: the fastest of 500 … 60,000
Params = list[tuple[Any, Any]]  # W and b of each layer; PyTorch keeps W transposed


def tensors(problem: Problem) -> Params:
    """The problem's weights, on one thread: the environment's thread count is said again here."""
    torch.set_num_threads(1)
    return [
        (
            torch.tensor(problem.params[f"W{k}"].T.copy(), requires_grad=True),
            torch.tensor(problem.params[f"b{k}"], requires_grad=True),
        )
        for k in range(1, len(SIZES))
    ]


def forward(params: Params, x: Any) -> Any:
    """What goes into the softmax."""
    *hidden, (W, b) = params
    for W_k, b_k in hidden:
        x = torch.sigmoid(functional.linear(x, W_k, b_k))
    return functional.linear(x, W, b)


class PytorchEager:
    def __init__(self, problem: Problem) -> None:
        self.params = tensors(problem)
        self.flat = [tensor for pair in self.params for tensor in pair]
        self.train = torch.tensor(problem.x_train), torch.tensor(problem.train_labels)
        self.test = torch.tensor(problem.x_test), torch.tensor(problem.test_labels)
        self.x = torch.empty(BATCH_SIZE, SIZES[0])
        self.t = torch.empty(BATCH_SIZE, dtype=torch.int64)

    def updates(self, masks: Indices) -> None:
        images, labels = self.train
        for mask in torch.from_numpy(masks):
            torch.index_select(images, 0, mask, out=self.x)
            torch.index_select(labels, 0, mask, out=self.t)
            loss = functional.cross_entropy(forward(self.params, self.x), self.t)
            grads = torch.autograd.grad(loss, self.flat)
            with torch.no_grad():
                torch._foreach_add_(self.flat, grads, alpha=-LEARNING_RATE)

    def evaluate(self) -> tuple[float, float]:
        return self._accuracy(*self.train), self._accuracy(*self.test)

    def _accuracy(self, images: Any, labels: Any) -> float:
        right = 0
        with torch.inference_mode():
            for x, t in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
                right += int((forward(self.params, x).argmax(1) == t).sum())
        return right / len(labels)
