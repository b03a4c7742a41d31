"""Creation of stores and experiments, safely when several processes do it at once.

No lock of ours is needed: sqlite's own lock is in the store itself, so it holds for every spelling
of its path, and for processes of other containers.
"""

import sqlite3
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _initialize_tables
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SADeprecationWarning, SQLAlchemyError

from sgdprobe.paths import PROJECT_ROOT
from sgdprobe.tracking.address import default_uri, sqlite_file, store_uri
from sgdprobe.tracking.liveness import mark_dead_runs_killed
from sgdprobe.tracking.store import (
    Store,
    artifact_root,
    check_writable,
    client_of,
    engine,
    file_exists,
    say_if_slow,
    store_errors,
    waiting_for_store,
)

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
        client = client_of(uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            found = _create_experiment(client, uri, experiment)
        elif found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        _make_relative(uri, found)
    store = Store(uri, experiment, found.experiment_id)
    mark_dead_runs_killed(store)
    return store


def _create_experiment(client: MlflowClient, uri: str, name: str) -> Experiment:
    """Create an experiment. Its artifacts go to the project's mlruns/, unless a server has them."""
    place = (PROJECT_ROOT / _artifacts(name)).as_uri() if uri.startswith("sqlite:") else None
    try:
        return client.get_experiment(client.create_experiment(name, place))
    except MlflowException:
        # Another process has just created it, or the answer of a server was lost.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found


def _artifacts(experiment: str) -> Path:
    return Path("mlruns") / quote(experiment)


def _make_relative(uri: str, experiment: Experiment) -> None:
    """Make the place of artifacts relative in the project's own store: its folder may be moved.

    MLflow reads relative paths, from its working directory, but creates none by itself.
    """
    path = _artifacts(experiment.name)
    if uri == default_uri() and experiment.artifact_location == (PROJECT_ROOT / path).as_uri():
        change = text("UPDATE experiments SET artifact_location = :path WHERE experiment_id = :id")
        with engine(uri).begin() as connection:
            connection.execute(change, {"path": str(path), "id": experiment.experiment_id})


def _create_store(uri: str, file: Path) -> None:
    """Create the tables of a sqlite store in one transaction.

    MLflow creates them in some sixty steps; a process killed among them would leave a store that
    MLflow itself can't open again. So it creates them in memory, and they are copied from there.
    """
    draft = f"file:{uuid4().hex}?mode=memory&cache=shared"
    file.parent.mkdir(parents=True, exist_ok=True)
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
