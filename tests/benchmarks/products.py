"""What are the matrix products of a network? They alone, in the network's own arrays.

The same orders and calls, written into the same places as in a real update, of all pixels of x:
what is left when all the rest is free and no pixel is left out. The weights stay as they are;
outputs and gradients are overwritten.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from sgdprobe.nn import Network
from sgdprobe.nn.functions import Array
from sgdprobe.nn.layers import Affine, PixelAffine

Steps = list[Callable[[], object]]


class Products:
    """The products of one pass over x : (n, pixels)."""

    def __init__(self, network: Network, x: Array) -> None:
        # Fills the arrays with what an update has there: any bytes may be in new memory, and
        # numbers near 0 slow a product down.
        network.gradient(x, np.zeros(len(x), np.intp))
        layers, last = network.layers(len(x))
        affines = [layer for layer in layers if isinstance(layer, Affine | PixelAffine)]
        # The derivative by each product, as the layer above it has written it.
        douts = [*(layer.dx for layer in affines if isinstance(layer, Affine)), last.dx]
        self._forward: Steps = []
        self._backward: Steps = []
        for layer, dout in zip(affines, douts, strict=True):
            self._forward += [product(x, layer.W, layer.y)]
            self._backward += [partial(np.dot, x.T, dout, layer.dW)]
            if isinstance(layer, Affine):
                self._backward += [partial(np.dot, dout, layer.W.T, layer.dx)]
            x = layer.y

    def forward(self) -> None:
        """One product a layer."""
        for step in self._forward:
            step()

    def update(self) -> None:
        """Forward; then each layer's gradient, and for all but the first what is handed down."""
        self.forward()
        for step in self._backward:
            step()


def product(x: Array, W: Array, out: Array) -> Callable[[], object]:
    """X W into out, to be carried out when called; np.dot writes row-major arrays only."""
    if out.flags.c_contiguous:
        return partial(np.dot, x, W, out)
    return partial(np.dot, W.T, x.T, out.T)
