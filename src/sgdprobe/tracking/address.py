"""Addresses of stores: which one is meant, of what kind it is, where a browser finds it."""

import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from sgdprobe.config.settings import check_value
from sgdprobe.config.validators import STORE_URI
from sgdprobe.errors import MissingStore
from sgdprobe.paths import STORE, sqlite_uri

__all__ = [
    "UI",
    "artifact_url",
    "browser_address",
    "check_file",
    "default_uri",
    "is_server",
    "run_url",
    "store_uri",
    "within",
]

UI = "http://127.0.0.1:5000"  # where `mlflow ui` shows a store that is a file


def default_uri() -> str:
    """Return MLflow's own default at the project's root, for any working directory."""
    return sqlite_uri(STORE)


def store_uri(uri: str | None) -> str:
    """Return the given address, or the one set for MLflow, or the default, for any directory.

    Raises SettingsError for an address at which nothing is kept.
    """
    if uri:
        return str(check_value("the store", uri, STORE_URI))
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return str(check_value("MLFLOW_TRACKING_URI", given, STORE_URI)) if given else default_uri()


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a sqlite URI; None for another store."""
    path = unquote(uri.partition(":///")[2].partition("?")[0])
    return Path(path) if uri.startswith("sqlite") and path else None


def file_exists(file: Path) -> bool:
    """Return whether a store is more than the empty file that sqlite makes of a deleted one."""
    return file.is_dir() or (file.exists() and file.stat().st_size > 0)


def check_file(uri: str) -> None:
    """Raise MissingStore for a sqlite store that is not there."""
    file = sqlite_file(uri)
    if file is not None and not file_exists(file):
        raise MissingStore(f"{file} is not there: no run was recorded yet")


def is_database(uri: str) -> bool:
    """Return whether a store is a database that can be asked directly, and no server."""
    return uri.partition(":")[0].partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")


def is_server(uri: str) -> bool:
    """Return whether a store is behind `mlflow server`."""
    return uri.startswith(("http://", "https://"))


def browser_address(uri: str) -> str:
    """Return the address at which a browser finds a store: its server, or `mlflow ui`."""
    if not is_server(uri):
        return UI
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]  # the reader has credentials of their own
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


# Without it MLflow shows an experiment of training runs as one of language models.
WORKFLOW = "workflowType=machine_learning"


def run_url(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the address that shows a run."""
    return f"{browser_address(uri)}/#/experiments/{experiment_id}/runs/{run_id}?{WORKFLOW}"


def artifact_url(run_url: str, artifact: str) -> str:
    """Return the address that shows an artifact of a run, inside MLflow."""
    address, _, query = run_url.partition("?")
    return f"{address}/artifacts/{quote(artifact)}?{query}"


def within(url: str) -> str:
    """Return an address of MLflow for texts in MLflow: it holds wherever the store is served."""
    return f"#{url.partition('#')[2]}"
