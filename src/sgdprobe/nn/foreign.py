"""Functions and classes in a user's own file, named in a setting: FILE.py:NAME, MODULE:NAME."""

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

# A file is looked for in the working directory, then at the root of the clone; a module there, too,
# and then among all that Python can import.
ROOT_OF_CLONE = Path(__file__).resolve().parents[3]

PATTERN = re.compile(r"(?P<place>[^:]+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")


class ForeignError(ValueError):
    """A file of the user's, or what is named in it, cannot be used; the message is one line."""


def is_foreign(name: str) -> bool:
    """Return True for FILE.py:NAME and MODULE:NAME."""
    return PATTERN.fullmatch(name) is not None


def load_foreign(name: str) -> Any:
    """Return what FILE.py:NAME or MODULE:NAME is, executing each version of the file once.

    Raises ForeignError if there is no such file or name, or if the file cannot be executed.
    """
    place, word = _parts(name)
    module = _module(place)
    if not hasattr(module, word):
        raise ForeignError(f"{place} has no {word}")
    return getattr(module, word)


def has_foreign(name: str) -> bool:
    """Return whether there is such a name in the file. Raises ForeignError without the file."""
    place, word = _parts(name)
    return hasattr(_module(place), word)


def foreign_file(name: str) -> Path:
    """Return the file of FILE.py:NAME or MODULE:NAME. Raises ForeignError."""
    place, _ = _parts(name)
    return _find(place) or _file_of_module(place)


def foreign_hash(name: str) -> str:
    """Return the SHA-256 of the file of FILE.py:NAME or MODULE:NAME. Raises ForeignError."""
    return sha256(foreign_file(name).read_bytes()).hexdigest()


def foreign_source(name: str) -> str:
    """Return the text of that file. Raises ForeignError."""
    return foreign_file(name).read_text(encoding="utf-8")


def _parts(name: str) -> tuple[str, str]:
    found = PATTERN.fullmatch(name)
    if found is None:
        raise ForeignError(f"{name} is not FILE.py:NAME or MODULE:NAME")
    return found["place"], found["name"]


def _module(place: str) -> ModuleType:
    file = _find(place)
    if file is not None:
        return _execute(file, sha256(file.read_bytes()).hexdigest())
    with _errors_of(_file_of_module(place)):
        return importlib.import_module(place)


def _find(place: str) -> Path | None:
    """Return the file that is meant; None for a module elsewhere. Raises ForeignError."""
    file = place if place.endswith(".py") else f"{place.replace('.', '/')}.py"
    for folder in (Path.cwd(), ROOT_OF_CLONE):
        if (folder / file).is_file():
            return (folder / file).resolve()
    if place.endswith(".py"):
        raise ForeignError(f"there is no file {file} in {Path.cwd()}")
    return None


def _file_of_module(place: str) -> Path:
    try:
        spec = importlib.util.find_spec(place)
    except Exception:  # a parent package that cannot be imported raises anything
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise ForeignError(
            f"there is no {place.replace('.', '/')}.py in {Path.cwd()}, "
            f"and no module {place} in Python to import"
        )
    return Path(spec.origin)


@cache
def _execute(file: Path, digest: str) -> ModuleType:
    """Execute this version of a file, which may import its neighbours, as a module of its own."""
    name = f"sgdprobe_foreign_{file.stem}_{digest[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and inspect look for it there
    with _errors_of(file), _importing_from(file.parent):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ForeignError(f"{file} cannot be executed: {text}") from error


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let a file import its neighbours, as a script can."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before
