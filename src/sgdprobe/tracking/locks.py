"""Who is at which run: a claim on a key that ends with the process that holds it.

Two sweeps may want the same run at the same moment; whoever claims it first makes it, and the
other, which waits for the claim, finds it made. This reaches over all processes of one machine.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

__all__ = ["run_lock"]

# A lock on one byte of a file for each key: the system lets go of it when the process dies.
BYTES = 2**62


@contextmanager
def run_lock(uri: str, key: str) -> Iterator[None]:
    """Hold the claim on a run of the store at `uri`; wait while another process has it."""
    file, place = _file(uri), int(key, 16) % BYTES
    fcntl.lockf(file, fcntl.LOCK_EX, 1, place)
    try:
        yield
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place)


@cache  # once a process: closing a file ends all of the process's locks on it
def _file(uri: str) -> int:
    name = f"sgdprobe-{os.getuid()}-{sha256(uri.encode()).hexdigest()[:16]}.claims"
    return os.open(Path(tempfile.gettempdir()) / name, os.O_RDWR | os.O_CREAT, 0o600)


@contextlib.contextmanager
def store_lock(uri: str) -> Iterator[None]:
    """Hold this machine's lock for a store, for what MLflow can't do in two processes at once."""
    name = f"sgdprobe-{os.getuid()}-{sha256(uri.encode()).hexdigest()[:16]}.lock"
    with FileLock(Path(tempfile.gettempdir()) / name):
        yield
