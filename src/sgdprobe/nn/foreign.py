"""Functions from a user's own file, named in a setting as FILE.py:NAME."""

import importlib.util
import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

# A relative FILE.py is looked for in the working directory, then at the root of the clone.
ROOT_OF_CLONE = Path(__file__).resolve().parents[3]

PATTERN = re.compile(r"(?P<file>[^:]+\.py):(?P<name>[A-Za-z_]\w*)")


class ForeignError(ValueError):
    """A file of the user's, or the function in it, cannot be used."""


def is_foreign(name: str) -> bool:
    """Return True for FILE.py:NAME."""
    return PATTERN.fullmatch(name) is not None


def load_foreign(name: str) -> Any:
    """Return what FILE.py:NAME is, executing the file once in each process.

    Raises ForeignError if there is no such file or name, or if the file cannot be executed.
    """
    found = PATTERN.fullmatch(name)
    assert found is not None, name
    module = _execute(_find(found["file"]))
    if not hasattr(module, found["name"]):
        raise ForeignError(f"{found['file']} has no {found['name']}")
    return getattr(module, found["name"])


def foreign_hash(name: str) -> str:
    """Return the SHA-256 of the file of FILE.py:NAME. Raises ForeignError."""
    return sha256(_find(name.rpartition(":")[0]).read_bytes()).hexdigest()


def _find(file: str) -> Path:
    for folder in (Path.cwd(), ROOT_OF_CLONE):
        if (folder / file).is_file():
            return (folder / file).resolve()
    raise ForeignError(f"there is no file {file} in {Path.cwd()}")


@cache
def _execute(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"sgdprobe_foreign_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ForeignError(f"{file} cannot be executed: {type(error).__name__}: {error}") from error
    return module
