"""Paths of the project: configuration, store, reports, checkpoints."""

import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from sgdprobe.errors import UserError

_ROOT_OF_CODE = Path(__file__).resolve().parents[2]
# Installed without its clone, the package works in the working directory.
PROJECT_ROOT = _ROOT_OF_CODE if (_ROOT_OF_CODE / "conf").is_dir() else Path.cwd()
CONF = PROJECT_ROOT / "conf"
STORE = PROJECT_ROOT / "mlflow.db"  # and artifacts in mlruns/: MLflow's own default layout
REPORTS = PROJECT_ROOT / "mlruns" / "reports"
CHECKPOINTS = PROJECT_ROOT / "mlruns" / "checkpoints"


MAX_NAME = 60  # characters of a folder; a file system takes 255 bytes


def study_folder(name: str) -> Path:
    """Return the folder of a study's report. Raises UserError."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"--study must be the name of a folder; got {name!r}")
    if len(name) > MAX_NAME:
        raise UserError(
            f"--study must have at most {MAX_NAME} characters; got {len(name)}: {name[:20]}…"
        )
    return PROJECT_ROOT / "experiments" / name


def report_folder(name: str) -> Path:
    """Return the folder of the report of a sweep, an experiment or a run, whatever its name."""
    quoted = quote(name, safe="")
    if quoted.startswith(".") or len(quoted) > MAX_NAME:
        quoted = f"{quoted.strip('.')[:MAX_NAME]}-{sha256(name.encode()).hexdigest()[:8]}"
    return REPORTS / quoted
