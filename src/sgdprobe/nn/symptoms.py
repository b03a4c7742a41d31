"""Symptoms of a network that cannot learn: layers without slope, gradients without size.

A new one is a function and a row in a table; it is recorded as the metric symptom/NAME_k of each
layer k.
"""

from collections.abc import Callable

import numpy as np

from sgdprobe.nn.functions import Array, Labels
from sgdprobe.nn.network import Network

# A unit counts as saturated if its activation's slope is under this share of the largest possible.
SATURATED_SLOPE = 0.01


def gradient_norm(dW: Array, db: Array) -> float:
    """Euclidean norm of the loss's gradient by a layer's W and b."""
    return float(np.sqrt(sum(float(np.vdot(g, g)) for g in (dW, db))))


def saturated(slope: Array, max_slope: float) -> float:
    """Share of (example, unit) pairs with a slope under 1 % of the largest possible, 0 … 1."""
    return float(np.mean(slope < SATURATED_SLOPE * max_slope))


def dead(slope: Array, max_slope: float) -> float:
    """Share of units that have no slope for any example of the batch, 0 … 1."""
    return float(np.mean(slope.max(axis=0) == 0.0))


# Of every layer, from its gradients.
GRADIENT_SYMPTOMS: dict[str, Callable[[Array, Array], float]] = {"gradient_norm": gradient_norm}

# Of every hidden layer, from |slope| : (n, units) and the activation's max_slope.
SLOPE_SYMPTOMS: dict[str, Callable[[Array, float], float]] = {"saturated": saturated, "dead": dead}


@np.errstate(
    over="ignore", invalid="ignore", divide="ignore"
)  # in a network that diverges: that is a symptom too
def symptoms(network: Network, x: Array, t: Labels) -> dict[str, float]:
    """Return {"gradient_norm_1": …, "saturated_1": …, …}; layers are numbered from 1.

    x : (n, pixels) float; t : (n,) integer labels. Overwrites the network's buffers and gradient,
    not its weights.
    """
    network.gradient(x, t)
    signs: dict[str, float] = {}
    for k in range(1, network.depth + 1):
        dW, db = network.grads[f"W{k}"], network.grads[f"b{k}"]
        signs |= {f"{name}_{k}": of(dW, db) for name, of in GRADIENT_SYMPTOMS.items()}
    max_slope = network.activation.max_slope
    for k, slope in enumerate(map(np.abs, network.slopes(len(x))), start=1):
        signs |= {f"{name}_{k}": of(slope, max_slope) for name, of in SLOPE_SYMPTOMS.items()}
    return signs
