"""What a store already holds: its finished runs, by key, so that none has to be made twice.

MLflow's own search loads every parameter and tag of every run, seconds for a thousand; a store in
a database is therefore asked directly, in the tables that MLflow keeps there.

All functions raise StoreError where the store can't be asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from mlflow.entities import Run, ViewType
from sqlalchemy import bindparam, text

from sgdprobe.nn import DivergedError, EpochMetrics
from sgdprobe.tracking.find import recorded_epochs
from sgdprobe.tracking.store import Store, engine, is_database, store_errors

__all__ = ["finished_runs", "last_epochs", "median_seconds", "run_tags"]

CHUNK = 500  # keys in one question; databases limit how long one may be

FINISHED = """
    SELECT tags.value, runs.run_uuid, runs.start_time, runs.end_time FROM tags
    JOIN runs ON runs.run_uuid = tags.run_uuid
    WHERE tags.key = :tag AND tags.value IN :values AND runs.status = 'FINISHED'
      AND runs.lifecycle_stage = 'active' AND runs.experiment_id = :experiment
    ORDER BY runs.start_time
"""
LAST_EPOCH = """
    SELECT run_uuid, key, value, step FROM latest_metrics
    WHERE run_uuid IN :values AND key IN ('loss', 'train_accuracy', 'test_accuracy')
"""
LATEST = "SELECT run_uuid, key, value FROM latest_metrics WHERE run_uuid IN :values"


@dataclass(frozen=True)
class Finished:
    """A finished run, and the value of the tag that it was found by."""

    run_id: str
    value: str
    seconds: float


def finished_runs(store: Store, tag: str, values: Iterable[str]) -> dict[str, Finished]:
    """The first finished run for each value of a tag, among these values."""
    found: dict[str, Finished] = {}
    for run in _finished(store, tag, sorted(set(values))):
        found.setdefault(run.value, run)
    return found


def last_epochs(store: Store, run_ids: Sequence[str]) -> dict[str, EpochMetrics]:
    """The last epochs of runs of ours, by run id."""
    if not is_database(store.uri):
        client = store.client()
        with store_errors(store.uri):
            return {i: recorded_epochs(client, client.get_run(i))[-1] for i in run_ids}
    points: dict[str, dict[str, Any]] = {}
    for run_id, key, value, step in select(store.uri, LAST_EPOCH, run_ids):
        points.setdefault(run_id, {"epoch": step, "updates": 0})[key] = value
    return {run_id: EpochMetrics(**values) for run_id, values in points.items()}


def last_metrics(uri: str, run_ids: Sequence[str]) -> Mapping[str, dict[str, float]]:
    """The last value of every metric that a database holds of these runs, by run id."""
    return group_by_run(select(uri, LATEST, run_ids))


def group_by_run(rows: Iterable[tuple[str, str, Any]]) -> Mapping[str, dict[str, Any]]:
    """Rows of (run id, name, value) as a dictionary for each run, an empty one for any other."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for run_id, name, value in rows:
        found[run_id][name] = value
    return found


def diverged(status: str, failure: str | None) -> bool:
    """Whether a run failed because its loss or weights became no numbers: a result, too."""
    return status == "FAILED" and (failure or "").startswith(DivergedError.__name__)


def run_tags(store: Store, run_id: str) -> Mapping[str, str]:
    """A run's tags."""
    with store_errors(store.uri):
        tags: Mapping[str, str] = store.client().get_run(run_id).data.tags
    return tags


def median_seconds(store: Store, size: str) -> float | None:
    """The median time of finished runs of this size; None where there are none."""
    seconds = [run.seconds for run in _finished(store, "size", [size])]
    return median(seconds) if seconds else None


def _finished(store: Store, tag: str, values: Sequence[str]) -> Iterator[Finished]:
    if is_database(store.uri):
        rows = select(store.uri, FINISHED, values, tag=tag, experiment=store.experiment_id)
        for value, run_id, start, end in rows:
            yield Finished(run_id, value, (end - start) / 1000)
        return
    wanted = set(values)
    for run in _search(store):
        if run.data.tags.get(tag) in wanted:
            seconds = (run.info.end_time - run.info.start_time) / 1000
            yield Finished(run.info.run_id, run.data.tags[tag], seconds)


def _search(store: Store) -> Iterator[Run]:
    """All finished runs of a store behind a server, page by page, oldest first."""
    page: str | None = None
    while True:
        with store_errors(store.uri):
            runs = store.client().search_runs(
                [store.experiment_id],
                "attributes.status = 'FINISHED'",
                ViewType.ACTIVE_ONLY,
                order_by=["attributes.start_time ASC"],
                page_token=page,
            )
        yield from runs
        page = runs.token
        if not page:
            return


def select(uri: str, question: str, values: Sequence[str], **others: Any) -> Iterator[Any]:
    """The rows that a question gets from a database; its :values may be any number.

    Raises StoreError.
    """
    query = text(question).bindparams(bindparam("values", expanding=True))
    with store_errors(uri), engine(uri).connect() as connection:
        for start in range(0, len(values), CHUNK):
            some = values[start : start + CHUNK]
            yield from connection.execute(query, {"values": some, **others})
