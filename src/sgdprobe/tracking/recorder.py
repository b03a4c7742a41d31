"""One run in MLflow, written while it happens by the process that trains it."""

import json
import math
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec

import numpy as np
import yaml
from mlflow.entities import Dataset as DatasetRecord
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.errors import StoreError
from sgdprobe.nn import EpochMetrics
from sgdprobe.nn.functions import Array
from sgdprobe.provenance.processes import process_tags
from sgdprobe.provenance.redact import redact
from sgdprobe.provenance.source import source_files, source_hash
from sgdprobe.tracking.locks import store_lock
from sgdprobe.tracking.runs import Failure
from sgdprobe.tracking.store import Store, artifact_root, retry_when_locked, store_errors
from sgdprobe.tracking.timeouts import GIVE_UP_AFTER_S

__all__ = ["RunRecorder"]

P = ParamSpec("P")


@contextmanager
def _defer_signals() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until a write has ended.

    In the middle of one they would leave the store locked, by the very process that then wants to
    mark its run KILLED.
    """
    held: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, previous[number])
        for late in held[:1]:
            signal.raise_signal(late)


def _store_write(
    write: Callable[Concatenate["RunRecorder", P], None],
) -> Callable[Concatenate["RunRecorder", P], None]:
    """Make a write that no signal interrupts, from the directory of relative artifact paths.

    After one timed-out write the store counts as broken, so that ending the run does not time out
    again. Raises StoreError.
    """

    @wraps(write)
    def complete(self: "RunRecorder", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self._broken is not None:
            raise self._broken

        def once() -> None:
            with _defer_signals(), artifact_root(self.store.uri):
                write(self, *args, **kwargs)

        started = time.monotonic()
        try:
            with store_errors(self.store.uri):
                retry_when_locked(self.store.uri, once)
        except StoreError as error:
            if time.monotonic() - started > GIVE_UP_AFTER_S:
                self._broken = error
            raise

    return complete


class RunRecorder:
    """One run in the store, created on entry and ended on exit.

    It ends FINISHED; FAILED when an exception passes through, with the traceback as an artifact
    and the reason in tags; KILLED when that is Ctrl-C or SIGTERM. `run_id` is empty until the run
    exists. Every method raises StoreError.
    """

    def __init__(
        self, store: Store, name: str, settings: Settings, data: Dataset, tags: Mapping[str, str]
    ) -> None:
        self._client = store.client()
        self._broken: StoreError | None = None
        self._name, self._tags = name, tags
        self._settings, self._data = settings, data
        self.store = store
        self.run_id = ""

    def __enter__(self) -> "RunRecorder":
        try:
            self._create()
            self._describe()
        except BaseException as error:  # `with` ends only what was entered
            if self.run_id:
                with suppress(StoreError):
                    self._end(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(error)

    @_store_write
    def _create(self) -> None:
        tags = {k: redact(v) for k, v in self._tags.items()} | process_tags()
        run = self._client.create_run(self.store.experiment_id, run_name=self._name, tags=tags)
        self.run_id = run.info.run_id

    @_store_write
    def _describe(self) -> None:
        settings, data = self._settings, self._data
        texts = {key: format_value(value) for key, value in settings.flat().items()}
        params = [Param(key, redact(text)) for key, text in texts.items()]
        self._client.log_batch(self.run_id, params=params)
        record = DatasetRecord(
            name=data.name,
            digest=data.digest[:36],
            source_type="local",
            source=settings.data.root or "bundled with sgdprobe",
            profile=f'{{"train": {len(data.train_images)}, "test": {len(data.test_images)}}}',
        )
        context = InputTag(MLFLOW_DATASET_CONTEXT, "training and test")
        with store_lock(self.store.uri):  # an experiment's first run also adds the dataset itself
            self._client.log_inputs(self.run_id, datasets=[DatasetInput(record, [context])])
        self.text("settings.yaml", settings_yaml(settings))

    def _end(self, error: BaseException | None) -> None:
        """End the run, and set its status even if the reason can't be recorded."""
        if error is None:
            self._set_status("FINISHED")
            return
        try:
            self.tags(Failure.of(error).tags)
            self.text("traceback.txt", "".join(traceback.format_exception(error)))
        finally:
            self._set_status("FAILED" if isinstance(error, Exception) else "KILLED")

    @_store_write
    def _set_status(self, status: str) -> None:
        self._client.set_terminated(self.run_id, status)

    def provenance(self, facts: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
        """Record all that decides the numbers, and uncommitted changes as a diff."""
        source = {"hash": source_hash(), "files": source_files()}
        everything = {**facts, "source": source, **origin}
        diff = everything.pop("diff", "")
        self.json("provenance.json", everything)
        if diff:
            self.text("uncommitted.diff", diff)

    @_store_write
    def tags(self, tags: Mapping[str, str]) -> None:
        """Record tags that are known only after the run has begun."""
        if tags:
            texts = [RunTag(k, redact(v)) for k, v in tags.items()]
            self._client.log_batch(self.run_id, tags=texts)

    @_store_write
    def epoch(self, metrics: EpochMetrics) -> None:
        """Record every metric at step = epoch, without symptoms that are NaN or infinite."""
        now = int(time.time() * 1000)
        points = [
            Metric(name, value, now, metrics.epoch)
            for name, value in metrics.metrics.items()
            if value is not None and math.isfinite(value)
        ]
        self._client.log_batch(self.run_id, metrics=points)

    @_store_write
    def arrays(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Record arrays as an artifact in NumPy's own format: `np.load` opens it."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            np.savez(path, allow_pickle=False, **arrays)
            self._client.log_artifact(self.run_id, str(path))

    @_store_write
    def text(self, name: str, content: str) -> None:
        """Record a text artifact."""
        self._client.log_text(self.run_id, redact(content), name)

    def json(self, name: str, content: Any) -> None:
        """Record a JSON artifact; Python reads its floats back as they were."""
        self.text(name, json.dumps(content, indent=1))

    @_store_write
    def figure(self, name: str, figure: Any) -> None:
        """Record a matplotlib figure as an artifact; the suffix of the name is its format."""
        self._client.log_figure(self.run_id, figure, name)


def settings_yaml(settings: Settings) -> str:
    """Return all settings as YAML that reads back as the same numbers."""
    nested: dict[str, Any] = {}
    for key, value in settings.flat().items():
        block, _, name = key.rpartition(".")
        values = nested.setdefault(block, {}) if block else nested
        value = redact(value) if isinstance(value, str) else value
        values[name] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(nested, sort_keys=False, default_flow_style=None)
