"""The same network by formula, with its gradient right and wrong in the usual ways.

If a user's gradient equals a wrong one, the fault has a name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Params = Mapping[str, Array]

MATCHES = 1e-3  # relative: two gradients count as the same


def _sigmoid(a: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * a))


# Each activation with its derivative.
FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "sigmoid": (_sigmoid, lambda a: _sigmoid(a) * (1 - _sigmoid(a))),
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0).astype(float)),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "identity": (lambda a: a, np.ones_like),
}


def softmax(a: Array) -> Array:
    """Return the softmax of each row of a : (n, c)."""
    exp_a = np.exp(a - a.max(axis=1, keepdims=True))
    return np.asarray(exp_a / exp_a.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Reference:
    """A network of affine layers with one activation: params W1, b1, W2, b2, …, float64."""

    params: Params
    activation: str

    @property
    def depth(self) -> int:
        """The number of affine layers."""
        return len(self.params) // 2

    def scores(self, x: Array) -> Array:
        """Return the last weighted sums : (n, c)."""
        return self._forward(x)[0][-1]

    def _forward(self, x: Array) -> tuple[list[Array], list[Array]]:
        """Return the weighted sums of each layer, and the inputs of each."""
        sums: list[Array] = []
        inputs = [x]
        for k in range(1, self.depth + 1):
            sums.append(inputs[-1] @ self.params[f"W{k}"] + self.params[f"b{k}"])
            inputs.append(FUNCTIONS[self.activation][0](sums[-1]))
        return sums, inputs

    def gradient(self, x: Array, t: Array, fault: str = "") -> dict[str, Array]:
        """Return the gradient of the mean cross entropy, or a wrong one. t : (n, c) one-hot.

        fault : a name in FAULTS.
        """
        sums, inputs = self._forward(x)
        y = softmax(sums[-1])
        shift = {"labels_up": 1, "labels_down": -1}.get(fault, 0)
        delta = (y - np.roll(t, shift, axis=1)) / len(x)
        if fault == "softmax_twice":
            delta = delta * y * (1 - y)
        grads = {}
        for k in range(self.depth, 0, -1):
            below = sums[k - 2] if fault == "sums_below" and k > 1 else inputs[k - 1]
            grads[f"W{k}"], grads[f"b{k}"] = below.T @ delta, delta.sum(axis=0)
            if k > 1:
                delta = (delta @ self.params[f"W{k}"].T) * self._slope(sums[k - 2], fault)
        return grads

    def _slope(self, a: Array, fault: str) -> Array:
        function, derivative = FUNCTIONS[self.activation]
        if fault == "no_slope":
            return np.ones_like(a)
        if fault == "slope_of_output":
            return np.asarray(derivative(function(a)))
        slope = np.asarray(derivative(a))
        return 1 - slope if fault == "slope_inverted" else slope


# Names of faults, and the sentence for each; {act} is the activation.
FAULTS = {
    "no_slope": "the derivative of the {act} is missing on the way back",
    "slope_inverted": "the derivative of the {act} is 1 where it must be 0, and 0 where it is 1",
    "slope_of_output": "the derivative of the {act} is computed from its output in place of its "
    "input",
    "softmax_twice": "the derivative of the softmax is counted twice: (y - t) has it already",
    "sums_below": "a weight's gradient is made with the layer's input before its {act}, not after",
    "labels_up": "the labels in gradient() are one too large",
    "labels_down": "the labels in gradient() are one too small",
}


def references(params: Params, x: Array, y: Array) -> Iterator[Reference]:
    """Yield the reference that predicts y, as probabilities or scores, if there is one."""
    names = [f"{letter}{k}" for k in range(1, len(params) // 2 + 1) for letter in "Wb"]
    if not names or set(names) != set(params):
        return
    for activation in FUNCTIONS:
        candidate = Reference(params, activation)
        try:
            scores = candidate.scores(x)
        except ValueError:  # shapes of another kind of network
            return
        if any(same(made, y) for made in (scores, softmax(scores))):
            yield candidate
            return


def same(ours: Array, theirs: Array) -> bool:
    """Return whether two arrays are the same but for rounding."""
    if ours.shape != np.shape(theirs):
        return False
    size = max(float(np.abs(ours).max()), 1e-12)
    return bool(np.abs(ours - theirs).max() <= MATCHES * size)


def fault_of(reference: Reference, x: Array, t: Array, given: Params) -> str:
    """Return the sentence of the fault that gives exactly this gradient; or ""."""
    for name, sentence in FAULTS.items():
        wrong = reference.gradient(x, t, name)
        if all(same(wrong[key], given[key]) for key in wrong):
            return sentence.format(act=reference.activation)
    return ""
