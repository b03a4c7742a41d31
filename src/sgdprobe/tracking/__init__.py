"""All that knows MLflow. Importing this takes seconds: import it when a run starts."""

import atexit
import gc
import logging
import os

# MLflow reports its use to its makers unless told not to; a training run has no business online.
# It reads these when it is imported, so they stand above the imports.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# It would print two lines for each run that a server holds, in between ours.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# It would ask a server that is down for four minutes, and one that hangs for a quarter of an hour.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
# What is imported stays. To look for garbage in it, now and ever again, takes a tenth of a
# command's time, and to do so once more when it ends, a second.
gc.disable()
atexit.register(gc.freeze)

from sgdprobe.errors import StoreError
from sgdprobe.provenance.command import origin, provenance_tags
from sgdprobe.provenance.source import source_files, source_hash
from sgdprobe.tracking.artifacts import log_report, recorded_arrays
from sgdprobe.tracking.evidence import Evidence, Result, recorded_evidence, recorded_results
from sgdprobe.tracking.find import find_run, find_sweep, recorded_epochs
from sgdprobe.tracking.locks import run_lock
from sgdprobe.tracking.record import Record, read_record, tag_verdict
from sgdprobe.tracking.recorder import RunRecorder
from sgdprobe.tracking.results import finished_runs, last_epochs, median_seconds, run_tags
from sgdprobe.tracking.store import (
    Store,
    absolute_uri,
    check_writable,
    connect,
    find_experiment,
    import_mlflow,
    mark_dead_runs_killed,
    open_experiment,
    runs_of_sweep,
    store_errors,
)
from sgdprobe.tracking.sweeps import SweepRun, add_to_sweep, newest_sweep, runs_of

gc.freeze()
gc.set_threshold(20_000, 10, 100)
gc.enable()
# MLflow tells of each step of making a store, and sets this itself when it is imported.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
# A store that fails is told in one line, from the exception; MLflow prints its traceback besides.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

__all__ = [
    "Evidence",
    "Record",
    "Result",
    "RunRecorder",
    "Store",
    "StoreError",
    "SweepRun",
    "absolute_uri",
    "add_to_sweep",
    "check_writable",
    "connect",
    "find_experiment",
    "find_run",
    "find_sweep",
    "finished_runs",
    "import_mlflow",
    "last_epochs",
    "log_report",
    "mark_dead_runs_killed",
    "median_seconds",
    "newest_sweep",
    "open_experiment",
    "origin",
    "provenance_tags",
    "read_record",
    "recorded_arrays",
    "recorded_epochs",
    "recorded_evidence",
    "recorded_results",
    "run_lock",
    "run_tags",
    "runs_of",
    "runs_of_sweep",
    "source_files",
    "source_hash",
    "store_errors",
    "tag_verdict",
]
