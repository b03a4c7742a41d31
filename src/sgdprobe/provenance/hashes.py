"""Hashes of a run's arrays, which numbers.json holds."""

import hashlib
from collections.abc import Mapping

import numpy as np

from sgdprobe.nn.functions import Array


def weights_hash(params: Mapping[str, Array]) -> str:
    """Return the SHA-256 of all weights, with their names, types and shapes."""
    sha = hashlib.sha256()
    for name, values in params.items():
        sha.update(f"{name} {values.dtype} {values.shape}\n".encode())
        sha.update(np.ascontiguousarray(values).data)
    return sha.hexdigest()


def losses_hash(losses: Array) -> str:
    """Return the SHA-256 of the losses of an epoch's updates."""
    return hashlib.sha256(losses.tobytes()).hexdigest()
