"""Locks between the processes of one machine, for a run of a store and for the store itself.

Two sweeps may want the same run at the same moment: the one that holds its lock trains it, the
other waits and finds it finished. MLflow can't create one store in two processes at once either.

All locks of a store are on single bytes of one empty file, `sgdprobe-USER-HASH.lock` in the
directory for temporary files (`$TMPDIR`). The system releases them when a process dies.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

__all__ = ["run_lock", "store_lock"]

STORE_BYTE = 0  # those of runs follow
RUN_BYTES = 2**62


@contextmanager
def run_lock(uri: str, key: str) -> Iterator[None]:
    """Hold the lock of the run with this key; wait while another process has it."""
    with _lock(uri, 1 + int(key, 16) % RUN_BYTES):
        yield


@contextmanager
def store_lock(uri: str) -> Iterator[None]:
    """Hold the lock of a store; wait while another process has it."""
    with _lock(uri, STORE_BYTE):
        yield


@contextmanager
def _lock(uri: str, byte: int) -> Iterator[None]:
    file = _file(uri)
    fcntl.lockf(file, fcntl.LOCK_EX, 1, byte)
    try:
        yield
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)


@cache  # once in each process: closing a file releases all of the process's locks on it
def _file(uri: str) -> int:
    name = f"sgdprobe-{os.getuid()}-{sha256(uri.encode()).hexdigest()[:16]}.lock"
    return os.open(Path(tempfile.gettempdir()) / name, os.O_RDWR | os.O_CREAT, 0o600)
