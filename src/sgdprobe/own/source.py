"""Places in a user's source: the line to look at."""

import inspect
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """A line of a file, and its text."""

    file: str
    line: int
    code: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}".rstrip(": ")


def place_of(thing: Any, *patterns: str) -> Place | None:
    """Return the last line of a function or class that matches the first pattern that any matches.

    Its first line where none matches; None where the source cannot be read.
    """
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(thing))
        file = inspect.getsourcefile(thing) or ""
    except (OSError, TypeError):
        return None
    start = next((i for i, line in enumerate(lines) if re.match(r"\s*(def|class)\b", line)), 0)
    chosen = start
    for pattern in patterns:
        found = [i for i, line in enumerate(lines) if i > start and re.search(pattern, line)]
        if found:
            chosen = found[-1]
            break
    return Place(_short(file), first + chosen, lines[chosen].strip())


def place_of_parameter(method: Any, name: str) -> Place | None:
    """Return the line that sets this parameter's gradient, else one that names it."""
    word = rf"""['"]{re.escape(name)}['"]"""
    return place_of(
        method, rf"\[{word}\]\s*[-+*/]?=(?!=)", rf"{word}\s*:", rf"\bd{name}\b\s*=", word
    )


def place_of_function(module: Any, word: str, *otherwise: Any, line: str = "") -> Place | None:
    """Return the function of the user's file whose name has this word, else the first of others.

    line : a pattern of the line that is meant; by default the one that sums or takes a logarithm.
    """
    patterns = (*filter(None, [line]), r"\bsum\(|\blog\(", r"\breturn\b")
    for name, thing in vars(module).items():
        is_own = inspect.isfunction(thing) and thing.__module__ == module.__name__
        if is_own and word in name.lower():
            return place_of(thing, *patterns)
    return next(filter(None, map(place_of, otherwise)), None)


def place_of_error(error: BaseException, file: Path) -> Place | None:
    """Return the deepest line of the user's file, or of its folder, that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    for folder_too in (False, True):
        for frame in reversed(frames):
            path = Path(frame.filename)
            if path == file or (folder_too and path.parent == file.parent):
                return Place(_short(frame.filename), frame.lineno or 0, frame.line or "")
    return None


def _short(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def methods_of(kind: type, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the methods of these names that a class lacks."""
    yield from (name for name in names if not callable(getattr(kind, name, None)))
