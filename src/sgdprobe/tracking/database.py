"""Databases of stores, asked without MLflow, whose import takes a second."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event, inspect, text

from sgdprobe.provenance.redact import redact
from sgdprobe.tracking import timeouts
from sgdprobe.tracking.address import file_exists, is_database, sqlite_file

__all__ = ["check_writable"]

SILENT_S = 5  # for which a command waits without a word


@cache
def engine(uri: str) -> Engine:
    """Return an engine for questions past MLflow; no connection is kept open between them."""
    wait = {"timeout": timeouts.LOCK_TIMEOUT_S} if uri.startswith("sqlite") else {}
    return create_engine(uri, poolclass=NullPool, connect_args=wait)


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


def is_current(uri: str) -> bool:
    """Return whether a store is a database with the tables of the MLflow that is installed."""
    if not is_database(uri) or not inspect(engine(uri)).has_table("alembic_version"):
        return False
    with engine(uri).connect() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    steps = [file.read_text() for file in migrations()]
    is_known = any(f'revision = "{version}"' in step for step in steps)
    return is_known and not any(f'down_revision = "{version}"' in step for step in steps)


def migrations() -> Iterator[Path]:
    """Yield MLflow's files of what changed from one version of its tables to the next."""
    package = find_spec("mlflow")
    for folder in package.submodule_search_locations or () if package else ():
        yield from Path(folder, "store", "db_migrations", "versions").glob("*.py")


@contextmanager
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


if timeouts.MLFLOW_LOCK_TIMEOUT_S != timeouts.MLFLOW_DEFAULT_S:  # MLflow has no setting for it

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def _wait_less(_1: Any, _2: Any, sql: str, parameters: Any, _3: Any, _4: Any) -> Any:
        milliseconds = round(1000 * timeouts.MLFLOW_LOCK_TIMEOUT_S)
        return re.sub(r"(?<=busy_timeout = )\d+", str(milliseconds), sql), parameters
