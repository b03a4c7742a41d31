"""One run in MLflow, written while it happens by the process that trains it."""

import json
import math
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec

import numpy as np
import yaml
from mlflow.entities import Dataset as DatasetRecord
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT
from sqlalchemy.exc import SQLAlchemyError

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.nn import EpochMetrics
from sgdprobe.nn.functions import Array
from sgdprobe.provenance.processes import process_tags
from sgdprobe.provenance.redact import redact
from sgdprobe.provenance.source import source_files, source_hash
from sgdprobe.tracking.locks import store_lock
from sgdprobe.tracking.store import Store, artifact_root, retry_when_locked

__all__ = ["RunRecorder"]

GIVE_UP_AFTER_S = 5.0  # seconds; a write takes milliseconds


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


P = ParamSpec("P")


def _store_write(
    write: Callable[Concatenate["RunRecorder", P], None],
) -> Callable[Concatenate["RunRecorder", P], None]:
    """A write that no signal cuts in two, made where the store's own places hold.

    A store that keeps a write waiting in vain is given up: each of the writes with which a run ends
    would wait, too.
    """

    @wraps(write)
    def whole(self: "RunRecorder", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self._broken is not None:
            raise self._broken

        def once() -> None:
            with _defer_signals(), artifact_root(self.uri):
                write(self, *args, **kwargs)

        started = time.monotonic()
        try:
            retry_when_locked(self.uri, once)
        except (MlflowException, SQLAlchemyError) as error:
            if time.monotonic() - started > GIVE_UP_AFTER_S:
                self._broken = error
            raise

    return whole


class RunRecorder:
    """A run of its own in the store, from `with` to its end.

    It ends FINISHED; FAILED when an exception passes through, with the traceback as an artifact
    and the reason as the tag `failure`; KILLED when that is Ctrl-C or SIGTERM.
    """

    def __init__(
        self, store: Store, name: str, settings: Settings, data: Dataset, tags: Mapping[str, str]
    ) -> None:
        self._client = store.client()
        self._broken: Exception | None = None
        self.uri = store.uri
        self.settings = settings
        self.run_id = ""
        self._begin(store, name, tags)
        self._describe(settings, data)

    @_store_write
    def _begin(self, store: Store, name: str, tags: Mapping[str, str]) -> None:
        self.run_id = self._client.create_run(
            store.experiment_id, run_name=name, tags={**tags, **process_tags()}
        ).info.run_id

    @_store_write
    def _describe(self, settings: Settings, data: Dataset) -> None:
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
        with store_lock(self.uri):  # the first run of an experiment also adds the dataset itself
            self._client.log_inputs(self.run_id, datasets=[DatasetInput(record, [context])])
        self.text("settings.yaml", settings_yaml(settings))

    def provenance(self, facts: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
        """All that decides the numbers: `provenance.json`, and what git has not got as a diff."""
        source = {"hash": source_hash(), "files": source_files()}
        whole = {**facts, "source": source, **origin}
        diff = whole.pop("diff", "")
        self.json("provenance.json", whole)
        if diff:
            self.text("uncommitted.diff", diff)

    @_store_write
    def tags(self, tags: Mapping[str, str]) -> None:
        """Tags that are known only after the run has begun."""
        if tags:
            self._client.log_batch(self.run_id, tags=[RunTag(k, v) for k, v in tags.items()])

    @_store_write
    def epoch(self, metrics: EpochMetrics) -> None:
        """One point of every metric, at step = epoch. Symptoms that are no numbers stay out."""
        now = int(time.time() * 1000)
        values = {
            "loss": metrics.loss,
            "train_accuracy": metrics.train_accuracy,
            "test_accuracy": metrics.test_accuracy,
            "validation_accuracy": metrics.validation_accuracy,
        } | {f"symptom/{name}": value for name, value in metrics.symptoms.items()}
        points = [
            Metric(k, v, now, metrics.epoch)
            for k, v in values.items()
            if v is not None and math.isfinite(v)
        ]
        self._client.log_batch(self.run_id, metrics=points)

    @_store_write
    def arrays(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Arrays as an artifact in NumPy's own format: `np.load` opens it."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            np.savez(path, allow_pickle=False, **arrays)
            self._client.log_artifact(self.run_id, str(path))

    @_store_write
    def text(self, name: str, content: str) -> None:
        """A text artifact."""
        self._client.log_text(self.run_id, content, name)

    def json(self, name: str, content: Any) -> None:
        """A JSON artifact; Python reads its floats back as they were."""
        self.text(name, json.dumps(content, indent=1))

    @_store_write
    def figure(self, name: str, figure: Any) -> None:
        """A matplotlib figure as an artifact; the ending of the name says in which format."""
        self._client.log_figure(self.run_id, figure, name)

    def __enter__(self) -> "RunRecorder":
        return self

    @_store_write
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._client.set_terminated(self.run_id, "FINISHED")
            return
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        reason = redact(" ".join(f"{type(error).__name__}: {error}".split()))
        self._client.log_batch(self.run_id, tags=[RunTag("failure", reason[:5000])])
        told = "".join(traceback.format_exception(kind, error, trace))
        self.text("traceback.txt", redact(told))
        self._client.set_terminated(self.run_id, status)


def settings_yaml(settings: Settings) -> str:
    """All settings as YAML that reads back as the same numbers."""
    nested: dict[str, Any] = {}
    for key, value in settings.flat().items():
        block, _, name = key.rpartition(".")
        place = nested.setdefault(block, {}) if block else nested
        value = redact(value) if isinstance(value, str) else value
        place[name] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(nested, sort_keys=False, default_flow_style=None)
