"""Checkpoints: a long run that is killed, or whose machine stops, resumes from its last one."""

import json
import math
import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sgdprobe.errors import one_line
from sgdprobe.nn import EpochMetrics, TrainingState, updates_per_epoch
from sgdprobe.nn.functions import Array
from sgdprobe.provenance.compare import IGNORED, find_causes
from sgdprobe.run.build import build_optimizer
from sgdprobe.run.setup import TrainingSetup
from sgdprobe.tracking.timeouts import CHECKPOINT_INTERVAL_S

# How the names of the optimizer's arrays begin in the file.
OPTIMIZER = "optimizer."


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file: a state of the run `run_id`, and the epochs before it.

    provenance : with what the state was computed; elsewhere the same run has other bits.
    """

    run_id: str
    state: TrainingState
    epochs: list[EpochMetrics]
    provenance: Mapping[str, Any]


class CheckpointWriter:
    """Writes a run's checkpoint, at intervals.

    epochs : those that have ended; the run's own list, which grows.

    The file is replaced as a whole, so it is never half written. A disk that can't take it is
    reported once and stops no run.
    """

    def __init__(
        self,
        file: Path,
        run_id: str,
        epochs: list[EpochMetrics],
        provenance: Mapping[str, Any],
        interval: float = CHECKPOINT_INTERVAL_S,
    ) -> None:
        self._file = file
        self._run_id = run_id
        self._epochs = epochs
        self._provenance = provenance
        self._interval = interval
        self._saved = time.monotonic()
        self._warned = False

    def update(self, state: TrainingState) -> None:
        """Write a checkpoint if the last one is old enough."""
        if time.monotonic() - self._saved < self._interval:
            return
        try:
            save(self._file, Checkpoint(self._run_id, state, self._epochs, self._provenance))
        except OSError as error:
            if not self._warned:
                sys.stderr.write(f"{self._file} can't be written: {error.strerror}\n")
            self._warned = True
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file of a run that has finished, and drafts of processes that were killed."""
        for file in (self._file, *self._file.parent.glob(f"{self._file.name}.*.new")):
            file.unlink(missing_ok=True)


def save(file: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    at = checkpoint.state
    facts = {
        "run_id": checkpoint.run_id,
        "provenance": checkpoint.provenance,
        "epoch": at.epoch,
        "updates_before": at.updates_before,
        "rng_state": at.rng_state,
        "epochs": [asdict(metrics) | {"losses": None} for metrics in checkpoint.epochs],
    }
    earlier = [metrics.losses for metrics in checkpoint.epochs]
    draft = file.with_name(f"{file.name}.{checkpoint.run_id}.new")
    with draft.open("wb") as stream:
        np.savez(
            stream,
            allow_pickle=False,
            facts=np.array(json.dumps(facts)),
            theta=at.theta,
            **{OPTIMIZER + name: array for name, array in at.optimizer.items()},
            losses=np.array(at.losses),
            earlier=np.concatenate(earlier) if earlier else np.empty(0),
        )
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def restore(file: Path, provenance: Mapping[str, Any], setup: TrainingSetup) -> Checkpoint | None:
    """Return the checkpoint in a file, or None if there is none from which this run can resume.

    One that is damaged, or that was computed with something else, such as another BLAS kernel, is
    set aside, with a line on stderr.
    """
    try:
        checkpoint = _read(file, setup)
        now = json.loads(json.dumps(provenance))
        causes = find_causes(checkpoint.provenance, now)
        reason = "; ".join(str(cause) for cause in causes if cause.kind not in IGNORED)
    except FileNotFoundError:
        return None
    except Exception as error:  # zipfile, NumPy and json fail in many ways at what is damaged
        reason = one_line(error)
    if not reason:
        return checkpoint
    with suppress(OSError):
        file = file.replace(file.with_name(f"{file.name}.unused"))
    sys.stderr.write(f"the checkpoint {file} can't be used, so the run starts anew: {reason}\n")
    return None


def _read(file: Path, setup: TrainingSetup) -> Checkpoint:
    """Return what is in a file, if it can be a state of this run. Raises any exception."""
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
        arrays: dict[str, Array] = dict(content)
    facts = json.loads(str(arrays.pop("facts")))
    losses, earlier = arrays.pop("losses"), arrays.pop("earlier")
    _check_arrays(arrays, setup)
    rng = type(setup.batches.bit_generator)()
    rng.state = facts["rng_state"]
    per_epoch = updates_per_epoch(len(setup.examples.train), setup.settings.training.batch_size)
    ends = range(per_epoch, len(earlier) + 1, per_epoch)
    epochs = [
        EpochMetrics(
            **(epoch | {"epoch": k, "updates": end, "losses": earlier[end - per_epoch : end]})
        )
        for k, (epoch, end) in enumerate(zip(facts["epochs"], ends, strict=True), start=1)
    ]
    before = per_epoch * len(epochs)
    fits = (
        re.fullmatch(r"\w{1,64}", facts["run_id"])
        and rng.state == facts["rng_state"]
        and [(m["epoch"], m["updates"]) for m in facts["epochs"]]
        == [(m.epoch, m.updates) for m in epochs]
        and all(_is_whole(metrics, setup) for metrics in epochs)
        and (facts["epoch"], facts["updates_before"]) == (len(epochs) + 1, before)
        and 0 < len(losses) <= min(per_epoch, setup.updates - before)
        and len(earlier) == before
        and all(a.dtype == float and a.ndim == 1 for a in (losses, earlier))
        and all(np.isfinite(a).all() for a in (losses, earlier, *arrays.values()))
    )
    if not fits:
        raise ValueError("its content contradicts itself or the settings")
    theta = arrays.pop("theta")
    optimizer = {name.removeprefix(OPTIMIZER): array for name, array in arrays.items()}
    state = TrainingState(
        len(epochs) + 1, before, losses.tolist(), facts["rng_state"], theta, optimizer
    )
    return Checkpoint(facts["run_id"], state, epochs, facts["provenance"])


def _check_arrays(arrays: Mapping[str, Array], setup: TrainingSetup) -> None:
    """Raise ValueError unless these are arrays like the run's own after an update."""
    theta, optimizer = np.zeros_like(setup.network.theta), build_optimizer(setup.settings)
    optimizer.update(theta, np.zeros_like(theta))
    own = {"theta": theta} | {OPTIMIZER + k: array for k, array in optimizer.state.items()}
    shapes, expected = (
        {name: (array.dtype, array.shape) for name, array in some.items()} for some in (arrays, own)
    )
    if shapes != expected:
        raise ValueError(f"it has {shapes} in place of {expected}")


def _is_whole(metrics: EpochMetrics, setup: TrainingSetup) -> bool:
    """Return whether an epoch has all of its metrics, as numbers, and the hash of its weights."""
    values = dict(metrics.metrics)
    validated = values.pop("validation_accuracy")
    return (
        (validated is None) == (setup.examples.validation is None)
        and all(isinstance(value, float) for value in [*values.values(), validated or 0.0])
        and math.isfinite(metrics.loss)
        and all(re.fullmatch(r"\w{1,64}", name) for name in metrics.symptoms)
        and re.fullmatch(r"[0-9a-f]{64}", str(metrics.weights)) is not None
    )
