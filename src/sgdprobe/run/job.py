"""One run, end to end: settings, data, network, epochs, record. Every door goes through here."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from sgdprobe import tracking
from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.nn import EpochMetrics, Network, TrainingState, train
from sgdprobe.paths import CHECKPOINTS
from sgdprobe.provenance.environment import Environment
from sgdprobe.provenance.source import source_hash
from sgdprobe.run.build import (
    Params,
    Splits,
    build_network,
    build_optimizer,
    initial_params,
    load_data,
    params_in_pixel_order,
    random_streams,
    splits,
    updates_and_epochs,
)
from sgdprobe.run.checkpoint import Checkpoint, CheckpointWriter, restore
from sgdprobe.run.preflight import PreflightWarning, preflight
from sgdprobe.run.record import (
    confusion_matrix,
    diagnostic_tags,
    numbers,
    provenance,
    weights_hash,
)

# What a run is called when no recipe was named: after conf/config.yaml.
NO_RECIPE = "config"


@dataclass(frozen=True)
class Job:
    """A run to be made: its settings, what to call it, and where it was asked for."""

    settings: Settings
    recipe: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a job. `status` is MLflow's word; `epochs` are those that were recorded."""

    job: Job
    status: str
    run_id: str | None
    epochs: list[EpochMetrics]
    seconds: float
    failure: str | None = None
    reused: bool = False  # done before this command, which only found it
    cautions: tuple[PreflightWarning, ...] = ()  # what looked wrong before training

    @property
    def last(self) -> EpochMetrics | None:
        """The last epoch, if there was one."""
        return self.epochs[-1] if self.epochs else None


class Watcher(Protocol):
    """Whoever wants to see a run happen."""

    def caution(self, caution: PreflightWarning) -> None:
        """Called before training with each thing that looks wrong."""

    def update(self, checkpoint: TrainingState) -> None:
        """Called after each update."""

    def epoch(self, metrics: EpochMetrics) -> None:
        """Called after each epoch."""


class Nobody:
    """A watcher that looks away."""

    def caution(self, caution: PreflightWarning) -> None:
        """Nothing."""

    def update(self, checkpoint: TrainingState) -> None:
        """Nothing."""

    def epoch(self, metrics: EpochMetrics) -> None:
        """Nothing."""


def identity(settings: Settings, data: Dataset) -> dict[str, str]:
    """Tags that say what was computed: runs with the same `key` have the same numbers.

    `program` is the settings alone; `size` is what a run's time depends on.
    """
    return {
        "key": settings.key(data.digest, source_hash()),
        "program": settings.key(),
        "source_hash": source_hash(),
        "data_hash": data.digest,
        "size": settings.workload,
    }


Finish = Callable[["tracking.RunRecorder", list[EpochMetrics]], None]


def run(
    job: Job,
    store: "tracking.Store",
    watcher: Watcher | None = None,
    finish: Finish = lambda *_: None,
) -> Outcome:
    """Train and record one job; an exception makes it FAILED and is told in the outcome.

    A long run that was killed goes on from its checkpoint, as a run of its own that begins with
    the epochs of the killed one. finish is called before the record is closed.
    """
    started = time.perf_counter()
    epochs: list[EpochMetrics] = []
    cautions: list[PreflightWarning] = []
    watcher = watcher or Nobody()
    run_id, status, failure = None, "FINISHED", None
    try:
        data = load_data(job.settings)
        tags = job.tags | identity(job.settings, data)
        # A repeat proves nothing if it goes on from what it is to be compared with.
        file = CHECKPOINTS / (tags["key"] + tags.get("rerun_of", ""))
        standing = restore(file)
        if standing is not None:
            tags["continues"] = standing.run_id
        machine = Environment()
        with (
            tracking.store_errors(store.uri),
            machine.single_threaded_blas(),
            tracking.RunRecorder(store, job.name, job.settings, data, tags) as recorder,
        ):
            run_id = recorder.run_id
            recorder.provenance(provenance(job.settings, data, machine), job.origin)
            saver = CheckpointWriter(file, run_id, epochs)
            parts = _assemble(job.settings, data)
            cautions = _look_ahead(parts, recorder, watcher)
            start = _take_up(standing, epochs, recorder)
            _train(parts, recorder, epochs, start, saver, watcher)
            finish(recorder, epochs)
            saver.remove()
    except Exception as error:  # told in the outcome, and recorded with its traceback
        status, failure = "FAILED", f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - started
    return Outcome(job, status, run_id, epochs, seconds, failure, cautions=tuple(cautions))


@dataclass(frozen=True)
class Parts:
    """What a run trains, and on what; `first` are the weights of all pixels, before training."""

    settings: Settings
    first: Params
    network: Network
    examples: Splits
    batches: np.random.Generator
    updates: int
    data: Dataset


def _assemble(settings: Settings, data: Dataset) -> Parts:
    streams = random_streams(settings.seed)
    first = initial_params(settings, data, streams["weights"])
    network, examples = build_network(settings, data, first), splits(settings, data)
    updates, _ = updates_and_epochs(settings, data)
    return Parts(settings, first, network, examples, streams["batches"], updates, data)


def _look_ahead(
    parts: Parts, recorder: "tracking.RunRecorder", watcher: Watcher
) -> list[PreflightWarning]:
    """What looks wrong with the first images, not with a draw: nothing random is moved."""
    images = np.arange(parts.settings.training.batch_size)
    cautions = preflight(parts.settings, parts.network, *parts.examples.train.batch(images))
    recorder.tags({f"preflight.{caution.name}": caution.text for caution in cautions})
    for caution in cautions:
        watcher.caution(caution)
    return cautions


def _take_up(
    standing: Checkpoint | None, epochs: list[EpochMetrics], recorder: "tracking.RunRecorder"
) -> TrainingState | None:
    """Record the epochs of a run that was killed; where it stood."""
    if standing is None:
        return None
    for metrics in standing.epochs:
        epochs.append(metrics)
        recorder.epoch(metrics)
    return standing.state


def _train(
    parts: Parts,
    recorder: "tracking.RunRecorder",
    epochs: list[EpochMetrics],
    start: TrainingState | None,
    saver: CheckpointWriter,
    watcher: Watcher,
) -> None:
    """Train, recording as it goes; `epochs` grows."""
    started = time.perf_counter()
    hashes = {"initial": weights_hash(parts.first)}
    confusion = None

    def on_update(checkpoint: TrainingState) -> None:
        saver.update(checkpoint)
        watcher.update(checkpoint)

    try:
        for metrics in _descent(parts, start, on_update):
            recorder.epoch(metrics)
            epochs.append(replace(metrics, weights=weights_hash(parts.network.params)))
            watcher.epoch(metrics)
        last = params_in_pixel_order(parts.data, parts.network)
        hashes["final"] = weights_hash(last)
        recorder.arrays("weights.npz", last)
        confusion = confusion_matrix(parts.network, parts.examples.test, parts.data.classes)
        recorder.json("diagnostics.json", {"confusion_matrix": confusion.tolist()})
    finally:
        recorder.tags(diagnostic_tags(epochs, confusion))
        recorder.json("numbers.json", numbers(epochs, hashes, time.perf_counter() - started))
        if epochs:
            recorder.arrays("losses.npz", {"loss": np.concatenate([m.losses for m in epochs])})


def _descent(
    parts: Parts, start: TrainingState | None, on_update: Callable[[TrainingState], None]
) -> Iterator[EpochMetrics]:
    """`train` with these parts."""
    training, examples = parts.settings.training, parts.examples
    return train(
        parts.network,
        examples.train,
        examples.test,
        parts.batches,
        build_optimizer(parts.settings),
        batch_size=training.batch_size,
        updates=parts.updates,
        sampling=training.sampling,
        gradient=training.gradient,
        validation=examples.validation,
        start=start,
        on_update=on_update,
    )
