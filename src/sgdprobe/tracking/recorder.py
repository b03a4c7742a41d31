"""One run in MLflow, written while it happens by the process that trains it."""

import math
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any
from uuid import uuid4

from mlflow.entities import Dataset as DatasetRecord
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunInfo, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.errors import RunClaimed, StoreError
from sgdprobe.nn import EpochMetrics
from sgdprobe.provenance.processes import awake_s, heartbeat, process_tags
from sgdprobe.provenance.redact import redact
from sgdprobe.provenance.source import source_files, source_hash
from sgdprobe.tracking.address import is_server
from sgdprobe.tracking.file_recorder import FileRecorder, settings_yaml
from sgdprobe.tracking.liveness import (
    CLAIM,
    HELD,
    WANTED,
    check_claim_won,
    check_counts,
    check_not_taken,
    check_unclaimed,
    end_as_duplicate,
    store_time,
)
from sgdprobe.tracking.queries import RUN_ID
from sgdprobe.tracking.readers import reader
from sgdprobe.tracking.runs import FAILURE_TAGS, Failure, RecordedRun
from sgdprobe.tracking.store import Store, set_tags, store_errors
from sgdprobe.tracking.timeouts import HEARTBEAT_S, wait_longer_for_servers
from sgdprobe.tracking.writing import store_write

__all__ = ["RunRecorder"]


class RunRecorder(FileRecorder):
    """One run in the store, created on entry and ended on exit.

    It ends FINISHED; FAILED when an exception passes through, with the traceback as an artifact
    and the reason in tags; KILLED when that is Ctrl-C or SIGTERM. `run_id` is empty until the run
    exists. Every method raises StoreError.

    exclusive : entry raises RunClaimed, and leaves no run, where the run of this key has finished
    or another process is making it.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        settings: Settings,
        data: Dataset | None,
        tags: Mapping[str, str],
        *,
        exclusive: bool = False,
    ) -> None:
        super().__init__(store)
        self._name, self._tags = name, tags
        self._settings, self._data = settings, data
        self._exclusive = exclusive
        self._ended = threading.Event()

    def __enter__(self) -> "RunRecorder":
        try:
            if self._exclusive:
                check_unclaimed(self.store, self._tags["key"])
            self._create()
            wait_longer_for_servers()
            if self._exclusive:
                self._win_claim()
            self._describe()
            self._beaten = awake_s()
            threading.Thread(target=self._beat, daemon=True).start()
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

    @store_write
    def _create(self) -> None:
        """Create one run, also where a server creates it and its answer is lost.

        MLflow then asks again by itself, so there may be several.
        """
        uri, token = self.store.uri, uuid4().hex
        tags = {k: redact(v) for k, v in self._tags.items()} | process_tags()
        tags |= {"creation_token": token, "heartbeat": self._heartbeat()}
        tags |= {CLAIM: WANTED} if self._exclusive else {}
        try:
            run = self._client.create_run(self.store.experiment_id, run_name=self._name, tags=tags)
            created: list[RunInfo | RecordedRun] = [run.info]
        except MlflowException:
            created = [*reader(uri).with_tag("creation_token", [token], details=())]
            if not created:
                raise
        if is_server(uri):
            created = [*reader(uri).with_tag("creation_token", [token], details=())]
        for ghost in created[1:]:
            self._client.delete_run(ghost.run_id)
        self.run_id, self._artifact_uri = created[0].run_id, created[0].artifact_uri
        self._start_time = created[0].start_time

    def _win_claim(self) -> None:
        """Wait until the claim on the key is this run's. Raises RunClaimed if another got it."""
        try:
            check_claim_won(self.store, self._tags["key"], self._start_time, self.run_id)
        except RunClaimed as claim:
            self._withdraw(claim.run_id)
            raise

    @store_write
    def _withdraw(self, original: str) -> None:
        self._client.set_tag(self.run_id, "duplicate_of", original)
        self._client.delete_run(self.run_id)
        self.run_id = ""

    @store_write
    def _keep_claim(self) -> None:
        """Go on, if this run was taken for dead, unless another process has its claim by now.

        Raises RunClaimed.
        """
        (run,) = reader(self.store.uri).find(among=(RUN_ID, [self.run_id]), details=("tags",))
        if self._exclusive and run.status != "RUNNING":
            check_not_taken(self.store, self._tags["key"])
            self._client.set_tag(self.run_id, "heartbeat", self._heartbeat())
            self._client.update_run(self.run_id, status="RUNNING")
            check_not_taken(self.store, self._tags["key"])  # by one that looked just before
        for tag in FAILURE_TAGS & run.tags.keys():
            self._client.delete_tag(self.run_id, tag)

    def _heartbeat(self) -> str:
        return heartbeat(store_time(self.store.uri), self._settings.tracking.lease)

    def _beat(self) -> None:
        """Show that this process lives, until the run has ended; a thread's work."""
        while not self._ended.wait(min(HEARTBEAT_S, self._settings.tracking.lease / 4)):
            with suppress(StoreError), store_errors(self.store.uri):
                self._client.set_tag(self.run_id, "heartbeat", self._heartbeat())
                if not self._slept():  # else the next epoch asks first
                    self._beaten = awake_s()

    def _slept(self) -> bool:
        """Return whether no sign of life was given for so long that the run may be taken over."""
        return awake_s() - self._beaten > self._settings.tracking.lease / 2

    @store_write
    def _describe(self) -> None:
        settings, data = self._settings, self._data
        assert data is not None
        self._log_params({key: format_value(value) for key, value in settings.flat().items()})
        record = DatasetRecord(
            name=data.name,
            digest=data.digest[:36],
            source_type="local",
            source=settings.data.root or "bundled with sgdprobe",
            profile=f'{{"train": {len(data.train_images)}, "test": {len(data.test_images)}}}',
        )
        context = InputTag(MLFLOW_DATASET_CONTEXT, "training and test")
        inputs = [DatasetInput(record, [context])]
        try:
            self._client.log_inputs(self.run_id, datasets=inputs)
        except MlflowException:  # another of the experiment's first runs has just added the dataset
            self._client.log_inputs(self.run_id, datasets=inputs)
        self.text("settings.yaml", settings_yaml(settings))

    @store_write
    def _log_params(self, texts: Mapping[str, str]) -> None:
        params = [Param(key, redact(text)) for key, text in texts.items()]
        held = [RunTag(CLAIM, HELD)] if self._exclusive else []
        self._client.log_batch(self.run_id, params=params, tags=held)

    def _end(self, error: BaseException | None) -> None:
        """End the run, and set its status even if the reason can't be recorded."""
        self._ended.set()
        if error is None:
            try:
                self._keep_claim()
                self._finish()
            except RunClaimed as claim:
                self._end_as_duplicate(claim.run_id)
                raise
            return
        if isinstance(error, RunClaimed):
            self._end_as_duplicate(error.run_id)
            return
        try:
            self.tags(Failure.of(error).tags)
            self.text("traceback.txt", "".join(traceback.format_exception(error)))
        finally:
            self._set_status("FAILED" if isinstance(error, Exception) else "KILLED")

    @store_write
    def _set_status(self, status: str) -> None:
        self._client.set_terminated(self.run_id, status)

    @store_write
    def _finish(self) -> None:
        self._client.set_terminated(self.run_id, "FINISHED")
        if self._exclusive:
            check_counts(self.store, self._tags["key"], self.run_id)

    @store_write
    def _end_as_duplicate(self, original: str) -> None:
        end_as_duplicate(self.store, self.run_id, original)

    def provenance(self, facts: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
        """Record all that decides the numbers, and uncommitted changes as a diff."""
        source = {"hash": source_hash(), "files": source_files()}
        everything = {**facts, "source": source, **origin}
        diff = everything.pop("diff", "")
        self.json("provenance.json", everything)
        if diff:
            self.text("uncommitted.diff", diff)

    @store_write
    def tags(self, tags: Mapping[str, str]) -> None:
        """Record tags that are known only after the run has begun."""
        if tags:
            set_tags(self._client, self.run_id, {k: redact(v) for k, v in tags.items()})

    def epoch(self, metrics: EpochMetrics) -> None:
        """Record every metric at step = epoch, without symptoms that are NaN or infinite.

        Raises RunClaimed if this machine slept, and another process has taken the run over.
        """
        if self._slept():
            self._keep_claim()
            self._beaten = awake_s()
        self._epoch(metrics)

    @store_write
    def _epoch(self, metrics: EpochMetrics) -> None:
        now = int(time.time() * 1000)
        points = [
            Metric(name, value, now, metrics.epoch)
            for name, value in metrics.metrics.items()
            if value is not None and math.isfinite(value)
        ]
        self._client.log_batch(self.run_id, metrics=points)
