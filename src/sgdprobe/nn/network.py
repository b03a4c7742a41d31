"""A fully connected network: hidden layers with one activation, then softmax, then a loss.

All weights are in one flat array, `theta`, layer after layer, and their gradients in
another, `grad`. `params["W1"]`, `grads["b2"]`, … are views into the two: one line updates every
layer, a check can go through all weights, and each still has its name from the book.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sgdprobe.nn.functions import (
    ACTIVATIONS,
    LOSS_REDUCTIONS,
    LOSSES,
    OUTPUTS,
    SOFTMAX_AXIS,
    Array,
    Labels,
    activation_function,
    check_labels,
    look_up,
    softmax,
    softmax_into,
)
from sgdprobe.nn.layers import (
    Activation,
    Affine,
    Layer,
    Loss,
    PixelAffine,
    Softmax,
    SoftmaxWithLoss,
)


def _views(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return the part of a flat array that belongs to each name, in the order of `shapes`."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    pieces = np.split(flat, ends[:-1])
    return {
        name: piece.reshape(shape)
        for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
    }


def _checked_shapes(params: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array. Raises ValueError unless they are those of a network."""
    shapes = {name: values.shape for name, values in params.items()}
    names = [f"{letter}{k}" for k in range(1, len(shapes) // 2 + 1) for letter in "Wb"]
    if not names or list(shapes) != names:
        raise ValueError(f"params must be W1, b1, W2, b2, … in this order; got {list(shapes)}")
    units: tuple[int, ...] = shapes["W1"][:1]
    for W, b in zip(names[::2], names[1::2], strict=True):
        if len(shapes[W]) != 2 or shapes[W][:1] != units or shapes[b] != shapes[W][1:]:
            raise ValueError(
                f"{W} must be ({units[0] if units else 'pixels'}, units) and {b} (units,); "
                f"got {shapes[W]} and {shapes[b]}"
            )
        units = shapes[b]
    types = {values.dtype.name: values.dtype.kind for values in params.values()}
    if list(types.values()) != ["f"]:
        raise ValueError(f"params must be of one float type; got {', '.join(types)}")
    return shapes


def _aligned_zeros(like: Array) -> Array:
    """Return zeros that start on a cache line of 64 bytes: updates take a fifth less time."""
    spare = 64 // like.itemsize
    zeros = np.zeros(like.size + spare, like.dtype)
    start = -zeros.ctypes.data % 64 // like.itemsize
    return zeros[start : start + like.size]


class Layers(NamedTuple):
    """The layers for one batch size: up to the scores, and the last one, which has the loss."""

    up_to_scores: list[Layer]
    last: SoftmaxWithLoss | Loss


class Network:
    """A network with given weights that sees factor · x - offset.

    params : {"W1": (pixels, units), "b1": (units,), …}, all of one float type; copied. Raises
    ValueError for shapes that do not fit each other, and other types.
    activation : a name in ACTIVATIONS. softmax_over : in SOFTMAX_AXIS. loss : in LOSSES.
    output : in OUTPUTS. loss_reduction : in LOSS_REDUCTIONS.
    factor, offset : they let x stay pixels, 0 … 255; see `PixelAffine`.

    x : (n, pixels) in the methods may lack first columns that are 0 for all n.

    >>> params = {"W1": np.array([[1.0, -1.0]]), "b1": np.zeros(2)}
    >>> network = Network(params)  # one pixel, two classes
    >>> x, t = np.array([[0.0], [1.0]]), np.array([0, 0])
    >>> network.forward(x).round(4)  # 1 / (1 + exp(-2)) is 0.8808
    array([[0.5   , 0.5   ],
           [0.8808, 0.1192]])
    >>> round(network.gradient(x, t), 4)  # (ln 2 + ln 1 / 0.8808) / 2
    0.41
    >>> network.grads["b1"].round(4)  # the mean of y - t over the batch
    array([-0.3096,  0.3096])
    """

    def __init__(
        self,
        params: Mapping[str, Array],
        *,
        activation: str = "sigmoid",
        softmax_over: str = "sample",
        loss: str = "cross_entropy",
        output: str = "softmax",
        loss_reduction: str = "mean",
        factor: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        shapes = _checked_shapes(params)
        flat = np.concatenate([values.ravel() for values in params.values()])
        self.theta, self.grad = _aligned_zeros(flat), _aligned_zeros(flat)
        self.theta[:] = flat
        self.params = _views(self.theta, shapes)
        self.grads = _views(self.grad, shapes)
        self.depth = len(shapes) // 2
        self.activation = activation_function(activation)
        look_up("softmax_over", softmax_over, SOFTMAX_AXIS)
        self.softmax_over = softmax_over
        self.loss_function = look_up("loss", loss, LOSSES)
        self.output = look_up("output", output, OUTPUTS)
        self.is_sum = look_up("loss_reduction", loss_reduction, LOSS_REDUCTIONS)
        self.factor, self.offset = factor, offset
        self._layers: dict[int, Layers] = {}

    def layers(self, n: int) -> Layers:
        """Return the layers for batches of n examples, with what the last pass over n has left."""
        if n not in self._layers:
            self._layers[n] = self._new_layers(n)
        return self._layers[n]

    def _new_layers(self, n: int) -> Layers:
        W, b, dW, db = (
            [of[f"{letter}{k}"] for k in range(1, self.depth + 1)]
            for of in (self.params, self.grads)
            for letter in "Wb"
        )
        first = PixelAffine(W[0], b[0], dW[0], db[0], n, factor=self.factor, offset=self.offset)
        layers: list[Layer] = [first]
        a = first.y
        for k in range(1, self.depth):
            is_last = k == self.depth - 1
            affine = Affine(W[k], b[k], dW[k], db[k], n, column_major=is_last)
            layers += [Activation(self.activation, like=a), affine]
            a = affine.y
        return self._with_output(layers, a)

    def _with_output(self, layers: list[Layer], a: Array) -> Layers:
        """Return the layers up to the scores and, after them, those of the output and the loss."""
        first, softmax = self.output.first, self.output.softmax
        if first is not None:
            layer = Softmax(a) if first == "softmax" else Activation(ACTIVATIONS[first], like=a)
            layers = [*layers, layer]
        if not softmax:
            return Layers(layers, Loss(self.loss_function, like=a))
        keep = first is not None
        last = SoftmaxWithLoss(self.loss_function, self.softmax_over, like=a, keep_input=keep)
        return Layers(layers, last)

    def slopes(self, n: int) -> list[Array]:
        """Return each hidden layer's slope : (n, units), from the last gradient over n examples."""
        return [layer.slope for layer in self._activations(n)]

    def outputs(self, n: int) -> list[Array]:
        """Return each hidden layer's output : (n, units), from the last pass over n examples."""
        return [layer.output for layer in self._activations(n)]

    def _activations(self, n: int) -> list[Activation]:
        layers = self.layers(n).up_to_scores
        # One more may belong to the output.
        return [layer for layer in layers if isinstance(layer, Activation)][: self.depth - 1]

    def scores(self, x: Array) -> Array:
        """Return the last layer's input, a : (n, classes); overwritten by the next pass over n.

        x : (n, pixels) float. Raises ValueError for another shape or a wider type.
        """
        self._check(x)
        # exp overflows where a sigmoid is 0, as it should be.
        with np.errstate(over="ignore"):
            for layer in self.layers(len(x)).up_to_scores:
                x = layer.forward(x)
        return x

    def _check(self, x: Array) -> None:
        dtype = self.theta.dtype
        if x.ndim != 2 or not len(x) or x.shape[1] > len(self.params["W1"]):
            raise ValueError(f"x must be (n, {len(self.params['W1'])}); got {x.shape}")
        if x.dtype != dtype and np.result_type(x, dtype) != dtype:
            raise ValueError(f"x must be {dtype}, as the weights are; got {x.dtype}")

    def forward(self, x: Array) -> Array:
        """Return the outputs y : (n, classes); overwritten by the next pass over n."""
        a = self.scores(x)
        return softmax_into(a, a, self.softmax_over) if self.output.softmax else a

    def probabilities(self, x: Array) -> Array:
        """Return the probability of each class : (n, classes), rows that sum to 1; a new array."""
        return self.as_probabilities(self.scores(x))

    def as_probabilities(self, scores: Array) -> Array:
        """Return what `scores` returned as probabilities, the largest for the largest score.

        A softmax is over each sample, also where training's is over the batch. Outputs without a
        softmax are cut off below 0 and divided by their sum; where none is above 0, by a softmax.
        """
        y = softmax(scores)
        if not self.output.softmax:
            positive = np.maximum(scores, 0.0)
            total = positive.sum(axis=1, keepdims=True)
            np.divide(positive, total, out=y, where=total > 0)
        return y

    def loss(self, x: Array, t: Labels) -> float:
        """Return the loss of a batch. t : (n,) integer labels, or (n, classes) one-hot."""
        loss = self.loss_function.function(self.forward(x), t)
        return loss * len(x) if self.is_sum else loss

    def gradient(self, x: Array, t: Labels) -> float:
        """Return the loss of a batch and write its derivative by every weight into `grad`.

        x : (n, pixels) float; t : (n,) integer labels, 0 … classes - 1. Raises ValueError for
        other shapes and labels.
        """
        self._check(x)
        t = np.asarray(t)
        if t.shape != x.shape[:1]:
            raise ValueError(f"t must be ({len(x)},) labels; got {t.shape}")
        check_labels(t, len(self.params[f"b{self.depth}"]))
        with np.errstate(over="ignore"):
            return self.backprop(x, t)

    def backprop(self, x: Array, t: Labels) -> float:
        """Do what `gradient` does inside an np.errstate of the caller's, which takes 2 µs."""
        layers, last = self.layers(len(x))
        for layer in layers:
            x = layer.forward(x)
        loss = last.forward(x, t)
        dout = last.backward()
        if self.is_sum:
            loss *= len(x)
            dout *= len(x)
        for layer in reversed(layers):
            dout = layer.backward(dout)
        return loss
