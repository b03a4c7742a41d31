"""Hashes of the source that computes the numbers: part of a run's key."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]

# All files whose change can change a run's numbers: from a value on the command line to the
# metrics in the record.
SOURCES = ("config/*.py", "nn/*.py", "data/*.py", "run/*.py", "provenance/environment.py")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a text file, the same with the line ends of any system."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


@cache
def source_files() -> dict[str, str]:
    """Return the SHA-256 of each file that computes the numbers, by its name in the package.

    Names that begin with a dot are those of editors and of other systems, and no modules.
    """
    paths = sorted(path for pattern in SOURCES for path in PACKAGE.glob(pattern))
    return {
        path.relative_to(PACKAGE).as_posix(): file_hash(path)
        for path in paths
        if not path.name.startswith(".")
    }


def listing_hash(files: Mapping[str, str]) -> str:
    """Return the SHA-256 of all these files and their names, as `sha256sum` lists them."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in files.items())
    return hashlib.sha256(lines.encode()).hexdigest()


@cache
def source_hash() -> str:
    """Return the hash of all the source that computes the numbers."""
    return listing_hash(source_files())
