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

from sgdprobe.tracking.artifacts import keep_page, recorded_arrays
from sgdprobe.tracking.claims import claim
from sgdprobe.tracking.evidence import Evidence, Result, recorded_evidence, recorded_results
from sgdprobe.tracking.find import find_run, find_sweep, recorded_epochs
from sgdprobe.tracking.provenance import origin, provenance_tags, source_files, source_hash
from sgdprobe.tracking.record import Record, mark, read_record
from sgdprobe.tracking.recorder import RunRecorder
from sgdprobe.tracking.results import finished_runs, last_epochs, tags_of, typical_seconds
from sgdprobe.tracking.store import (
    Store,
    StoreError,
    absolute_uri,
    bury,
    import_mlflow,
    knock,
    known_store,
    open_store,
    read_store,
    runs_of_sweep,
    usable,
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
    "bury",
    "claim",
    "find_run",
    "find_sweep",
    "finished_runs",
    "import_mlflow",
    "keep_page",
    "knock",
    "known_store",
    "last_epochs",
    "mark",
    "newest_sweep",
    "open_store",
    "origin",
    "provenance_tags",
    "read_record",
    "read_store",
    "recorded_arrays",
    "recorded_epochs",
    "recorded_evidence",
    "recorded_results",
    "runs_of",
    "runs_of_sweep",
    "source_files",
    "source_hash",
    "tags_of",
    "typical_seconds",
    "usable",
]
