"""Where the project keeps things."""

import re
from pathlib import Path

from sgdprobe.errors import UserError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
CONF = PROJECT_ROOT / "conf"
STORE = PROJECT_ROOT / "mlflow.db"  # and artifacts in mlruns/: MLflow's own default layout
REPORTS = PROJECT_ROOT / "mlruns" / "reports"
CHECKPOINTS = PROJECT_ROOT / "mlruns" / "checkpoints"


def study_folder(name: str) -> Path:
    """The folder of a study's report. Raises Refusal."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"--study must be a folder's name; got {name!r}")
    return PROJECT_ROOT / "experiments" / name
