"""One run, end to end: settings, data, network, epochs, record. Every command goes through here."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sgdprobe import tracking
from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.errors import RunClaimed, StoreError
from sgdprobe.nn import DivergedError, EpochMetrics, TrainingState
from sgdprobe.paths import CHECKPOINTS
from sgdprobe.provenance.environment import Environment
from sgdprobe.provenance.hashes import weights_hash
from sgdprobe.provenance.source import source_hash
from sgdprobe.rules import Finding, findings
from sgdprobe.rules.course import Course
from sgdprobe.run.build import factor_and_offset, load_data, params_in_pixel_order, run_key
from sgdprobe.run.checkpoint import Checkpoint, CheckpointWriter, restore
from sgdprobe.run.description import description
from sgdprobe.run.ending import ending
from sgdprobe.run.learned import at_end, at_start
from sgdprobe.run.record import (
    diagnostic_tags,
    never_predicted,
    numbers,
    provenance,
)
from sgdprobe.run.setup import TrainingSetup

# The name of a run without a recipe: that of conf/config.yaml.
NO_RECIPE = "config"


@dataclass(frozen=True)
class Job:
    """A run to be made.

    origin : the command's provenance. rerun_of : the id of the run that is rerun, or None.
    exclusive : not made where its result is there, or another process is making it.
    """

    settings: Settings
    recipe: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    rerun_of: str | None = None
    exclusive: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of a job.

    status : MLflow's word. metrics : last values, as far as the run came.
    reused : the run was finished before this command, which only found it.
    ending : a name in ENDINGS, or "".
    """

    job: Job
    status: str
    run_id: str | None
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: "tracking.Failure | None" = None
    reused: bool = False
    warnings: tuple[Finding, ...] = ()
    ending: str = ""


class RunCallbacks:
    """Called while a run happens; a subclass shows it."""

    def on_warning(self, warning: Finding) -> None:
        """Called before training, with each warning."""

    def on_update(self, state: TrainingState) -> None:
        """Called after each update."""

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Called after each epoch."""


OnFinish = Callable[["tracking.RunRecorder", list[EpochMetrics]], None]


def identity(settings: Settings, data: Dataset) -> dict[str, str]:
    """Return the tags that say what is computed: runs with the same `key` have the same numbers.

    `program` is the settings alone; a run's time depends on its `size`.
    """
    return {
        "key": run_key(settings, data),
        "program": settings.key(),
        "source_hash": source_hash(),
        "data_hash": data.digest,
        "size": settings.workload,
    }


@dataclass
class RunLog:
    """Results of a run so far: they count also when it fails."""

    run_id: str = ""
    epochs: list[EpochMetrics] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    ending: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the last epoch; empty before the first one ends."""
        last = self.epochs[-1].metrics if self.epochs else {}
        return {name: value for name, value in last.items() if value is not None}


def run_job(
    job: Job,
    store: "tracking.Store",
    callbacks: RunCallbacks | None = None,
    on_finish: OnFinish = lambda *_: None,
) -> Outcome:
    """Train and record one job, and return its outcome, also when it fails.

    on_finish : called with the recorder and the epochs before the run is closed.
    Raises StoreError if not even the run could be created, RunClaimed for an exclusive job whose
    run another process has made or is making, also if it took it over in the meantime.
    """
    started = time.perf_counter()
    log, failure = RunLog(), None
    try:
        _run(job, store, callbacks or RunCallbacks(), on_finish, log)
    except Exception as error:  # recorded with its traceback; other runs go on
        if isinstance(error, RunClaimed) or (isinstance(error, StoreError) and not log.run_id):
            raise
        failure = tracking.Failure.of(error)
    seconds = time.perf_counter() - started
    status = "FAILED" if failure else "FINISHED"
    return Outcome(
        job, status, log.run_id or None, seconds, log.metrics, failure,
        warnings=tuple(log.warnings), ending=log.ending,
    )  # fmt: skip


def _run(
    job: Job, store: "tracking.Store", callbacks: RunCallbacks, on_finish: OnFinish, log: RunLog
) -> None:
    """Train and record one job.

    A long run that was killed resumes from its checkpoint, as a run of its own that begins with
    the epochs of the killed one.
    """
    data = load_data(job.settings)
    tags = job.tags | identity(job.settings, data)
    tags |= {"rerun_of": job.rerun_of} if job.rerun_of else {}
    # A rerun would prove nothing if it resumed from a checkpoint of the run that it is to check.
    file = CHECKPOINTS / (tags["key"] + (job.rerun_of or ""))
    environment = Environment()
    recorder = tracking.RunRecorder(
        store, job.name, job.settings, data, tags, exclusive=job.exclusive
    )
    try:
        with environment.single_threaded_blas(), recorder:
            facts = provenance(job.settings, data, environment)
            recorder.provenance(facts, job.origin)
            writer = CheckpointWriter(file, recorder.run_id, log.epochs, facts)
            setup = TrainingSetup.of(job.settings, data)
            log.warnings += _preflight(setup, recorder, callbacks)
            start = _resume(restore(file, facts, setup), recorder, log)
            _train(job, setup, start, recorder, writer, callbacks, log)
            on_finish(recorder, log.epochs)
            writer.remove()
    finally:
        log.run_id = recorder.run_id


def _preflight(
    setup: TrainingSetup, recorder: "tracking.RunRecorder", callbacks: RunCallbacks
) -> list[Finding]:
    """Warn of what looks wrong on the first images."""
    warnings = findings("before", setup.evidence())
    recorder.tags({f"preflight.{warning.name}": warning.text for warning in warnings})
    for warning in warnings:
        callbacks.on_warning(warning)
    return warnings


def _resume(
    checkpoint: Checkpoint | None, recorder: "tracking.RunRecorder", log: RunLog
) -> TrainingState | None:
    """Record the epochs of a run that was killed, and return the state to go on from."""
    if checkpoint is None:
        return None
    recorder.tags({"continues": checkpoint.run_id})
    for metrics in checkpoint.epochs:
        log.epochs.append(metrics)
        recorder.epoch(metrics)
    return checkpoint.state


def _train(
    job: Job,
    setup: TrainingSetup,
    start: TrainingState | None,
    recorder: "tracking.RunRecorder",
    writer: CheckpointWriter,
    callbacks: RunCallbacks,
    log: RunLog,
) -> None:
    """Train, and record each epoch as it ends."""
    started = time.perf_counter()
    hashes = {"initial": weights_hash(setup.initial)}
    model = _model_files(setup, recorder.run_id)
    confusion, diverged, diagnostics = None, False, at_start(setup)

    def on_update(state: TrainingState) -> None:
        writer.update(state)
        callbacks.on_update(state)

    try:
        for metrics in setup.train(start, on_update):
            recorder.epoch(metrics)
            log.epochs.append(replace(metrics, weights=weights_hash(setup.network.params)))
            callbacks.on_epoch(metrics)
        last = params_in_pixel_order(setup.data, setup.network)
        hashes["final"] = weights_hash(last)
        recorder.arrays("weights.npz", last)
        if model:
            recorder.model(model, last)
        confusion, more = at_end(setup)
        diagnostics |= more
    except DivergedError:
        diverged = True
        raise
    finally:
        log.ending = ending(log.epochs, setup.data.classes)
        course = Course(setup.settings, log.epochs, never_predicted(confusion), diverged)
        after = findings("after", course)
        note = description(job.recipe, log.epochs, [*log.warnings, *after], log.ending, diverged)
        recorder.tags(
            diagnostic_tags(log.epochs, confusion, log.ending)
            | {f"course.{found.name}": found.text for found in after}
            | {tracking.NOTE: tracking.fitting(note)}
        )
        recorder.json("numbers.json", numbers(log.epochs, hashes, time.perf_counter() - started))
        recorder.json("diagnostics.json", diagnostics)
        if log.epochs:
            losses = np.concatenate([metrics.losses for metrics in log.epochs])
            recorder.arrays("losses.npz", {"loss": losses})


def _model_files(setup: TrainingSetup, run_id: str) -> dict[str, str]:
    """Return the files of the run's MLflow model, but for the weights; none if it gets none."""
    settings, data = setup.settings, setup.data
    if not settings.tracking.model:
        return {}
    facts = tracking.ModelFacts(
        *data.size,
        data.classes,
        *factor_and_offset(settings, data),
        data.test_images[:1].reshape(1, *data.size),
    )
    return tracking.model_files(settings, facts, run_id)
