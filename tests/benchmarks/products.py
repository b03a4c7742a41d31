"""What are the matrix products of a network? They alone, in the network's own arrays.

The same orders and calls, written into the same places as in a real update, of all pixels of x:
what is left when all the rest is free and no pixel is left out. The weights stay as they are;
outputs and gradients are overwritten.
"""

import numpy as np

from sgdprobe.nn import Network
from sgdprobe.nn.functions import Array
from sgdprobe.nn.network import Steps, product


class Products:
    """The products of one pass over x : (n, pixels)."""

    def __init__(self, network: Network, x: Array) -> None:
        # Fills the arrays with what an update has there: any bytes may be in new memory, and
        # numbers near 0 slow a product down.
        network.gradient(x, np.zeros(len(x), np.intp))
        arrays = network.last_pass(len(x))
        W, dW = (
            [of[f"W{k}"] for k in range(1, network.depth + 1)]
            for of in (network.params, network.grads)
        )
        self._forward: Steps = []
        self._backward: Steps = []
        below = x
        for k, (h, delta) in enumerate(zip(arrays.h, arrays.delta, strict=True)):
            self._forward += [product(below, W[k], h)]
            self._backward += [product(below.T, delta, dW[k])]
            if k > 0:
                self._backward += [product(delta, W[k].T, arrays.delta[k - 1])]
            below = h

    def forward(self) -> None:
        """One product a layer."""
        for step in self._forward:
            step()

    def update(self) -> None:
        """Forward; then each layer's gradient, and for all but the first what is handed down."""
        self.forward()
        for step in self._backward:
            step()
