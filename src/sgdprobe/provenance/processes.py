"""Identity of the process that executes a run, valid after the process has ended."""

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import psutil

PROC = Path("/proc")
CLOCK_STEP_S = 60  # by which a system's clock may have moved since a process started


def process_tags() -> dict[str, str]:
    """Return the tags of this process.

    The system reuses process ids; with the start in clock ticks since boot they are unique, also
    when the clock moves. Process ids of another boot or namespace are those of other processes.
    """
    tags = {"host": socket.gethostname(), "pid": str(os.getpid())}
    try:
        ticks = _start_ticks(PROC / "self") or ""
        return tags | {"pid_started": ticks, **_this_system()}
    except OSError:  # not Linux
        return tags | {"pid_started": repr(psutil.Process().create_time())}


def process_is_gone(tags: Mapping[str, str]) -> bool | None:
    """Return True if the process with these tags has ended, False if it lives.

    None if that can't be known: it is that of another machine or container.
    """
    if "boot_id" not in tags:
        return _is_gone_by_clock(tags)
    try:
        if _this_system().items() <= tags.items():
            return _start_ticks(PROC / tags["pid"]) != tags["pid_started"]
    except (OSError, KeyError):
        pass
    return None


def _this_system() -> dict[str, str]:
    """Return the tags within which a process id and its start say which process it is."""
    boot_id = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    mounted_here = (PROC / "self").readlink() == Path(str(os.getpid()))
    namespace = str((PROC / "self/ns/pid").readlink()) if mounted_here else uuid4().hex
    return {"boot_id": boot_id, "pid_namespace": namespace}


def _start_ticks(process: Path) -> str | None:
    """Return the start of a process, in clock ticks since boot; None if it has ended."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else ticks


def _is_gone_by_clock(tags: Mapping[str, str]) -> bool | None:
    """Judge a process of a system without /proc, or of version 0.2.0 or older."""
    if tags.get("host") != socket.gethostname():
        return None
    try:
        process = psutil.Process(int(tags["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(process.create_time() - float(tags["pid_started"])) > CLOCK_STEP_S
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, KeyError, ValueError):
        return None


def awake_s() -> float:
    """Return seconds by a clock that also counts the time for which this machine was suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def heartbeat(store_time: float, lease: float) -> str:
    """Return the tag that says until when this process counts as alive, where nobody can look.

    store_time : now, by the store's clock, which all machines that use the store can read. On one
    machine time.monotonic() is the same for all processes, and never moved.
    """
    return f"{store_time:.0f} {time.monotonic():.0f} {lease:g}"


def heart_has_stopped(tags: Mapping[str, str], store_time: Callable[[], float]) -> bool | None:
    """Return True if the last heartbeat is older than its lease; None where there is none.

    Host names say nothing: those of containers and of cloned machines may be equal.
    """
    try:
        beat, monotonic, lease = map(float, tags.get("heartbeat", "").split())
    except ValueError:
        return None
    try:
        if tags.get("boot_id") == _this_system()["boot_id"]:
            return time.monotonic() - monotonic > lease
    except OSError:
        pass
    return store_time() - beat > lease
