"""Checkpoints: a long run that is killed, or whose machine stops, resumes from its last one."""

import json
import os
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sgdprobe.nn import EpochMetrics, TrainingState
from sgdprobe.nn.functions import Array
from sgdprobe.tracking.timeouts import CHECKPOINT_INTERVAL_S

# How the names of the optimizer's arrays begin in the file.
OPTIMIZER = "optimizer."


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file: a state of the run `run_id`, and the epochs before it."""

    run_id: str
    state: TrainingState
    epochs: list[EpochMetrics]


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
        interval: float = CHECKPOINT_INTERVAL_S,
    ) -> None:
        self._file = file
        self._run_id = run_id
        self._epochs = epochs
        self._interval = interval
        self._saved = time.monotonic()
        self._warned = False

    def update(self, state: TrainingState) -> None:
        """Write a checkpoint if the last one is old enough."""
        if time.monotonic() - self._saved < self._interval:
            return
        try:
            save(self._file, Checkpoint(self._run_id, state, self._epochs))
        except OSError as error:
            if not self._warned:
                sys.stderr.write(f"{self._file} can't be written: {error.strerror}\n")
            self._warned = True
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file of a run that has finished."""
        self._file.unlink(missing_ok=True)


def save(file: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    at = checkpoint.state
    facts = {
        "run_id": checkpoint.run_id,
        "epoch": at.epoch,
        "updates_before": at.updates_before,
        "rng_state": at.rng_state,
        "epochs": [asdict(metrics) | {"losses": None} for metrics in checkpoint.epochs],
    }
    earlier = [metrics.losses for metrics in checkpoint.epochs]
    draft = file.with_name(f"{file.name}.{os.getpid()}.new")
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


def restore(file: Path) -> Checkpoint | None:
    """Return the checkpoint in a file, or None if there is none that can be read."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            facts = json.loads(str(content["facts"]))
            epochs = _epochs(facts["epochs"], content["earlier"])
            state = TrainingState(
                facts["epoch"],
                facts["updates_before"],
                content["losses"].tolist(),
                facts["rng_state"],
                content["theta"],
                {
                    name.removeprefix(OPTIMIZER): content[name]
                    for name in content.files
                    if name.startswith(OPTIMIZER)
                },
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"{file} can't be read, so the run starts from the beginning: {error}\n")
        return None
    return Checkpoint(facts["run_id"], state, epochs)


def _epochs(recorded: Sequence[dict[str, Any]], losses: Array) -> list[EpochMetrics]:
    epochs: list[EpochMetrics] = []
    updates_before = 0
    for facts in recorded:
        metrics = EpochMetrics(**(facts | {"losses": losses[updates_before : facts["updates"]]}))
        updates_before = metrics.updates
        epochs.append(metrics)
    return epochs
