"""The reader of a store: that of a database, or of anything else that MLflow can ask."""

from sgdprobe.tracking.address import is_database, store_uri
from sgdprobe.tracking.queries import RunReader
from sgdprobe.tracking.sql import SqlReader
from sgdprobe.tracking.store import check_exists

__all__ = ["connect", "reader"]


def connect(uri: str | None) -> "RunReader":
    """Return a reader of a store. Raises MissingStore, or another StoreError."""
    uri = store_uri(uri)
    check_exists(uri)
    return reader(uri)


def reader(uri: str) -> "RunReader":
    """Return a reader of a store that is known to exist."""
    return SqlReader(uri) if is_database(uri) else RunReader(uri)
