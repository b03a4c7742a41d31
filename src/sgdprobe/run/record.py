"""Provenance and numbers of one run, so that it can be rerun and every number compared."""

import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.nn import EpochMetrics
from sgdprobe.provenance.environment import Environment
from sgdprobe.provenance.hashes import losses_hash
from sgdprobe.run.build import factor_and_offset, random_streams, splits


def provenance(settings: Settings, data: Dataset, environment: Environment) -> dict[str, Any]:
    """Return all that decides a run's numbers, but for the source."""
    root = settings.data.root
    return {
        "settings": settings.hashed(),
        "data": {
            "folder": None if root is None else str(Path(root).resolve()),
            "files": dict(data.files),
            "digest": data.digest,
        },
        "seen": _seen(settings, data),
        "foreign": settings.foreign(),
        "streams": {name: _stream(rng) for name, rng in random_streams(settings.seed).items()},
        **environment.describe(),
    }


def numbers(
    epochs: Sequence[EpochMetrics], weights: Mapping[str, str], seconds: float
) -> dict[str, Any]:
    """Return every metric in full, and hashes of weights and of the loss of each update.

    weights : hashes of the `initial` and the `final` weights, as far as the run came.
    """
    return {
        "initial_weights": weights.get("initial"),
        "epochs": [_epoch(metrics) for metrics in epochs],
        "final_weights": weights.get("final"),
        "seconds": seconds,
        "peak_memory_bytes": _peak_memory(),
    }


def diagnostic_tags(
    epochs: Sequence[EpochMetrics], confusion: NDArray[np.intp] | None, ending: str = ""
) -> dict[str, str]:
    """Return the tags that say how a run began and ended, as far as it came.

    `diagnostic.first_loss` is the loss of the first batch before any update, in full precision.
    `diagnostic.never_predicted` lists the classes that no test image is given to, or is "none".
    `diagnostic.ending` is a name in ENDINGS; a run that learned and has settled has no such tag.
    """
    tags = {"diagnostic.ending": ending} if ending else {}
    if epochs:
        tags["diagnostic.first_loss"] = repr(float(epochs[0].losses[0]))
    if confusion is not None:
        classes = never_predicted(confusion)
        tags["diagnostic.never_predicted"] = " ".join(map(str, classes)) or "none"
    return tags


def never_predicted(confusion: NDArray[np.intp] | None) -> list[int]:
    """Return the classes that no example is given to."""
    return [] if confusion is None else np.flatnonzero(confusion.sum(axis=0) == 0).tolist()


def _epoch(metrics: EpochMetrics) -> dict[str, Any]:
    return {
        "epoch": metrics.epoch,
        "updates": metrics.updates,
        **metrics.metrics,
        "losses": losses_hash(metrics.losses),
        "weights": metrics.weights,
    }


def _seen(settings: Settings, data: Dataset) -> dict[str, Any]:
    """Return the numbers of images, and how their bytes become x."""
    parts = splits(settings, data)
    factor, offset = factor_and_offset(settings, data)
    return {
        "factor": factor,
        "offset": offset,
        "dtype": parts.train.dtype,
        "train": len(parts.train),
        "test": len(parts.test),
        "validation": len(parts.validation) if parts.validation else 0,
    }


def _stream(rng: np.random.Generator) -> dict[str, Any]:
    """Return how a random stream derives from the seed, in NumPy's words."""
    sequence = rng.bit_generator.seed_seq
    assert isinstance(sequence, np.random.SeedSequence)
    return {
        "generator": type(rng.bit_generator).__name__,
        "entropy": sequence.entropy,
        "spawn_key": list(sequence.spawn_key),
    }


def _peak_memory() -> int:
    """Return this process's peak memory in bytes; Linux counts in KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
