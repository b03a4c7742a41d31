"""How long does a whole command take? From its start to its end, in a store made beforehand."""

import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # heeded when MLflow is imported

from mlflow import MlflowClient


def timed(experiment: str, command: Callable[[str], list[str]]) -> tuple[float, list[Any]]:
    """Seconds, and the finished runs in the new store whose URI the command was made for."""
    # With it each process compiles all of MLflow anew, in ten seconds.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of each table it makes
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        client = MlflowClient(tracking_uri=uri)
        number = client.create_experiment(experiment, Path(folder, "mlruns").as_uri())
        words = command(uri)
        started = time.perf_counter()
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
        os.sync()  # what this one left to write is not the next one's work
        finished = "attributes.status = 'FINISHED'"
        return seconds, list(client.search_runs([number], finished, max_results=50_000))
