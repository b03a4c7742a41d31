"""MLflow's page as one process: `python -m sgdprobe.tracking.mlflow_ui PORT`.

It serves the store in MLFLOW_TRACKING_URI.
`mlflow ui` imports MLflow twice, one process after the other, before it answers; this is its second
process. It ends with its parent.
"""

import os
import sys
import threading
import time
import warnings

HOST = "127.0.0.1"
# As `mlflow ui` sets them for the process that it starts.
STORE, ARTIFACTS, SERVES = (
    f"_MLFLOW_SERVER_{name}" for name in ("FILE_STORE", "ARTIFACT_ROOT", "SERVE_ARTIFACTS")
)
END_S = 1  # for open requests


def main(port: str) -> None:
    """Serve a store until SIGTERM."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    # Its queue of jobs is for language models, and takes ten more processes.
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "_MLFLOW_SGI_NAME": "uvicorn"}
    uri = os.environ["MLFLOW_TRACKING_URI"]
    os.environ |= {STORE: uri, ARTIFACTS: "./mlruns", SERVES: "true"}
    warnings.simplefilter("ignore")
    import uvicorn
    from mlflow.server import constants

    if STORE != constants.BACKEND_STORE_URI_ENV_VAR:
        sys.exit("this version of MLflow is not known; `mlflow ui` serves the store, too")
    uvicorn.run(
        "mlflow.server.fastapi_app:app",
        host=HOST,
        port=int(port),
        log_level="warning",
        timeout_graceful_shutdown=END_S,
    )


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
