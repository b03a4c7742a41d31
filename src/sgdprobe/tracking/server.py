"""MLflow's page of a store that is no server: one process, on this machine only."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import OK, HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from sgdprobe.errors import UserError
from sgdprobe.tracking.address import sqlite_file

__all__ = ["Page", "check_port", "serving"]

HOST = "127.0.0.1"
PACKAGES = Path(__file__).parents[2]
POLL_S = 0.1
END_S = 5


def check_port(port: int) -> None:
    """Raise UserError if another program listens on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"--port must be a free port; got {port} ({error.strerror}): another MLflow may "
                f"use it, and --port={port % 65535 + 1} may be free"
            ) from error


@dataclass(frozen=True)
class Page:
    """MLflow's page of a store, while it is served."""

    port: int
    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]

    def wait_until_served(self) -> None:
        """Wait until MLflow answers. Raises UserError if it ends before."""
        while not self._answers():
            if self.process.poll() is not None:
                raise self.ended()
            time.sleep(POLL_S)

    def wait(self) -> None:
        """Wait until it ends, which it should not. Raises UserError."""
        self.process.wait()
        raise self.ended()

    def ended(self) -> UserError:
        """Return the error of a server that ended, with the last line that it wrote."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        code = f"exit code {self.process.returncode}"
        return UserError(f"MLflow's page ended with {code}: {lines[-1] if lines else 'no reason'}")

    def _answers(self) -> bool:
        try:
            with closing(HTTPConnection(HOST, self.port, timeout=5)) as connection:
                connection.request("GET", "/health")
                return connection.getresponse().status == OK
        except (OSError, HTTPException):
            return False


@contextmanager
def serving(uri: str, port: int) -> Iterator[Page]:
    """Serve a store at this port, within a `with` block; at its end no process of it is left.

    MLflow reads relative paths of artifacts from its working directory.
    """
    file = sqlite_file(uri)
    paths = filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH")])
    with TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 (the words are ours)
            [sys.executable, "-m", "sgdprobe.tracking.mlflow_ui", str(port)],
            cwd=file.parent if file else None,
            # The address may contain a password, and everybody sees a process's words.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "MLFLOW_TRACKING_URI": uri},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # a terminal's Ctrl-C is for this process, which ends it
        )
        try:
            yield Page(port, process, errors)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            process.kill()
            process.wait()
