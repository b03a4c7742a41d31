"""The runs of a diagnosis: recorded like any others, and found again by their keys."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sgdprobe import tracking
from sgdprobe.config.settings import Settings
from sgdprobe.diagnosis.changes import updates_of
from sgdprobe.provenance.command import command_provenance, provenance_tags
from sgdprobe.rules.course import Course
from sgdprobe.run.build import load_data, run_key, train_images
from sgdprobe.run.job import NO_RECIPE, Job, Outcome, identity
from sgdprobe.study.estimate import RECORDING_S
from sgdprobe.study.intervals import Array
from sgdprobe.sweep.plan import new_sweep_id
from sgdprobe.sweep.pool import fan_out
from sgdprobe.sweep.resume import Task
from sgdprobe.sweep.workers import process_count

ACCURACY = "test_accuracy"
GRADIENT = "symptom/gradient_norm_1"
MIN_SHARE = 0.3  # of an update's time that does not depend on the sizes of layers and batch


@dataclass(frozen=True)
class Result:
    """A run's last accuracies, 0 … 1; those of a guess if it diverged."""

    accuracy: float
    train_accuracy: float
    diverged: bool
    run_id: str


class Clock:
    """The time of a diagnosis. seconds : all that it may take."""

    def __init__(self, seconds: float) -> None:
        self.started = time.monotonic()
        self.seconds = seconds

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def left(self, share: float = 1.0) -> float:
        """Return the seconds until a share of the time is over."""
        return share * self.seconds - self.spent


class Runs:
    """Makes runs, those that the store lacks, and estimates how long others take.

    base : the recipe as given. study : the MLflow experiment of the runs, unless the recipe names
    one. tell : called with a line about each death of a worker.
    """

    def __init__(
        self, base: Settings, recipe: str | None, study: str, tell: Callable[[str], None]
    ) -> None:
        self.base, self.recipe, self.study, self.tell = base, recipe or NO_RECIPE, study, tell
        self.store = tracking.open_experiment(base.tracking.uri, base.tracking.experiment or study)
        self.classes = load_data(base).classes
        self.made = self.reused = 0
        self.results: dict[str, Result] = {}
        self._timed: list[tuple[float, float]] = []  # work and seconds of each run

    def measure(
        self, wanted: Sequence[Settings], name_of: Callable[[Settings], str]
    ) -> dict[Settings, Result]:
        """Return the result of each run, making those that are missing; failed ones are left out.

        name_of : the name of a run, different for all.
        """
        keys = {settings: run_key(settings, load_data(settings)) for settings in wanted}
        unknown = {key for key in keys.values() if key not in self.results}
        by_key = {key: settings for settings, key in keys.items()}
        for key, run in tracking.recorded_results(self.base.tracking.uri, unknown).items():
            self.reused += 1
            self._learn(by_key[key], run.seconds, run.diverged)
            self.results[key] = self._result(run.run_id, run.metrics, run.diverged)
        missing = {key: s for s, key in keys.items() if key not in self.results}
        for outcome in self._make(list(missing.values()), name_of):
            reason = outcome.failure.reason if outcome.failure else None
            if outcome.run_id and reason in (None, "diverged"):
                self.made += 1
                key = outcome.job.tags["key"]
                self.results[key] = self._result(
                    outcome.run_id, outcome.metrics, reason == "diverged"
                )
                self._learn(outcome.job.settings, outcome.seconds, reason == "diverged")
        return {s: self.results[key] for s, key in keys.items() if key in self.results}

    def _result(self, run_id: str, metrics: Mapping[str, float], diverged: bool) -> Result:
        guess = 1 / self.classes
        if diverged:
            return Result(guess, guess, True, run_id)
        return Result(metrics["test_accuracy"], metrics["train_accuracy"], False, run_id)

    def _make(
        self, wanted: Sequence[Settings], name_of: Callable[[Settings], str]
    ) -> Iterator[Outcome]:
        if not wanted:
            return
        sweep = new_sweep_id()
        tasks: list[Task] = []
        for settings in wanted:
            tags = {"recipe": self.recipe, "sweep": sweep, "seed": str(settings.seed)}
            tags |= {"study": self.study, **provenance_tags()}
            tags |= identity(settings, load_data(settings))
            job = Job(settings, self.recipe, name_of(settings), tags, command_provenance())
            tasks.append((job, self.store))
        with closing(fan_out(tasks, self.base.sweep, sweep, self.tell)) as outcomes:
            yield from outcomes

    def _learn(self, settings: Settings, seconds: float, diverged: bool) -> None:
        """Keep how long a run took, to estimate others; one that diverged ended early."""
        if not diverged:
            self._timed.append((self._work(settings), max(0.0, seconds - RECORDING_S)))

    def expected(self, wanted: Sequence[Settings]) -> float:
        """Estimate the seconds of runs in all processes, those that are known not counted."""
        rate = self.seconds_of_training / self._work(self.base)
        missing = [s for s in wanted if run_key(s, load_data(s)) not in self.results]
        if not missing:
            return 0.0
        processes = min(process_count(self.base.sweep, len(missing)), len(missing))
        return sum(RECORDING_S + rate * self._work(s) for s in missing) / processes

    @property
    def seconds_of_training(self) -> float:
        """The time that training of the recipe takes, as far as runs have shown."""
        total = sum(work for work, _ in self._timed)
        rate = sum(seconds for _, seconds in self._timed) / total if total else 0.0
        return rate * self._work(self.base)

    def waking(self, results: Sequence[Result], factor: float) -> list[Result]:
        """Return the results of runs whose first layer's gradient has grown by a factor.

        A network of sigmoids with small weights waits for epochs at the accuracy of a guess, while
        this gradient grows; then it learns.
        """
        by_id = {result.run_id: result for result in results}
        reader = tracking.connect(self.base.tracking.uri)
        found = tracking.with_series(reader, reader.with_ids([*by_id]), [GRADIENT])
        grown = []
        for run in found:
            values = run.series.get(GRADIENT, [])
            if len(values) > 1 and values[-1] > factor * values[0] > 0:
                grown.append(by_id[run.run_id])
        return grown

    def curves(self, run_ids: Sequence[str]) -> Array:
        """Return test accuracy by epoch : (runs, epochs), of the runs that recorded all epochs."""
        reader = tracking.connect(self.base.tracking.uri)
        found = tracking.with_series(reader, reader.with_ids(run_ids), [ACCURACY])
        series = [run.series.get(ACCURACY, []) for run in found]
        most = max(map(len, series), default=0)
        return np.array([values for values in series if len(values) == most > 0])

    def recorded(self, run_id: str) -> "tracking.RecordedRun":
        """Return a run as it is recorded."""
        return next(iter(tracking.connect(self.base.tracking.uri).with_ids([run_id])))

    def course(self, settings: Settings) -> Course:
        """Return the recorded course of a run that was measured."""
        result = self.results[run_key(settings, load_data(settings))]
        reader = tracking.connect(self.base.tracking.uri)
        (run,) = reader.with_ids([result.run_id])
        classes = run.tags.get("diagnostic.never_predicted", "none").split()
        missing = [] if classes == ["none"] else [int(name) for name in classes]
        epochs = tracking.recorded_epochs(reader, run) if run.metrics else []
        return Course(settings, epochs, missing, result.diverged)

    def _work(self, settings: Settings) -> float:
        """Return the work of a run, in updates of the recipe."""
        images = train_images(settings, load_data(settings))
        return updates_of(settings, images) * (
            MIN_SHARE + (1 - MIN_SHARE) * self._size(settings) / self._size(self.base)
        )

    def _size(self, settings: Settings) -> float:
        """Return the products of an update."""
        data = load_data(settings)
        widths = (data.pixels, *settings.network.hidden, data.classes)
        products = sum(a * b for a, b in pairwise(widths))
        return products * settings.training.batch_size
