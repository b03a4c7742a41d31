"""Locate and create the MLflow store, safely under concurrent first use."""

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from shlex import quote as quoted
from typing import Any, TypeVar
from urllib.parse import quote

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.version import VERSION
from sqlalchemy import Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from sgdprobe.errors import MissingStore, StoreError
from sgdprobe.paths import PROJECT_ROOT, STORE
from sgdprobe.provenance.processes import process_is_gone
from sgdprobe.provenance.redact import redact
from sgdprobe.tracking import timeouts
from sgdprobe.tracking.address import (
    browser_address,
    default_uri,
    is_database,
    is_server,
    sqlite_file,
    store_uri,
)
from sgdprobe.tracking.locks import store_lock
from sgdprobe.tracking.runs import Failure

__all__ = [
    "Store",
    "check_writable",
    "find_experiment",
    "import_mlflow",
    "mark_dead_runs_killed",
    "open_experiment",
    "store_errors",
]

T = TypeVar("T")

# MLflow logs each step of making a store, and sets this level itself when it is imported.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
# A store that fails is reported in one line, from the exception; MLflow logs its traceback besides.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

# MLflow's words for a store of another version, and the versions that it knows.
SCHEMA = re.compile(r"found version (\w+)")
MIGRATIONS = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"


@contextlib.contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn errors of a store into StoreError, with the reason in one line."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = redact(f"the store {uri} can't be used: {_reason(error, uri)}")
        raise StoreError(reason) from error


def _reason(error: Exception, uri: str) -> str:
    """Return the reason in one line, with what MLflow and sqlite leave out."""
    lines = str(error).splitlines() or [type(error).__name__]
    reason = next((line for line in lines if not line.startswith("(raised as")), lines[0])
    schema = SCHEMA.search(reason)
    if schema and not list(MIGRATIONS.glob(f"{schema[1]}_*.py")):  # else MLflow's advice is right
        return f"{schema[0]}, which MLflow {VERSION} does not know: a newer one made it"
    file = sqlite_file(uri)
    if not isinstance(error, OSError) and file is not None and not _exists(file):
        return f"{reason}; {file} is not there"  # sqlite calls a deleted one read-only
    return reason


@dataclass(frozen=True)
class Store:
    """An experiment in a store that exists: all that a process needs to record a run."""

    uri: str
    experiment: str
    experiment_id: str

    def client(self) -> MlflowClient:
        """Return a client of this store."""
        return client_of(self.uri)

    def experiment_url(self) -> str:
        """Return the address of the experiment's charts."""
        query = "workflowType=machine_learning&compareRunsMode=CHART"
        return f"{browser_address(self.uri)}/#/experiments/{self.experiment_id}/runs?{query}"

    def ui_command(self) -> str | None:
        """Return the command, for any directory, that serves this address, if one must.

        MLflow reads a file's relative artifact paths from the file's folder.
        """
        if is_server(self.uri):
            return None
        file = sqlite_file(self.uri)
        address = f" --backend-store-uri {quoted(redact(self.uri))}"
        if file is None:
            return f"mlflow ui{address}"
        folder = "" if Path.cwd() == file.parent else f"cd {quoted(str(file.parent))} && "
        return f"{folder}mlflow ui{address * (file.name != STORE.name)}"


def check_exists(uri: str) -> None:
    """Raise MissingStore where there is no store yet, StoreError for one that can't be read."""
    file = sqlite_file(uri)
    if file is not None and not _exists(file):
        raise MissingStore(f"{file} is not there: no run was recorded yet")
    with store_errors(uri):
        check_readable(uri)
        client_of(uri).search_experiments(max_results=1)  # a server is first asked here


def find_experiment(uri: str | None, experiment: str) -> Store | None:
    """Return the store if it has the experiment; create nothing. Raises StoreError."""
    uri = store_uri(uri)
    file = sqlite_file(uri)
    if file is not None and not _exists(file):
        return None
    with store_errors(uri):
        check_readable(uri)
        found = client_of(uri).get_experiment_by_name(experiment)
    return Store(uri, experiment, found.experiment_id) if found else None


def open_experiment(uri: str | None, experiment: str) -> Store:
    """Return the store with the experiment, both created if need be; mark dead runs KILLED.

    uri : None for $MLFLOW_TRACKING_URI or the default. Several processes may call this at the
    same moment: MLflow can't create one store in two of them, so a lock lets one in at a time.
    Raises StoreError.
    """
    uri = store_uri(uri)
    # MLflow writes the working directory into what it creates.
    with store_errors(uri), store_lock(uri), artifact_root():
        _create_file(uri)
        check_writable(uri)
        client = client_of(uri)
        found = client.get_experiment_by_name(experiment)
        if found is not None and found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        number = found.experiment_id if found else _create_experiment(client, uri, experiment)
        store = Store(uri, experiment, number)
        _mark_dead_runs_killed(store)
    return store


def retry_when_locked(uri: str, ask: Callable[[], T]) -> T:
    """Return a store's answer; wait for one that is locked, and ask once more.

    MLflow waits 5 seconds for a locked store to open it, and 20 to write to it.
    """
    try:
        return ask()
    except (MlflowException, SQLAlchemyError) as error:
        if "is locked" not in str(error):
            raise
    check_writable(uri)
    return ask()


if timeouts.MLFLOW_LOCK_TIMEOUT_S != timeouts.MLFLOW_DEFAULT_S:  # MLflow has no setting for it

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def _wait_less(_1: Any, _2: Any, sql: str, parameters: Any, _3: Any, _4: Any) -> Any:
        milliseconds = round(1000 * timeouts.MLFLOW_LOCK_TIMEOUT_S)
        return re.sub(r"(?<=busy_timeout = )\d+", str(milliseconds), sql), parameters


def client_of(uri: str) -> MlflowClient:
    """Return a client of a store."""
    return retry_when_locked(uri, partial(MlflowClient, tracking_uri=uri))


def import_mlflow(uri: str | None) -> None:
    """Import now the half of MLflow that it would import when such a store is first used."""
    if is_database(store_uri(uri)):
        import_module("mlflow.store.tracking.sqlalchemy_store")


def check_writable(uri: str) -> None:
    """Write to a database, and roll back. Raises SQLAlchemyError, or FileNotFoundError.

    So one that is read-only, full or deleted is known before a run begins, and one that is locked
    is waited for. MLflow tries for two minutes to open one that can't be opened.
    """
    if not is_database(uri):
        return
    check_readable(uri)
    with engine(uri).connect() as connection:
        if inspect(connection).has_table("alembic_version"):
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
            connection.rollback()


def check_readable(uri: str) -> None:
    """Read the names of a database's tables. Raises SQLAlchemyError, or FileNotFoundError."""
    file = sqlite_file(uri)
    if file is not None and not _exists(file):  # sqlite would make an empty one
        raise FileNotFoundError(f"{file} is not there")
    if is_database(uri):
        inspect(engine(uri)).get_table_names()


@cache
def engine(uri: str) -> Engine:
    """Return an engine for questions past MLflow; no connection is kept open between them."""
    wait = {"timeout": timeouts.LOCK_TIMEOUT_S} if uri.startswith("sqlite") else {}
    return create_engine(uri, poolclass=NullPool, connect_args=wait)


def _create_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """Create an experiment. Its artifacts go to the project's mlruns/, unless a server has them.

    In the project's own store that path is relative to the project, so that the folder can be
    moved; MLflow reads relative paths, from its working directory, but creates none by itself.
    """
    if not uri.startswith("sqlite:"):
        return str(client.create_experiment(name))
    path = Path("mlruns") / quote(name)
    number = str(client.create_experiment(name, (PROJECT_ROOT / path).as_uri()))
    if uri == default_uri():
        change = text("UPDATE experiments SET artifact_location = :path WHERE experiment_id = :id")
        with engine(uri).begin() as connection:
            connection.execute(change, {"path": str(path), "id": number})
    return number


def artifact_root(uri: str | None = None) -> "contextlib.chdir[Path]":
    """Change to the directory that relative paths of artifacts start from.

    uri : the store; None for this project's. Another checkout's store is in that checkout's root.
    """
    file = sqlite_file(uri) if uri else None
    return contextlib.chdir(file.parent if file else PROJECT_ROOT)


def _create_file(uri: str) -> None:
    """Create a sqlite store that does not exist, beside its path, and move it there as a whole.

    MLflow creates its tables in some sixty steps, each in the file; a process killed among them
    would leave a store that MLflow itself can't open again.
    """
    file = sqlite_file(uri)
    if file is None or _exists(file):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}.new")
    draft.touch()  # MLflow would try for two minutes where nothing can be created
    try:
        MlflowClient(tracking_uri=f"sqlite:///{draft}").search_experiments(max_results=1)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _exists(file: Path) -> bool:
    """Return whether a store is more than the empty file that sqlite makes of a deleted one."""
    return file.is_dir() or (file.exists() and file.stat().st_size > 0)


def mark_dead_runs_killed(store: Store) -> None:
    """Mark runs of dead processes that are still RUNNING as KILLED. Raises StoreError."""
    with store_errors(store.uri):
        check_writable(store.uri)
        _mark_dead_runs_killed(store)


def _mark_dead_runs_killed(store: Store) -> None:
    client, failure = store.client(), Failure("killed", "its process is gone")
    for run in client.search_runs([store.experiment_id], "attributes.status = 'RUNNING'"):
        if process_is_gone(run.data.tags):
            for tag, value in failure.tags.items():
                client.set_tag(run.info.run_id, tag, value)
            client.set_terminated(run.info.run_id, "KILLED")
