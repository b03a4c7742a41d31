"""Runs that are RUNNING in a store: which of them are alive, and which hold the claim on a key.

A live run is itself the claim on its key. So it holds in every kind of store, for all machines
that use it, and whoever dies holds nothing.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sqlalchemy import text

from sgdprobe.errors import RunClaimed
from sgdprobe.provenance.processes import heart_has_stopped, process_is_gone, process_tags
from sgdprobe.tracking.address import is_database, is_server
from sgdprobe.tracking.database import check_writable, engine, say_if_slow
from sgdprobe.tracking.queries import Condition
from sgdprobe.tracking.readers import reader
from sgdprobe.tracking.runs import Failure, RecordedRun
from sgdprobe.tracking.store import Store, client_of, set_tags, store_errors

__all__ = ["count_deaths", "is_dead", "mark_dead_runs_killed"]

CLAIM, WANTED, HELD = "claim", "wanted", "held"
POLL_S = 0.05
RUNNING = Condition("attributes.status", "=", "RUNNING")
FINISHED = Condition("attributes.status", "=", "FINISHED")
UTC_NOW = {"postgresql": "now()", "mysql": "UTC_TIMESTAMP()", "mssql": "SYSUTCDATETIME()"}


def store_time(uri: str) -> float:
    """Return seconds since 1970 by the store's clock; a file has that of this machine."""
    if is_server(uri):
        from mlflow.utils.rest_utils import http_request

        credentials = client_of(uri)._tracking_client.store.get_host_creds()
        answer = http_request(credentials, "/health", "GET", raise_on_status=False)  # type: ignore[no-untyped-call]
        return parsedate_to_datetime(answer.headers["Date"]).timestamp()
    if is_database(uri) and (now := UTC_NOW.get(engine(uri).dialect.name)):
        with engine(uri).connect() as connection:
            moment: datetime = connection.execute(text(f"SELECT {now}")).scalar_one()
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return time.time()


def is_dead(uri: str, tags: Mapping[str, str]) -> bool | None:
    """Return True if the process of a run has ended, False if it lives; None if unknown."""
    gone = process_is_gone(tags)
    return heart_has_stopped(tags, lambda: store_time(uri)) if gone is None else gone


def mark_dead_runs_killed(store: Store) -> None:
    """Mark runs of dead processes that are still RUNNING as KILLED. Raises StoreError."""
    with store_errors(store.uri):
        check_writable(store.uri)
        running = reader(store.uri).find(
            RUNNING, experiment_id=store.experiment_id, details=("tags",)
        )
        _mark_killed(store, [run for run in running if is_dead(store.uri, run.tags)])


def _mark_killed(store: Store, dead: Sequence[RecordedRun]) -> None:
    # One that ended FINISHED since it was read is not dead.
    for run in reader(store.uri).with_ids([run.run_id for run in dead]):
        if run.status == "RUNNING":
            end_as(store, run.run_id, Failure("killed", _last_sign(run)))


def end_as(store: Store, run_id: str, failure: Failure, **tags: str) -> None:
    """Mark a run as KILLED, and why."""
    set_tags(store.client(), run_id, failure.tags | tags)
    store.client().set_terminated(run_id, "KILLED")


def _last_sign(run: RecordedRun) -> str:
    if process_is_gone(run.tags):
        return "its process is gone"
    lease = run.tags["heartbeat"].split()[-1]
    return f"its process, on {run.tags.get('host')}, gave no sign of life for {lease} s"


def count_deaths(store: Store, tags: Mapping[str, str]) -> int:
    """Count the runs with this key that a sweep, by its tag, lost together with their processes."""
    same = [Condition(f"tags.{name}", "=", tags[name]) for name in ("key", "sweep")]
    found = reader(store.uri).find(*same, experiment_id=store.experiment_id, details=("tags",))
    return sum(
        run.status == "KILLED" or (run.status == "RUNNING" and is_dead(store.uri, run.tags) is True)
        for run in found
        if "duplicate_of" not in run.tags
    )


def check_unclaimed(store: Store, key: str) -> None:
    """Raise RunClaimed if a run of this key has finished, or is alive; mark dead ones KILLED.

    So one whose machine slept sees, when it wakes, that it was taken for dead.
    """
    for run in _runs_of(store, key, mark=True):
        raise claimed_by(run)


def check_not_taken(store: Store, key: str) -> None:
    """Raise RunClaimed if another process has the claim on this key, or its result."""
    for run in _runs_of(store, key):
        if run.tags.get(CLAIM) != WANTED:
            raise claimed_by(run)


def check_counts(store: Store, key: str, run_id: str) -> None:
    """Leave one of the runs of this key that finished while they held the claim on it.

    There are several only where a process was taken for dead in the moment in which it ended. The
    oldest counts. Raises RunClaimed if this run is another one.
    """
    held = Condition(f"tags.{CLAIM}", "=", HELD)
    found = reader(store.uri).find(
        *(FINISHED, Condition("tags.key", "=", key), held),
        experiment_id=store.experiment_id,
        details=("tags",),
    )
    for run in found[1:]:
        end_as_duplicate(store, run.run_id, found[0].run_id)
    if run_id in [run.run_id for run in found[1:]]:
        raise claimed_by(found[0])


def end_as_duplicate(store: Store, run_id: str, original: str) -> None:
    """Mark a run as KILLED, so that no report counts it, since another one is the key's."""
    failure = Failure("killed", f"another process made run {original} of the same key")
    end_as(store, run_id, failure, duplicate_of=original)


def check_claim_won(store: Store, key: str, start_time: int, run_id: str) -> None:
    """Wait until no other run wants the claim on this key. Raises RunClaimed if another got it.

    start_time, run_id : of a run that was created with the tag claim=wanted. Those that want the
    claim at the same time see each other: the earliest gets it, unless a later one holds it.
    """
    with say_if_slow(lambda: f"waiting for another run of {key[:12]} to get the claim on it"):
        while others := _runs_of(store, key):
            for run in others:
                earlier = (run.start_time, run.run_id) < (start_time, run_id)
                if run.tags.get(CLAIM) != WANTED or earlier:
                    raise claimed_by(run)
            time.sleep(POLL_S)


def claimed_by(run: RecordedRun) -> RunClaimed:
    """Return the error of a run that cannot be made because of another one."""
    host, pid = run.tags.get("host"), run.tags.get("pid")
    return RunClaimed(f"run {run.run_id} ({run.name}), of process {pid} on {host}", run.run_id)


def _runs_of(store: Store, key: str, *, mark: bool = False) -> list[RecordedRun]:
    """Return the runs of this key that finished, and the live ones of other processes.

    mark : mark the dead ones KILLED.
    """
    found = reader(store.uri).find(
        Condition("tags.key", "=", key),
        experiment_id=store.experiment_id,
        details=("tags", "metrics"),
    )
    own = process_tags().items()

    def counts(run: RecordedRun) -> bool:
        if run.status == "FINISHED":
            return "test_accuracy" in run.metrics
        if run.status != "RUNNING" or "rerun_of" in run.tags or own <= run.tags.items():
            return False
        dead = is_dead(store.uri, run.tags)
        if mark and dead:
            _mark_killed(store, [run])
        return dead is False

    return [run for run in found if counts(run)]
