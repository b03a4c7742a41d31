"""How fast could a trainer on all pixels be if everything but its matrix products were free?

The eight products of an update, and the three of each evaluated chunk. Nothing is learned.
"""

from problem import BATCH_SIZE, Indices, Problem
from products import Products

from sgdprobe.nn import Network

CHUNK = 1000  # the products of 70,000 images take least at 500 … 1,000 at a time


class Floor:
    def __init__(self, problem: Problem) -> None:
        network = Network(problem.params)
        self.batch = Products(network, problem.x_train[:BATCH_SIZE].copy())
        self.chunk = Products(network, problem.x_train[:CHUNK].copy())
        self.chunks = (len(problem.train_labels) + len(problem.test_labels)) // CHUNK

    def updates(self, masks: Indices) -> None:
        for _ in masks:
            self.batch.update()

    def evaluate(self) -> None:
        for _ in range(self.chunks):
            self.chunk.forward()
