"""Folders of artifacts, as seen from a store, and temporary ones."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from sgdprobe.errors import StoreError
from sgdprobe.paths import PROJECT_ROOT
from sgdprobe.tracking.address import is_database, sqlite_file

__all__: list[str] = []


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
