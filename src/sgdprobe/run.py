"""One run, end to end: settings, data, network, epochs, record. Every door goes through here."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from sgdprobe.console import RunProgress, duration, percent, where_to_look
from sgdprobe.data import Dataset, load
from sgdprobe.naming import run_name
from sgdprobe.nn import (
    EpochMetrics,
    Examples,
    Network,
    initial_params,
    train,
    updates_per_epoch,
)
from sgdprobe.settings import Settings, check_against_data

if TYPE_CHECKING:
    from sgdprobe.tracking import RunRecorder, Store

# What a run is called when no recipe was named: after conf/config.yaml.
NO_RECIPE = "config"


@dataclass(frozen=True)
class Job:
    """A run to be made: its settings, and what to call it."""

    settings: Settings
    recipe: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a job. `status` is MLflow's word; `epochs` are those that were recorded."""

    job: Job
    status: str
    run_id: str | None
    epochs: list[EpochMetrics]
    seconds: float
    failure: str | None = None

    @property
    def last(self) -> EpochMetrics | None:
        """The last epoch, if there was one."""
        return self.epochs[-1] if self.epochs else None


def load_data(settings: Settings) -> Dataset:
    """The dataset of these settings, checked. Raises DataError or SettingsError."""
    data = load(settings.data.name, settings.data.root)
    check_against_data(settings, len(data.train_images))
    return data


def total_updates(settings: Settings, data: Dataset) -> int:
    """The run's length in updates, however it was given."""
    training = settings.training
    if training.iterations is not None:
        return training.iterations
    assert training.epochs is not None
    return training.epochs * updates_per_epoch(len(data.train_images), training.batch_size)


def total_epochs(settings: Settings, data: Dataset) -> int:
    """The number of points of each metric; a last part-epoch counts."""
    per_epoch = updates_per_epoch(len(data.train_images), settings.training.batch_size)
    return -(-total_updates(settings, data) // per_epoch)


def random_streams(seed: int) -> dict[str, np.random.Generator]:
    """A generator for each purpose: what one draws never moves what another draws."""
    purposes = ("weights", "batches")
    seeds = np.random.SeedSequence(seed).spawn(len(purposes))
    return {p: np.random.default_rng(s) for p, s in zip(purposes, seeds, strict=True)}


def build(settings: Settings, data: Dataset, rng: np.random.Generator) -> Network:
    """The network with its initial weights."""
    sizes = (data.pixels, *settings.network.hidden, data.classes)
    init, network = settings.init, settings.network
    return Network(
        initial_params(rng, sizes, scheme=init.scheme, scale=init.scale, dtype=settings.dtype),
        activation=network.activation,
        softmax_over=network.softmax_over,
        loss=network.loss,
    )


def examples(settings: Settings, data: Dataset) -> tuple[Examples, Examples]:
    """Training and test examples, scaled as asked for."""
    if settings.data.scale == "standard":
        mean, std = data.pixel_mean_and_std
        factor, offset = 1 / std, mean / std
    else:
        factor, offset = (1 / 255 if settings.data.scale == "unit" else 1.0), 0.0
    return (
        Examples(
            data.train_images, data.train_labels, factor=factor, offset=offset, dtype=settings.dtype
        ),
        Examples(
            data.test_images, data.test_labels, factor=factor, offset=offset, dtype=settings.dtype
        ),
    )


def epochs(settings: Settings, data: Dataset, network: Network) -> Iterator[EpochMetrics]:
    """Train the network under these settings, on one BLAS thread: two give other bits."""
    training = settings.training
    train_set, test_set = examples(settings, data)
    return train(
        network,
        train_set,
        test_set,
        random_streams(settings.seed)["batches"],
        learning_rate=training.learning_rate,
        batch_size=training.batch_size,
        updates=total_updates(settings, data),
        sampling=training.sampling,
        gradient=training.gradient,
    )


def run(
    job: Job,
    store: "Store",
    watch: Callable[[EpochMetrics], None] = lambda _: None,
    finish: Callable[["RunRecorder", list[EpochMetrics]], None] = lambda *_: None,
) -> Outcome:
    """Train and record one job; an exception makes it FAILED and is told in the outcome.

    watch is called after each epoch; finish before the record is closed.
    """
    from sgdprobe.tracking import RunRecorder

    started = time.perf_counter()
    seen: list[EpochMetrics] = []
    recorder: RunRecorder | None = None
    status, failure = "FINISHED", None
    try:
        data = load_data(job.settings)
        with (
            threadpool_limits(1, "blas"),
            RunRecorder(store, job.name, job.settings, data, job.tags) as recorder,
        ):
            network = build(job.settings, data, random_streams(job.settings.seed)["weights"])
            for metrics in epochs(job.settings, data, network):
                recorder.epoch(metrics)
                seen.append(metrics)
                watch(metrics)
            recorder.weights(network.params)
            finish(recorder, seen)
    except Exception as error:
        status, failure = "FAILED", f"{type(error).__name__}: {error}"
    run_id = recorder.run_id if recorder else None
    return Outcome(job, status, run_id, seen, time.perf_counter() - started, failure)


def run_single(settings: Settings, recipe: str | None, overridden: Sequence[str]) -> int:
    """One run as a command: progress, record, summary. Returns the exit code.

    overridden : the settings given on the command line, for the run's name.
    """
    data = load_data(settings)  # refuses before anything is written
    from sgdprobe.analysis.figures import learning_curve
    from sgdprobe.tracking import open_store, provenance_tags

    name = recipe or NO_RECIPE
    store = open_store(settings.tracking.uri, settings.tracking.experiment or name)
    tags = provenance_tags() | {"recipe": name, "seed": str(settings.seed)}
    job = Job(settings, name, run_name(settings, overridden), tags)

    def finish(recorder: "RunRecorder", seen: list[EpochMetrics]) -> None:
        recorder.figure("learning_curve.png", learning_curve(seen, f"{name}: {job.name}"))

    with RunProgress(total_epochs(settings, data)) as progress:
        outcome = run(job, store, progress.epoch, finish)
    result = outcome.failure or ""
    if outcome.last:
        result += f"test {percent(outcome.last.test_accuracy)}"
    say = progress.console.print
    say(f"{outcome.status} in {duration(outcome.seconds)}: {result}", soft_wrap=True)
    say(f"run {outcome.run_id} in experiment {store.experiment}", soft_wrap=True)
    say(where_to_look(store.page()), soft_wrap=True)
    return 0 if outcome.status == "FINISHED" else 1
