"""How fast is scikit-learn's MLPClassifier?

`partial_fit` checks its input at every batch, which takes several times as long as the update.
So an epoch is a few calls of `fit` with `warm_start` on batches gathered beforehand, in order: the
same updates, and a stretch of 100 batches still fits into the processor's cache.
"""

import importlib
import warnings
from typing import Any

import numpy as np
from problem import BATCH_SIZE, LEARNING_RATE, SIZES, Floats, Indices, Problem

sklearn: Any = importlib.import_module("sklearn")
neural_network: Any = importlib.import_module("sklearn.neural_network")

STRETCH = 100  # batches a call of fit
CHUNK = 2000  # images a call of predict


class SklearnMlp:
    def __init__(self, problem: Problem) -> None:
        sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
        warnings.filterwarnings("ignore", message=".*optimization hasn't converged")
        self.x_train, self.t_train = problem.x_train, problem.train_labels
        self.x_test, self.t_test = problem.x_test, problem.test_labels
        self.gathered = np.empty((STRETCH * BATCH_SIZE, SIZES[0]), np.float32)
        self.mlp = neural_network.MLPClassifier(
            SIZES[1:-1],
            activation="logistic",
            solver="sgd",
            alpha=0,
            batch_size=BATCH_SIZE,
            learning_rate_init=LEARNING_RATE,
            momentum=0,
            nesterovs_momentum=False,
            shuffle=False,
            max_iter=1,
            n_iter_no_change=10**9,
            warm_start=True,
        )
        # It makes its arrays when it first sees data; then the problem's weights go into them.
        self.mlp.fit(self.x_train[:1000], self.t_train[:1000])
        layers = range(1, len(SIZES))
        self.mlp.coefs_ = [problem.params[f"W{k}"].copy() for k in layers]
        self.mlp.intercepts_ = [problem.params[f"b{k}"].copy() for k in layers]

    def updates(self, masks: Indices) -> None:
        for start in range(0, len(masks), STRETCH):
            mask = masks[start : start + STRETCH].ravel()
            x = self.gathered[: len(mask)]
            self.x_train.take(mask, axis=0, out=x, mode="clip")
            self.mlp.fit(x, self.t_train[mask])

    def evaluate(self) -> tuple[float, float]:
        return self._accuracy(self.x_train, self.t_train), self._accuracy(self.x_test, self.t_test)

    def _accuracy(self, x: Floats, t: Indices) -> float:
        right = 0
        for start in range(0, len(x), CHUNK):
            found = self.mlp.predict(x[start : start + CHUNK])
            right += int(np.count_nonzero(found == t[start : start + CHUNK]))
        return right / len(x)
