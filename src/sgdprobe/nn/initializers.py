"""Initial weights: the standard deviation of each layer's weights, and of the biases."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from sgdprobe.nn.foreign import is_foreign
from sgdprobe.nn.functions import Array, look_up
from sgdprobe.nn.own import own_initializer


def normal(fan_in: int, fan_out: int) -> float:
    """1: the same standard deviation for every layer, as in the notes."""
    return 1.0


def xavier(fan_in: int, fan_out: int) -> float:
    """sqrt(2 / (fan_in + fan_out)); Glorot and Bengio 2010. (The book calls LeCun's Xavier's.)"""
    return math.sqrt(2.0 / (fan_in + fan_out))


def he(fan_in: int, fan_out: int) -> float:
    """sqrt(2 / fan_in), for ReLU; He et al. 2015.

    >>> he(50, 10)
    0.2
    """
    return math.sqrt(2.0 / fan_in)


def lecun(fan_in: int, fan_out: int) -> float:
    """sqrt(1 / fan_in); LeCun et al. 1998."""
    return math.sqrt(1.0 / fan_in)


INITIALIZERS: dict[str, Callable[[int, int], float]] = {
    "normal": normal,
    "xavier": xavier,
    "he": he,
    "lecun": lecun,
}


def initializer(name: str) -> Callable[[int, int], float]:
    """Return the initializer of this name, or that of FILE.py:NAME. Raises ValueError."""
    return own_initializer(name) if is_foreign(name) else look_up("scheme", name, INITIALIZERS)


def draw_params(
    rng: np.random.Generator,
    sizes: Sequence[int],
    *,
    scheme: str,
    scale: float,
    dtype: str,
    bias_scale: float = 0.0,
) -> dict[str, Array]:
    """Draw {"W1": (fan_in, fan_out), "b1": (fan_out,), …} for layers of the given sizes.

    sizes : (pixels, hidden …, classes). Each W is from N(0, (scale · std of the scheme)²), drawn
    in float64 and then rounded, so that float32 and float64 runs of one seed start alike. Biases
    are from N(0, bias_scale²), drawn after all W, so that these do not depend on bias_scale.
    scheme : a name in INITIALIZERS, or FILE.py:NAME. scale, bias_scale : 0 or more.
    dtype : "float32" or "float64". Raises ValueError for others.

    >>> rng = np.random.default_rng(0)
    >>> params = draw_params(rng, (784, 50, 10), scheme="he", scale=1.0, dtype="float32")
    >>> {name: values.shape for name, values in params.items()}
    {'W1': (784, 50), 'b1': (50,), 'W2': (50, 10), 'b2': (10,)}
    """
    std_of = initializer(scheme)
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes must be two or more, each 1 or more; got {list(sizes)}")
    if not scale >= 0 or np.dtype(dtype).kind != "f":
        raise ValueError(f"scale must be 0 or more and dtype of floats; got {scale} and {dtype}")
    params: dict[str, Array] = {}
    for k, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        std = scale * std_of(fan_in, fan_out)
        W = std * rng.standard_normal((fan_in, fan_out))
        with np.errstate(over="ignore"):  # a scale beyond the float type shows in the first loss
            params[f"W{k}"] = W.astype(dtype)
        params[f"b{k}"] = np.zeros(fan_out, dtype)
    for name, values in params.items() if bias_scale else ():
        if name.startswith("b"):
            values[:] = bias_scale * rng.standard_normal(values.shape)
    return params
