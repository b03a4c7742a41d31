"""The MLflow store: its clients, checks and errors. MLflow is imported where it is needed first."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from sgdprobe.errors import StoreError
from sgdprobe.provenance.command import command_line
from sgdprobe.provenance.redact import redact
from sgdprobe.tracking.address import (
    WORKFLOW,
    browser_address,
    check_file,
    file_exists,
    is_database,
    is_server,
    sqlite_file,
    store_uri,
)
from sgdprobe.tracking.database import (
    check_readable,
    check_writable,
    engine,
    is_current,
    migrations,
    say_if_slow,
    waiting_for_store,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

__all__ = [
    "BANDS_VIEW",
    "Store",
    "check_exists",
    "find_experiment",
    "import_mlflow",
    "store_errors",
]

T = TypeVar("T")

VIEW, BANDS_VIEW = "runs", "bands"  # as in the address; see view.py

# MLflow's words for a store of another version.
SCHEMA = re.compile(r"found version (\w+)")


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn errors of a store into StoreError, with the reason in one line."""
    try:
        yield
    except _failures() as error:
        reason = redact(f"the store {uri} can't be used: {_reason(error, uri)}")
        raise StoreError(reason) from error


def _failures() -> tuple[type[Exception], ...]:
    """Return what a store's failure raises; MLflow raises nothing before it is imported."""
    loaded = sys.modules.get("mlflow.exceptions")
    return (SQLAlchemyError, OSError, ImportError, *([loaded.MlflowException] if loaded else []))


def _reason(error: Exception, uri: str) -> str:
    """Return the reason in one line, with what MLflow and sqlite leave out."""
    lines = str(error).splitlines() or [type(error).__name__]
    reason = next((line for line in lines if not line.startswith("(raised as")), lines[0])
    schema = SCHEMA.search(reason)
    if schema and not any(file.name.startswith(f"{schema[1]}_") for file in migrations()):
        # else MLflow's advice is right
        return f"{schema[0]}, which MLflow {version('mlflow')} does not know: a newer one made it"
    file = sqlite_file(uri)
    if not isinstance(error, OSError) and file is not None and not file_exists(file):
        return f"{reason}; {file} is not there"  # sqlite calls a deleted one read-only
    return reason


@dataclass(frozen=True)
class Store:
    """An experiment in a store that exists: all that a process needs to record a run."""

    uri: str
    experiment: str
    experiment_id: str

    def client(self) -> "MlflowClient":
        """Return a client of this store."""
        return client_of(self.uri)

    def experiment_url(self, view: str = VIEW) -> str:
        """Return the address of the experiment's charts, in one of the views that view.py makes."""
        query = f"{WORKFLOW}&compareRunsMode=CHART&viewStateShareKey={view}"
        return f"{browser_address(self.uri)}/#/experiments/{self.experiment_id}/runs?{query}"

    def ui_command(self) -> str | None:
        """Return the command that serves this address, if one must."""
        if is_server(self.uri):
            return None
        return command_line(
            "ui", *([] if self.uri == store_uri(None) else ["--uri", redact(self.uri)])
        )


def check_exists(uri: str) -> None:
    """Raise MissingStore where there is no store yet, StoreError for one that can't be read."""
    check_file(uri)
    with store_errors(uri):
        check_readable(uri)
        if not is_current(uri):  # a server is first asked here
            client_of(uri).search_experiments(max_results=1)


def find_experiment(uri: str | None, experiment: str) -> Store | None:
    """Return the store if it has the experiment; create nothing. Raises StoreError."""
    uri = store_uri(uri)
    file = sqlite_file(uri)
    if file is not None and not file_exists(file):
        return None
    with store_errors(uri):
        check_readable(uri)
        if not is_current(uri):
            found = active_experiment(client_of(uri), experiment)
            return Store(uri, experiment, found.experiment_id) if found else None
        query = text("SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = :name")
        with engine(uri).connect() as connection:
            row = connection.execute(query, {"name": experiment}).first()
    if row is None:
        return None
    check_not_deleted(experiment, row.lifecycle_stage, row.experiment_id)
    return Store(uri, experiment, str(row.experiment_id))


def active_experiment(client: "MlflowClient", name: str) -> "Experiment | None":
    """Return the experiment with this name, if there is one. Raises StoreError if it is deleted."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        check_not_deleted(name, found.lifecycle_stage, found.experiment_id)
    return found


def check_not_deleted(name: str, lifecycle_stage: str, experiment_id: object) -> None:
    """Raise StoreError for an experiment that is deleted."""
    if lifecycle_stage == "deleted":
        restore = f"mlflow experiments restore -x {experiment_id}"
        raise StoreError(
            f"the experiment {name} was deleted: `{restore}` restores it with all its runs, "
            "`mlflow gc` removes it, and tracking.experiment=NAME records in another"
        )


def retry_when_locked(uri: str, ask: Callable[[], T]) -> T:
    """Return a store's answer; wait for one that is locked, and ask once more.

    MLflow waits 5 seconds for a locked store to open it, and 20 to write to it.
    """
    with say_if_slow(partial(waiting_for_store, uri)):
        try:
            return ask()
        except _failures() as error:
            if "is locked" not in str(error):
                raise
        check_writable(uri)
        return ask()


def client_of(uri: str) -> "MlflowClient":
    """Return a client of a store. The first one takes a second."""
    from sgdprobe.tracking.client import MlflowClient

    return retry_when_locked(uri, partial(MlflowClient, tracking_uri=uri))


def set_tags(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run, all in one request."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(*tag) for tag in tags.items()])


def import_mlflow(uri: str | None) -> None:
    """Import all of MLflow that it would import when such a store is first used."""
    import_module("sgdprobe.tracking.client")
    if is_database(store_uri(uri)):
        import_module("mlflow.store.tracking.sqlalchemy_store")
