"""How fast is the plain NumPy loop that a reader of the book writes? In float32, like everyone."""

import numpy as np
from book_network import BookNetwork
from problem import LEARNING_RATE, SIZES, Indices, Problem


class BookLoop:
    def __init__(self, problem: Problem) -> None:
        one_hot = np.eye(SIZES[-1], dtype=np.float32)
        self.x_train, self.t_train = problem.x_train, one_hot[problem.train_labels]
        self.x_test, self.t_test = problem.x_test, one_hot[problem.test_labels]
        self.network = BookNetwork({name: W.copy() for name, W in problem.params.items()})
        self.losses: list[float] = []

    def updates(self, masks: Indices) -> None:
        for mask in masks:
            x, t = self.x_train[mask], self.t_train[mask]
            self.losses.append(self.network.update(x, t, LEARNING_RATE))

    def evaluate(self) -> tuple[float, float]:
        return (
            self.network.accuracy(self.x_train, self.t_train),
            self.network.accuracy(self.x_test, self.t_test),
        )
