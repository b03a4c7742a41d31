"""The files that runs left, and a page that is left with one of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from sgdprobe.nn.functions import Array
from sgdprobe.tracking.evidence import Result
from sgdprobe.tracking.results import select
from sgdprobe.tracking.store import artifact_root, connect, is_database, store_errors, store_uri

__all__ = ["log_report", "recorded_arrays"]

ARTIFACT_URIS = "SELECT run_uuid, artifact_uri FROM runs WHERE run_uuid IN :values"


def recorded_arrays(
    uri: str | None, run_ids: Sequence[str], name: str
) -> Iterator[Mapping[str, Array] | None]:
    """The arrays that each of these runs left in a file, or None where it left none.

    Raises StoreError.
    """
    client, uri = connect(uri), store_uri(uri)
    with store_errors(uri), artifact_root(uri):
        places = dict(map(tuple, select(uri, ARTIFACT_URIS, run_ids))) if is_database(uri) else {}
        folders = {run_id: _folder(place) for run_id, place in places.items()}
    with TemporaryDirectory() as fetched:
        for run_id in run_ids:
            folder = folders.get(run_id) or _fetch(client, run_id, name, Path(fetched))
            yield _arrays(folder / name)


def log_report(uri: str | None, result: Result, page: Path, study: str) -> str:
    """Keep a study's page as an artifact of one of its runs; the address of that run's artifacts.

    It gets no run of its own: that would be an empty row among those that are compared, and the
    newest run of the store. A page that was kept before is replaced. Raises StoreError.
    """
    client, uri = connect(uri), store_uri(uri)
    with store_errors(uri), artifact_root(uri):
        client.log_artifact(result.run_id, str(page), study)
    return f"{result.page}/artifacts"


def _folder(place: str) -> Path | None:
    """The folder that an artifact URI names on this machine; None if it is elsewhere."""
    parts = urlsplit(place)
    return Path(unquote(parts.path)).resolve() if parts.scheme in ("", "file") else None


def _fetch(client: MlflowClient, run_id: str, name: str, folder: Path) -> Path:
    """A folder of the run's own, with the file in it if there is one."""
    own = folder / run_id
    own.mkdir()
    with suppress(MlflowException):
        client.download_artifacts(run_id, name, str(own))
    return own


def _arrays(path: Path) -> Mapping[str, Array] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as content:
        return dict(content)
