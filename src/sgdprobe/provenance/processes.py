"""Which process a run belongs to, in a form that survives the process."""

import os
import socket
from collections.abc import Mapping

import psutil


def process_tags() -> dict[str, str]:
    """Host, process id and start time: a process id alone is given to another one day."""
    return {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "pid_started": repr(psutil.Process().create_time()),
    }


def process_is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process with these tags ran here and is gone; False where that can't be known."""
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
