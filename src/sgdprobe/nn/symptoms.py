"""Signs of a network that can't learn: layers without slope, gradients without size."""

import numpy as np

from sgdprobe.nn.functions import Array, Labels
from sgdprobe.nn.network import Network

# A unit counts as saturated where its activation's slope is under this share of the steepest.
SATURATED_SLOPE = 0.01


@np.errstate(over="ignore", invalid="ignore")  # of a network that diverges: that is a symptom too
def symptoms(network: Network, x: Array, t: Labels) -> dict[str, float]:
    """Per layer, on one batch and with the weights as they are; layers are numbered from 1.

    gradient_norm_k : Euclidean norm of the loss's gradient by W_k and b_k.
    saturated_k     : share of (example, unit) pairs whose slope is under 1 % of the steepest.
    dead_k          : share of units that have no slope for any example of the batch.

    Writes into the network's buffers and gradient, not into its weights.
    """
    network.gradient(x, t)
    signs: dict[str, float] = {}
    for k in range(1, network.depth + 1):
        both = (network.grads[f"W{k}"], network.grads[f"b{k}"])
        signs[f"gradient_norm_{k}"] = float(np.sqrt(sum(float(np.vdot(g, g)) for g in both)))
    for k, slope in enumerate(map(np.abs, network.slopes(len(x))), start=1):
        signs[f"saturated_{k}"] = float(
            np.mean(slope < SATURATED_SLOPE * network.activation.max_slope)
        )
        signs[f"dead_{k}"] = float(np.mean(slope.max(axis=0) == 0.0))
    return signs
