"""Where a run's numbers come from: the source, its commit, the command."""

import hashlib
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]

# The files whose change can change a run's numbers.
SOURCES = ("nn/*.py", "data/*.py", "assembly.py")


@cache
def source_hash() -> str:
    """SHA-256 of the source that computes the numbers, names included."""
    sha = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in PACKAGE.glob(pattern)):
        sha.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode())
        sha.update(path.read_bytes())
    return sha.hexdigest()


@cache
def provenance_tags() -> dict[str, str]:
    """Commit, whether the tree was dirty, and the command line, as MLflow tags."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    tags = {
        "mlflow.source.name": shlex.join(["python", *sys.argv]),
        "mlflow.source.type": "LOCAL",
        "git_dirty": "unknown" if changes is None else str(bool(changes)).lower(),
    }
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})


def _git(*arguments: str) -> str | None:
    """What git says about the project, or None where there is no git or no repository."""
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(PACKAGE), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
