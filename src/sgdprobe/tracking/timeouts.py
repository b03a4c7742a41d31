"""Waiting times in seconds. The environment can shorten each, as tests of broken stores do."""

import os


def _seconds(name: str, default: float) -> float:
    return float(os.environ.get(f"SGDPROBE_{name}", default))


# For how long another process may keep a sqlite store locked.
LOCK_TIMEOUT_S = _seconds("LOCK_TIMEOUT_S", 30)
# For how long MLflow itself waits for one, in each session that it opens.
MLFLOW_DEFAULT_S = 20
MLFLOW_LOCK_TIMEOUT_S = _seconds("MLFLOW_LOCK_TIMEOUT_S", MLFLOW_DEFAULT_S)
# A failed write that took longer waited in vain; a write takes milliseconds.
GIVE_UP_AFTER_S = _seconds("GIVE_UP_AFTER_S", 5)
# MLflow asks a server that is down again after 0, 4, 8, 16 … s: by default for four minutes.
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
RETRIES_AT_FIRST = "3"  # 12 s, for one that was never there
RETRIES_LATER = "5"  # 60 s, for one that has answered: it may restart
# Between two checkpoints: what a crash can cost. Shorter runs leave no file.
CHECKPOINT_INTERVAL_S = _seconds("CHECKPOINT_INTERVAL_S", 20)
# Between two signs of life of a run; its lease, tracking.lease, is several of them.
HEARTBEAT_S = _seconds("HEARTBEAT_S", 30)


def wait_longer_for_servers() -> None:
    """Wait from now on until a server has restarted, unless the environment says how long."""
    if os.environ.get(RETRIES) == RETRIES_AT_FIRST:
        os.environ[RETRIES] = RETRIES_LATER
