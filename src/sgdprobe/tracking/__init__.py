"""All that knows MLflow. Importing this package is cheap: its names load MLflow on first use.

The public names are those in the `__all__` of its modules.
"""

import atexit
import gc
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sgdprobe.tracking.timeouts import RETRIES, RETRIES_AT_FIRST

if TYPE_CHECKING:
    from sgdprobe.tracking.address import *
    from sgdprobe.tracking.artifacts import *
    from sgdprobe.tracking.bands import *
    from sgdprobe.tracking.consistency import *
    from sgdprobe.tracking.creation import *
    from sgdprobe.tracking.database import *
    from sgdprobe.tracking.descriptions import *
    from sgdprobe.tracking.find import *
    from sgdprobe.tracking.liveness import *
    from sgdprobe.tracking.model import *
    from sgdprobe.tracking.own_runs import *
    from sgdprobe.tracking.queries import *
    from sgdprobe.tracking.readers import *
    from sgdprobe.tracking.recorder import *
    from sgdprobe.tracking.runs import *
    from sgdprobe.tracking.server import *
    from sgdprobe.tracking.store import *
    from sgdprobe.tracking.view import *

# Searched in this order; those before `creation` do without MLflow.
MODULES = (
    *("runs", "address", "server", "database", "store", "queries", "readers", "liveness"),
    *("consistency", "find", "artifacts", "creation", "recorder", "model", "own_runs"),
    *("descriptions", "view", "bands"),
)

# MLflow reads these when it is imported, which the modules do.
# It reports its use to its makers unless told not to; a training run has no business online.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# It would print two lines for each run that a server holds, in between ours.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault(RETRIES, RETRIES_AT_FIRST)
# It would wait for a server that hangs for a quarter of an hour.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
# A write that has returned is recorded: a store that breaks is noticed.
os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"

if not TYPE_CHECKING:  # mypy would accept any name

    def __getattr__(name: str) -> Any:
        for module in () if name.startswith("_") else MODULES:
            loaded = _load(module)
            if name in loaded.__all__:
                globals()[name] = getattr(loaded, name)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _load(module: str) -> Any:
    """Import a module of this package, and what it needs, without a search for garbage.

    What is imported stays. To look for garbage in it, now and ever again, takes a tenth of a
    command's time, and once more when the command ends, a second.
    """
    gc.disable()
    try:
        return import_module(f"{__name__}.{module}")
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 10, 100)
        gc.enable()


atexit.register(gc.freeze)
