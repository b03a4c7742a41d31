"""How long does a whole command take? From its start to its end, in a store made beforehand."""

import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # heeded when MLflow is imported

from mlflow import MlflowClient

# With it each process compiles all of MLflow anew, in ten seconds.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def timed(experiment: str, command: Callable[[str], list[str]]) -> tuple[float, list[Any]]:
    """Seconds, and the finished runs in the new store whose URI the command was made for."""
    with tempfile.TemporaryDirectory() as folder:
        uri, client, number = new_store(Path(folder), experiment)
        seconds, _ = seconds_of(command(uri), Path(folder))
        finished = "attributes.status = 'FINISHED'"
        return seconds, list(client.search_runs([number], finished, max_results=50_000))


def new_store(folder: Path, experiment: str) -> tuple[str, MlflowClient, str]:
    """A store in the folder with one experiment: its URI, a client, the experiment's number."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of each table it makes
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(tracking_uri=uri)
    return uri, client, client.create_experiment(experiment, Path(folder, "mlruns").as_uri())


def seconds_of(words: Sequence[str], folder: Path, exit_code: int = 0) -> tuple[float, str]:
    """Seconds that a command takes, typed in that folder, and what it prints."""
    started = time.perf_counter()
    done = subprocess.run(
        words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != exit_code:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
    os.sync()  # what this one left to write is not the next one's work
    return seconds, done.stdout
