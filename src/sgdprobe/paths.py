"""Paths of the project, and the one rule for those that a person types.

A relative path starts in the working directory; it is made absolute where it is read.
"""

import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote

from sgdprobe.errors import UserError

PACKAGE = Path(__file__).resolve().parent
_ROOT = PACKAGE.parents[1]
# The clone that this package is in; None where it was installed from a wheel.
CLONE = _ROOT if all((_ROOT / p).is_file() for p in ("src/train.py", "conf/config.yaml")) else None
# Runs are kept in the clone or, as MLflow does by itself, in the working directory.
PROJECT_ROOT = CLONE or Path.cwd()
CONF = (CLONE or PACKAGE) / "conf"  # in the package, conf is a link that a wheel replaces by files
OWN_CONF = PROJECT_ROOT / "conf"  # a person's own recipes; in a clone the same directory
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
    return REPORTS / folder_name(name)


def folder_name(text: str) -> str:
    """Return a name for a folder: no path, nothing hidden, of a length that disks accept."""
    quoted = quote(text, safe="")
    if quoted.startswith(".") or len(quoted) > MAX_NAME:
        quoted = f"{quoted.strip('.')[:MAX_NAME]}-{sha256(text.encode()).hexdigest()[:8]}"
    return quoted


def absolute_path(path: str) -> str:
    """Return a path that is the same from every working directory."""
    return str(Path(path).absolute())


def absolute_uri(uri: str) -> str:
    """Return the address of a store that is the same from every working directory.

    Raises ValueError for what is no address, and for a database that is not in a file.
    """
    if not re.fullmatch(r"[a-z][\w+.-]*(://.*)?", uri):
        raise ValueError(uri)
    scheme, _, rest = uri.partition("://")
    if scheme.partition("+")[0] != "sqlite":
        return uri
    database, mark, query = rest.partition("?")
    file = unquote(database)
    if not re.match(r"/(?!:memory:|file:).", file) or "mode=memory" in query:
        raise ValueError(uri)
    return sqlite_uri(Path(file[1:]).absolute(), scheme) + mark + query


def sqlite_uri(file: Path, scheme: str = "sqlite") -> str:
    """Return the address of a sqlite file, whatever its folders are called."""
    path = str(file).translate({ord(character): f"%{ord(character):02X}" for character in "%?#"})
    if path != str(file):  # MLflow makes the folder of sqlite:///, and takes it literally
        scheme = "sqlite+pysqlite"
    return f"{scheme}:///{path}"
