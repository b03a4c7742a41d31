"""Mistakes in backpropagation and in activations, as functions for settings.

    training.gradient=experiments/faultbench/gradients.py:flipped_sign
    network.activation=experiments/faultbench/gradients.py:hidden_softmax

A gradient takes a network, a batch x : (n, pixels) float and t : (n,) labels, writes network.grad
and returns the loss. Each does what `network.gradient` does, with one mistake.
"""

from typing import Any

import numpy as np

from sgdprobe.nn import Network
from sgdprobe.nn.functions import Array, Labels
from sgdprobe.nn.layers import Activation


def flipped_sign(network: Network, x: Array, t: Labels) -> float:
    """Climb: minus the gradient."""
    loss = network.gradient(x, t)
    np.negative(network.grad, out=network.grad)
    return loss


def without_slopes(network: Network, x: Array, t: Labels) -> float:
    """Forget the activation's derivative in the chain rule."""
    with np.errstate(over="ignore"):
        layers, last = network.layers(len(x))
        for layer in layers:
            x = layer.forward(x)
        loss = last.forward(x, t)
        dout = last.backward()
        for layer in reversed(layers):
            if not isinstance(layer, Activation):
                dout = layer.backward(dout)
    return loss


def reshaped(network: Network, x: Array, t: Labels) -> float:
    """Compute dW with its axes exchanged, and reshape it to fit in place of a transpose."""
    loss = network.gradient(x, t)
    for name, dW in network.grads.items():
        if name.startswith("W"):
            dW[:] = dW.T.reshape(dW.shape)
    return loss


def summed_biases(network: Network, x: Array, t: Labels) -> float:
    """Sum the gradient of the biases over the units too: all biases of a layer get the same."""
    loss = network.gradient(x, t)
    for name, db in network.grads.items():
        if name.startswith("b"):
            db[:] = db.sum()
    return loss


def without_mean(network: Network, x: Array, t: Labels) -> float:
    """Forget to divide by the number of examples."""
    loss = network.gradient(x, t)
    network.grad *= len(x)
    return loss


def last_layer_only(network: Network, x: Array, t: Labels) -> float:
    """Stop at the last layer: the hidden layers keep their initial weights."""
    loss = network.gradient(x, t)
    for name, values in network.grads.items():
        if name[1:] != str(network.depth):
            values[:] = 0
    return loss


def without_biases(network: Network, x: Array, t: Labels) -> float:
    """Leave the biases as they are."""
    loss = network.gradient(x, t)
    for name, db in network.grads.items():
        if name.startswith("b"):
            db[:] = 0
    return loss


def hidden_softmax(a: Any) -> Any:
    """Return the softmax over the units of a hidden layer. a : (n, units), or (units,)."""
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def hidden_softmax_derivative(a: Any) -> Any:
    """Return y (1 - y), the diagonal of softmax's derivative, which is what programs use."""
    y = hidden_softmax(a)
    return y * (1 - y)


def step(a: Any) -> Any:
    """Return 1 where a > 0, else 0: the perceptron's function."""
    return (a > 0).astype(a.dtype)


def step_derivative(a: Any) -> Any:
    """Return 0."""
    return np.zeros_like(a)
