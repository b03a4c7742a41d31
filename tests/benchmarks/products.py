"""What are the matrix products of a network? They alone, in the network's own arrays.

The same shapes, the same orders, written into the same places as in a real update: what is left
when all the rest is free. The weights stay as they are; outputs and gradients are overwritten.
"""

import numpy as np

from sgdprobe.nn import Network
from sgdprobe.nn.functions import Array


class Products:
    """The products of one pass over x : (n, pixels)."""

    def __init__(self, network: Network, x: Array) -> None:
        # Fills the arrays with what an update has there: any bytes may be in new memory, and
        # numbers near 0 slow a product down.
        network.gradient(x, np.zeros(len(x), np.intp))
        self.layers = network.layers(len(x))
        self.inputs = [x, *(layer.h for layer in self.layers)]

    def forward(self) -> None:
        """One product a layer."""
        for x, layer in zip(self.inputs, self.layers, strict=False):
            np.matmul(x, layer.W, out=layer.h)

    def update(self) -> None:
        """Forward; then each layer's gradient, and for all but the first what is handed down."""
        self.forward()
        for k in reversed(range(len(self.layers))):
            layer = self.layers[k]
            np.matmul(self.inputs[k].T, layer.delta, out=layer.dW)
            if k > 0:
                np.matmul(layer.delta, layer.W.T, out=self.layers[k - 1].delta)
