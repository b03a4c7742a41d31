"""Where a run's numbers come from: the source, its commit, what is not committed, the command."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parents[1]

# The files whose change can change a run's numbers.
SOURCES = ("nn/*.py", "data/*.py", "run/build.py")


@cache
def source_files() -> dict[str, str]:
    """SHA-256 of each file that computes the numbers, by its name inside the package."""
    paths = sorted(path for pattern in SOURCES for path in PACKAGE.glob(pattern))
    return {
        path.relative_to(PACKAGE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


@cache
def source_hash() -> str:
    """SHA-256 of the source that computes the numbers, names included."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in source_files().items())
    return hashlib.sha256(lines.encode()).hexdigest()
