"""The MLflow store: its clients, checks and errors."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.version import VERSION
from sqlalchemy import Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from sgdprobe.errors import StoreError
from sgdprobe.paths import PROJECT_ROOT
from sgdprobe.provenance.command import command_line
from sgdprobe.provenance.redact import redact
from sgdprobe.tracking import timeouts
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

__all__ = [
    "BANDS_VIEW",
    "Store",
    "check_exists",
    "check_writable",
    "find_experiment",
    "import_mlflow",
    "store_errors",
]

T = TypeVar("T")

VIEW, BANDS_VIEW = "runs", "bands"  # as in the address; see view.py
SILENT_S = 5  # for which a command waits without a word

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
    if not isinstance(error, OSError) and file is not None and not file_exists(file):
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
        client_of(uri).search_experiments(max_results=1)  # a server is first asked here


def find_experiment(uri: str | None, experiment: str) -> Store | None:
    """Return the store if it has the experiment; create nothing. Raises StoreError."""
    uri = store_uri(uri)
    file = sqlite_file(uri)
    if file is not None and not file_exists(file):
        return None
    with store_errors(uri):
        check_readable(uri)
        if not (is_database(uri) and _is_current(uri)):
            found = active_experiment(client_of(uri), experiment)
            return Store(uri, experiment, found.experiment_id) if found else None
        query = text("SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = :name")
        with engine(uri).connect() as connection:
            row = connection.execute(query, {"name": experiment}).first()
    if row is None:
        return None
    check_not_deleted(experiment, row.lifecycle_stage, row.experiment_id)
    return Store(uri, experiment, str(row.experiment_id))


def _is_current(uri: str) -> bool:
    """Return whether a database has the tables of this MLflow, whose client takes half a second."""
    if not inspect(engine(uri)).has_table("alembic_version"):
        return False
    with engine(uri).connect() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    steps = [file.read_text() for file in MIGRATIONS.glob("*.py")]
    is_known = any(f'revision = "{version}"' in step for step in steps)
    return is_known and not any(f'down_revision = "{version}"' in step for step in steps)


def active_experiment(client: MlflowClient, name: str) -> Experiment | None:
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


@contextlib.contextmanager
def say_if_slow(what: Callable[[], str]) -> Iterator[None]:
    """Print on stderr what is waited for, once that has taken some seconds."""
    timer = Timer(SILENT_S, lambda: sys.stderr.write(f"{what()}\n"))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def waiting_for_store(uri: str) -> str:
    """Return for which store a command waits, and for which processes that keep it locked."""
    file = sqlite_file(uri)
    holders = lock_holders(file) if file else []
    by = f", locked by process {' and '.join(holders)}" if holders else ""
    return redact(f"waiting for the store {uri}{by}")


def lock_holders(file: Path) -> list[str]:
    """Return the ids of the other processes that lock a file, where the system tells."""
    try:
        inode = f":{file.stat().st_ino}"
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return []
    pids = {lock[4] for lock in locks if lock[5].endswith(inode)}
    return sorted(pids - {str(os.getpid())})


def retry_when_locked(uri: str, ask: Callable[[], T]) -> T:
    """Return a store's answer; wait for one that is locked, and ask once more.

    MLflow waits 5 seconds for a locked store to open it, and 20 to write to it.
    """
    with say_if_slow(partial(waiting_for_store, uri)):
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
    with say_if_slow(partial(waiting_for_store, uri)), engine(uri).connect() as connection:
        if inspect(connection).has_table("alembic_version"):
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
            connection.rollback()


def check_readable(uri: str) -> None:
    """Read the names of a database's tables. Raises SQLAlchemyError, or FileNotFoundError."""
    file = sqlite_file(uri)
    if file is not None and not file_exists(file):  # sqlite would make an empty one
        raise FileNotFoundError(f"{file} is not there")
    if is_database(uri):
        with say_if_slow(partial(waiting_for_store, uri)):
            inspect(engine(uri)).get_table_names()


@cache
def engine(uri: str) -> Engine:
    """Return an engine for questions past MLflow; no connection is kept open between them."""
    wait = {"timeout": timeouts.LOCK_TIMEOUT_S} if uri.startswith("sqlite") else {}
    return create_engine(uri, poolclass=NullPool, connect_args=wait)


def artifact_root(uri: str | None = None) -> "contextlib.chdir[Path]":
    """Change to the directory that relative paths of artifacts start from.

    uri : the store; None for this project's. Another checkout's store is in that checkout's root.
    """
    file = sqlite_file(uri) if uri else None
    return contextlib.chdir(file.parent if file else PROJECT_ROOT)


def local_folder(uri: str, artifact_uri: str) -> Path | None:
    """Return the folder of artifacts, or None where only MLflow can reach them.

    What was recorded beside a sqlite store that was moved since is beside it now.
    """
    parts, file = urlsplit(artifact_uri), sqlite_file(uri)
    if not is_database(uri) or parts.scheme not in ("", "file"):
        return None
    folder = (file.parent if file else PROJECT_ROOT) / unquote(parts.path)
    before, _, inside = str(folder).rpartition("/mlruns/")
    return file.parent / "mlruns" / inside if file and before and not folder.exists() else folder


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder, and remove it at the end. Raises StoreError."""
    try:
        folder = TemporaryDirectory(prefix="sgdprobe-")
    except OSError as error:
        raise no_temporary_folder(error) from error
    with folder as path:
        yield Path(path)


def no_temporary_folder(error: OSError) -> StoreError:
    """Return the error of a full disk, say, that is not the store's."""
    reason = error.strerror or error
    return StoreError(f"no temporary file can be written: {reason}; TMPDIR names their folder")
