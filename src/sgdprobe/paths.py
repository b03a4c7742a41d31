"""Paths of the project: configuration, store, reports, checkpoints."""

import re
from pathlib import Path

from sgdprobe.errors import UserError

_ROOT_OF_CODE = Path(__file__).resolve().parents[2]
# Installed without its clone, the package works in the working directory.
PROJECT_ROOT = _ROOT_OF_CODE if (_ROOT_OF_CODE / "conf").is_dir() else Path.cwd()
CONF = PROJECT_ROOT / "conf"
STORE = PROJECT_ROOT / "mlflow.db"  # and artifacts in mlruns/: MLflow's own default layout
REPORTS = PROJECT_ROOT / "mlruns" / "reports"
CHECKPOINTS = PROJECT_ROOT / "mlruns" / "checkpoints"


def study_folder(name: str) -> Path:
    """Return the folder of a study's report. Raises UserError."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"--study must be the name of a folder; got {name!r}")
    return PROJECT_ROOT / "experiments" / name
