"""All that knows MLflow. Importing this takes seconds: import it when a run starts."""

import logging
import os

# MLflow reports its use to its makers unless told not to; a training run has no business online.
# It reads this when it is imported, so it stands above the imports.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from sgdprobe.tracking.claims import claim
from sgdprobe.tracking.evidence import Evidence, Result, recorded_evidence, recorded_results
from sgdprobe.tracking.find import find_run, recorded_epochs, recorded_losses
from sgdprobe.tracking.provenance import provenance_tags, source_hash
from sgdprobe.tracking.recorder import RunRecorder
from sgdprobe.tracking.results import finished_runs, last_epochs, tags_of, typical_seconds
from sgdprobe.tracking.store import (
    Store,
    StoreError,
    known_store,
    open_store,
    read_store,
    runs_of_sweep,
)
from sgdprobe.tracking.sweeps import SweepRun, add_to_sweep, newest_sweep, runs_of

# MLflow tells of each step of making a store, and sets this itself when it is imported.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

__all__ = [
    "Evidence",
    "Result",
    "RunRecorder",
    "Store",
    "StoreError",
    "SweepRun",
    "add_to_sweep",
    "claim",
    "find_run",
    "finished_runs",
    "known_store",
    "last_epochs",
    "newest_sweep",
    "open_store",
    "provenance_tags",
    "read_store",
    "recorded_epochs",
    "recorded_evidence",
    "recorded_losses",
    "recorded_results",
    "runs_of",
    "runs_of_sweep",
    "source_hash",
    "tags_of",
    "typical_seconds",
]
