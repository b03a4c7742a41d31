"""The MLflow store: where it lies, and how it is made once, whoever comes first."""

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
from typing import TypeVar
from urllib.parse import quote, urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.version import VERSION
from sqlalchemy import Engine, NullPool, create_engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from sgdprobe.errors import MissingStore, StoreError
from sgdprobe.paths import PROJECT_ROOT, STORE
from sgdprobe.provenance.processes import process_is_gone
from sgdprobe.provenance.redact import redact
from sgdprobe.tracking.locks import store_lock

__all__ = [
    "Store",
    "absolute_uri",
    "check_writable",
    "connect",
    "find_experiment",
    "import_mlflow",
    "mark_dead_runs_killed",
    "open_experiment",
    "runs_of_sweep",
    "store_errors",
]

T = TypeVar("T")

# MLflow logs each step of making a store, and sets this level itself when it is imported.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
# A store that fails is reported in one line, from the exception; MLflow logs its traceback besides.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

# What MLflow says of a store of another version, and the versions that it knows.
SCHEMA = re.compile(r"found version (\w+)")
MIGRATIONS = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"

UI = "http://127.0.0.1:5000"  # where `mlflow ui` shows a store that is a file

LOCK_TIMEOUT_S = 30  # seconds for which another process may keep a sqlite store locked


@contextlib.contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Say in one line what a store fails at. Raises StoreError."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = redact(f"the store {uri} can't be used: {_reason(error, uri)}")
        raise StoreError(reason) from error


def _reason(error: Exception, uri: str) -> str:
    """What a store fails at, with what MLflow and sqlite leave out, on one line."""
    lines = str(error).splitlines() or [type(error).__name__]
    reason = next((line for line in lines if not line.startswith("(raised as")), lines[0])
    schema = SCHEMA.search(reason)
    if schema and not list(MIGRATIONS.glob(f"{schema[1]}_*.py")):  # else MLflow's advice is right
        return f"{schema[0]}, which MLflow {VERSION} does not know: a newer one made it"
    file = _sqlite_file(uri)
    if not isinstance(error, OSError) and file is not None and not _is_there(file):
        return f"{reason}; {file} is not there"  # it is called read-only when it was deleted
    return reason


@dataclass(frozen=True)
class Store:
    """An experiment in a store that exists: what a process needs to record a run."""

    uri: str
    experiment: str
    experiment_id: str

    def client(self) -> MlflowClient:
        """A client of this store."""
        return _client(self.uri)

    def experiment_url(self) -> str:
        """The address of the experiment's charts."""
        query = "workflowType=machine_learning&compareRunsMode=CHART"
        return f"{_served_at(self.uri)}/#/experiments/{self.experiment_id}/runs?{query}"

    def ui_command(self) -> str | None:
        """What to type at the project's root to be shown that address; None for a server."""
        if _is_server(self.uri):
            return None
        if self.uri == default_uri():
            return "mlflow ui"
        return f"mlflow ui --backend-store-uri {quoted(redact(self.uri))}"


def default_uri() -> str:
    """MLflow's own default for someone who stands at the project's root, from anywhere."""
    return f"sqlite:///{STORE}"


def store_uri(uri: str | None) -> str:
    """The address of the store that is meant: given, or set for MLflow, or the default."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri()


def run_url(uri: str, experiment_id: str, run_id: str) -> str:
    """The address that shows a run of a store: on its server, or in `mlflow ui`."""
    return f"{_served_at(uri)}/#/experiments/{experiment_id}/runs/{run_id}"


def _served_at(uri: str) -> str:
    if not _is_server(uri):
        return UI
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]  # whoever looks has credentials of their own
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def absolute_uri(uri: str | None) -> str:
    """The same address for a process of another checkout."""
    uri = store_uri(uri)
    file = _sqlite_file(uri)
    return uri if file is None else f"sqlite:///{file}"


def connect(uri: str | None) -> MlflowClient:
    """A client of a store that exists. Raises MissingStore, or another StoreError."""
    uri = store_uri(uri)
    file = _sqlite_file(uri)
    if file is not None and not _is_there(file):
        raise MissingStore(f"{file} is not there: no run was recorded yet")
    with store_errors(uri):
        check_readable(uri)
        client = _client(uri)
        client.search_experiments(max_results=1)  # a server is first asked here
    return client


def find_experiment(uri: str | None, experiment: str) -> Store | None:
    """The store with the experiment in it, or None where it is not there yet; nothing is made."""
    uri = store_uri(uri)
    file = _sqlite_file(uri)
    if file is not None and not _is_there(file):
        return None
    with store_errors(uri):
        check_readable(uri)
        found = _client(uri).get_experiment_by_name(experiment)
    return Store(uri, experiment, found.experiment_id) if found else None


def open_experiment(uri: str | None, experiment: str) -> Store:
    """The store with the experiment in it, both made if need be; dead runs marked KILLED.

    uri : None for $MLFLOW_TRACKING_URI or the default. Several processes may call this at the
    same moment: MLflow can't make one sqlite store twice at once, so a file lock lets them in
    one by one. Raises StoreError.
    """
    uri = store_uri(uri)
    # MLflow writes the working directory into what it makes.
    with store_errors(uri), store_lock(uri), artifact_root():
        _make_file(uri)
        check_writable(uri)
        client = _client(uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            number = _make_experiment(client, uri, experiment)
        elif found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
            number = found.experiment_id
        else:
            number = found.experiment_id
        _mark_dead_runs_killed(client, number)
    return Store(uri, experiment, number)


def retry_when_locked(uri: str, ask: Callable[[], T]) -> T:
    """The answer of a store; one that is locked is asked once more when it no longer is.

    MLflow waits 5 seconds for a locked store to open it, and 20 to write to it.
    """
    try:
        return ask()
    except (MlflowException, SQLAlchemyError) as error:
        if "is locked" not in str(error):
            raise
    check_writable(uri)
    return ask()


def _client(uri: str) -> MlflowClient:
    return retry_when_locked(uri, partial(MlflowClient, tracking_uri=uri))


def import_mlflow(uri: str | None) -> None:
    """Import what MLflow needs for such a store; half a second of it waits for the first use."""
    if is_database(store_uri(uri)):
        import_module("mlflow.store.tracking.sqlalchemy_store")


def check_writable(uri: str) -> None:
    """Write to a database, and take it back. Raises SQLAlchemyError, or FileNotFoundError.

    So that one that is read-only, full or gone is known before a run begins, and one that is
    locked is waited for. MLflow tries for two minutes to open what can't be opened.
    """
    if not is_database(uri):
        return
    check_readable(uri)
    with engine(uri).connect() as connection:
        if inspect(connection).has_table("alembic_version"):
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
            connection.rollback()


def check_readable(uri: str) -> None:
    """Read what tables a database has. Raises SQLAlchemyError, or FileNotFoundError."""
    file = _sqlite_file(uri)
    if file is not None and not _is_there(file):  # sqlite would make an empty one
        raise FileNotFoundError(f"{file} is not there")
    if is_database(uri):
        inspect(engine(uri)).get_table_names()


@cache
def engine(uri: str) -> Engine:
    """Questions to a database past MLflow; nothing is held open between them."""
    patience = {"timeout": LOCK_TIMEOUT_S} if uri.startswith("sqlite") else {}
    return create_engine(uri, poolclass=NullPool, connect_args=patience)


def _make_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """Make an experiment. Its artifacts lie under the project's mlruns/ unless a server has them.

    In the project's own store that place is relative to the project, so that the folder can be
    moved; MLflow reads relative places, from its working directory, but makes none by itself.
    """
    if not uri.startswith("sqlite:"):
        return str(client.create_experiment(name))
    place = Path("mlruns") / quote(name)
    number = str(client.create_experiment(name, (PROJECT_ROOT / place).as_uri()))
    if uri == default_uri():
        change = text("UPDATE experiments SET artifact_location = :place WHERE experiment_id = :id")
        with engine(uri).begin() as connection:
            connection.execute(change, {"place": str(place), "id": number})
    return number


def artifact_root(uri: str | None = None) -> "contextlib.chdir[Path]":
    """A context in which the relative places of a project's own artifacts hold.

    uri : the store; None for this project. Another checkout's store lies at that checkout's root.
    """
    file = _sqlite_file(uri) if uri else None
    return contextlib.chdir(file.parent if file else PROJECT_ROOT)


def _make_file(uri: str) -> None:
    """Make a sqlite store that is not there yet, beside its place, and move it there whole.

    MLflow makes its tables in some sixty steps, each in the file; a process killed among them
    would leave a store that MLflow itself can't open again.
    """
    file = _sqlite_file(uri)
    if file is None or _is_there(file):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}.new")
    draft.touch()  # MLflow would try for two minutes where nothing can be made
    try:
        MlflowClient(tracking_uri=f"sqlite:///{draft}").search_experiments(max_results=1)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def is_database(uri: str) -> bool:
    """Whether a store is a database that can be asked directly, and no server."""
    return uri.partition(":")[0].partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")


def _sqlite_file(uri: str) -> Path | None:
    """The file of a sqlite URI, relative to the project's root; None for any other store."""
    url = make_url(uri) if uri.startswith("sqlite:") else None
    return PROJECT_ROOT / url.database if url and url.database else None


def _is_there(file: Path) -> bool:
    """Whether a store is more than the empty file that sqlite makes of one that was deleted."""
    return file.is_dir() or (file.exists() and file.stat().st_size > 0)


def runs_of_sweep(store: Store, sweep: str, status: str) -> list[str]:
    """Names of a sweep's runs that have this status."""
    with store_errors(store.uri):
        runs = store.client().search_runs(
            [store.experiment_id],
            f"tags.sweep = '{sweep}' and attributes.status = '{status}'",
            max_results=50000,
        )
    return [str(run.info.run_name) for run in runs]


def mark_dead_runs_killed(store: Store) -> None:
    """Mark what dead processes left RUNNING as KILLED; nothing is made. Raises StoreError."""
    with store_errors(store.uri):
        check_writable(store.uri)
        _mark_dead_runs_killed(store.client(), store.experiment_id)


def _mark_dead_runs_killed(client: MlflowClient, experiment_id: str) -> None:
    """Mark what dead processes of this machine left RUNNING as KILLED."""
    running = client.search_runs(
        [experiment_id], "attributes.status = 'RUNNING'", ViewType.ACTIVE_ONLY
    )
    for run in running:
        if process_is_gone(run.data.tags):
            client.set_tag(run.info.run_id, "failure", "its process is gone")
            client.set_terminated(run.info.run_id, "KILLED")
