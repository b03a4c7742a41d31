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
# Between two checkpoints: what a crash can cost. Shorter runs leave no file.
CHECKPOINT_INTERVAL_S = _seconds("CHECKPOINT_INTERVAL_S", 20)
# Between two signs of life of a run; its lease, tracking.lease, is several of them.
HEARTBEAT_S = _seconds("HEARTBEAT_S", 30)
