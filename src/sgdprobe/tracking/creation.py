"""Creation of stores and experiments, safely when several processes do it at once.

No lock of ours is needed: sqlite's own lock is in the store itself, so it holds for every spelling
of its path, and for processes of other containers.
"""

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote, urlsplit
from uuid import uuid4

from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _initialize_tables
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SADeprecationWarning, SQLAlchemyError

from sgdprobe.paths import PROJECT_ROOT, STORE, folder_name
from sgdprobe.tracking.address import file_exists, is_database, sqlite_file, store_uri
from sgdprobe.tracking.client import MlflowClient
from sgdprobe.tracking.database import (
    check_writable,
    engine,
    say_if_slow,
    waiting_for_store,
)
from sgdprobe.tracking.folders import artifact_root, local_folder
from sgdprobe.tracking.liveness import mark_dead_runs_killed
from sgdprobe.tracking.sql import create_indexes
from sgdprobe.tracking.store import Store, active_experiment, client_of, store_errors
from sgdprobe.tracking.timeouts import wait_longer_for_servers

__all__ = ["open_experiment"]


def open_experiment(uri: str | None, experiment: str) -> Store:
    """Return the store with the experiment, both created if need be; mark dead runs KILLED.

    uri : None for $MLFLOW_TRACKING_URI or the default. Raises StoreError.
    """
    uri = store_uri(uri)
    # MLflow writes the working directory into what it creates.
    with store_errors(uri), artifact_root():
        file = sqlite_file(uri)
        if file is not None and not file_exists(file):
            _create_store(uri, file)
        check_writable(uri)
        with _one_at_a_time(uri):
            client = client_of(uri)
            found = active_experiment(client, experiment)
            found = found or _create_experiment(client, uri, experiment)
            _place_artifacts(uri, found)
            if is_database(uri):
                create_indexes(uri)
    store = Store(uri, experiment, found.experiment_id)
    mark_dead_runs_killed(store)
    wait_longer_for_servers()
    return store


@contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Keep other hosts out: MLflow makes the tables of an empty PostgreSQL without a lock."""
    if not uri.startswith("postgresql"):
        yield
        return
    with engine(uri).connect() as connection:  # whose end is that of the lock
        connection.execute(text("SELECT pg_advisory_lock(hashtext('sgdprobe'))"))
        yield


def _create_experiment(client: MlflowClient, uri: str, name: str) -> Experiment:
    place = artifact_place(uri, name) and (PROJECT_ROOT / "mlruns").as_uri()  # or the server's
    try:
        return client.get_experiment(client.create_experiment(name, place))
    except MlflowException:
        # Another process has just created it, or the answer of a server was lost.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found


def artifact_place(uri: str, name: str) -> str | None:
    """Return where an experiment keeps artifacts: in mlruns/ beside the store. None: a server's.

    In the project's own store that path is relative, so that the folder can be moved and `mlflow
    ui` shows all. MLflow reads relative paths, from its working directory, but creates none.
    """
    file, place = sqlite_file(uri), Path("mlruns") / folder_name(name)
    if file is None:
        return None
    return quote(str(place)) if file == STORE else (file.parent / place).as_uri()


def _place_artifacts(uri: str, found: Experiment) -> None:
    """Set the place of new artifacts, also after the store was moved, and try to write there."""
    recorded, place = found.artifact_location, artifact_place(uri, found.name)
    is_ours = "mlruns" in Path(urlsplit(recorded).path).parts[-2:]
    if place is not None and place != recorded and is_ours:
        change = text("UPDATE experiments SET artifact_location = :path WHERE experiment_id = :id")
        with engine(uri).begin() as connection:
            connection.execute(change, {"path": place, "id": found.experiment_id})
        recorded = place
    folder = local_folder(uri, recorded)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass


def _create_store(uri: str, file: Path) -> None:
    """Create the tables of a sqlite store in one transaction.

    MLflow creates them in some sixty steps; a process killed among them would leave a store that
    MLflow itself can't open again. So it creates them in memory, and they are copied from there.
    """
    if not file.is_symlink():  # the disk that a link leads to may not be mounted
        file.parent.mkdir(parents=True, exist_ok=True)
    file = file.resolve()  # a link stays one
    draft = f"file:{uuid4().hex}?mode=memory&cache=shared"
    is_new = not file.exists()
    file.touch()  # unlike sqlite, the system says why it can't
    try:
        # The tables in memory exist as long as somebody is connected.
        with closing(sqlite3.connect(draft, uri=True)) as tables, warnings.catch_warnings():
            warnings.simplefilter("ignore", SADeprecationWarning)  # any pool will do for it
            memory = f"sqlite:///{draft}&uri=true"
            _initialize_tables(create_engine(memory))  # type: ignore[no-untyped-call]
            MlflowClient(tracking_uri=memory).search_experiments(max_results=1)
            statements = [*tables.iterdump()][1:-1]  # without BEGIN and COMMIT
        with say_if_slow(partial(waiting_for_store, uri)), engine(uri).connect() as connection:
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
            if not connection.exec_driver_sql("SELECT * FROM sqlite_master").first():
                for statement in statements:
                    connection.exec_driver_sql(statement)
                connection.commit()
    except (OSError, SQLAlchemyError):
        if is_new and not file_exists(file):  # such as on a full disk
            file.unlink(missing_ok=True)
        raise
