"""Hashes of the source that computes the numbers: part of a run's key."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]

# The files whose change can change a run's numbers.
SOURCES = ("nn/*.py", "data/*.py", "run/build.py")


@cache
def source_files() -> dict[str, str]:
    """Return the SHA-256 of each file that computes the numbers, by its name in the package."""
    paths = sorted(path for pattern in SOURCES for path in PACKAGE.glob(pattern))
    return {
        path.relative_to(PACKAGE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


@cache
def source_hash() -> str:
    """Return the SHA-256 of all these files and their names."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in source_files().items())
    return hashlib.sha256(lines.encode()).hexdigest()
