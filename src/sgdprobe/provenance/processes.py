"""Identity of the process that executes a run, valid after the process has ended."""

import os
import socket
from collections.abc import Mapping

import psutil


def process_tags() -> dict[str, str]:
    """Return host, process id and start time: the system reuses a process id alone."""
    return {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "pid_started": repr(psutil.Process().create_time()),
    }


def process_is_gone(tags: Mapping[str, str]) -> bool:
    """Return whether the process with these tags ran on this host and has ended.

    False where that cannot be known.
    """
    if tags.get("host") != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(tags["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        started = process.create_time()
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, KeyError, ValueError):
        return False
    return repr(started) != tags.get("pid_started")
