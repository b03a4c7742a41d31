"""A process that has imported the libraries once, and forks for each command that it is given.

Importing MLflow, Hydra and matplotlib takes seconds; a fork takes milliseconds. Each command is a
process of its own all the same: process id, session, working directory, environment, signals and
exit code. Nothing of sgdprobe is imported here, so a command runs the copy of the source it names.

The client is `support.ForkServer`. It sends a command as JSON with three file descriptors: the
command's stdout and stderr, and a pipe that gets the process id and, at the end, the exit code.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARIES = (
    "hydra",
    "hydra.core.plugins",
    "joblib",
    "matplotlib.figure",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "rich.progress",
    "scipy.stats",
)


def serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each command until the client is gone. Return the command, in its process only."""
    waiting: dict[int, int] = {}  # process id: the descriptor that gets its exit code
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            report_ended(waiting)
        if control not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 3)
        if not message:
            for pid in waiting:
                os.killpg(pid, signal.SIGKILL)
            raise SystemExit
        out, err, status = descriptors
        if pid := os.fork():
            waiting[pid] = status
            os.write(status, f"{pid}\n".encode())
            os.close(out)
            os.close(err)
        else:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (control.detach(), woken, wake, status, *waiting.values()):
                os.close(descriptor)
            redirect(out, err)
            command: dict[str, Any] = json.loads(message)
            return command


def report_ended(waiting: dict[int, int]) -> None:
    """Send the exit codes of the processes that have ended."""
    while waiting:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        descriptor = waiting.pop(pid)
        with suppress(BrokenPipeError):  # nobody waits for this one
            os.write(descriptor, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(descriptor)


def redirect(out: int, err: int) -> None:
    """Make this process a session of its own, with these as stdout and stderr."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run(script: str, arguments: list[str], cwd: str, environment: dict[str, str]) -> None:
    """Do what `python SCRIPT ARGUMENT…` does, after its start."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # follows TMPDIR
    sys.path[0] = str(Path(script).parent)
    sys.argv = [script, *arguments]
    sys.orig_argv = [sys.executable, *sys.argv]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    for name in LIBRARIES:
        import_module(name)
    gc.collect()
    gc.freeze()
    run(**serve(socket.socket(fileno=int(sys.argv[1]))))
