"""Text of values, numbers, durations and lists, and the names of runs."""

import re
import shutil
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgdprobe.config.settings import Settings


def run_name(settings: "Settings", varied: Iterable[str]) -> str:
    """Return the varied settings in order and the seed: "lr=0.1 scale=1 [50,100] seed=3".

    What varies comes first, since MLflow cuts names at about 22 characters.
    """
    values = settings.flat()
    words = []
    for key in (key for key in varied if key in values):  # a varied group is not in them
        traits = settings.traits(key)
        if traits.affects_results and key != "seed":
            prefix = "" if traits.bare else f"{traits.label}="
            words.append(prefix + format_value(values[key]))
    return " ".join([*words, f"seed={settings.seed}"])


def format_value(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if isinstance(value, list | tuple):
        return f"[{','.join(format_value(item) for item in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.15g}" if float(f"{value:.15g}") == value else repr(value)
    return str(value)


def repr_value(value: Any) -> str:
    """Return a refused value: 1.0 and the text 1 must not look like an accepted 1."""
    if isinstance(value, list | tuple):
        return f"[{','.join(repr_value(item) for item in value)}]"
    if isinstance(value, float) or (isinstance(value, str) and not value.isidentifier()):
        return repr(value)
    return format_value(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean book?" for the nearest of the known words; empty if none is near."""
    near = get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def percent(share: float) -> str:
    """Return 0.7012 as "70.12 %"."""
    return f"{100 * share:.2f} %"


def duration(seconds: float) -> str:
    """Return seconds in a readable unit: 4.2 s, 12:34, 1:02:03, 13.6 days."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds >= 86400:
        return f"{seconds / 86400:.1f} days"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def terminal_columns() -> int:
    """Return how wide text is: as the terminal, and at most 80 characters."""
    return min(80, shutil.get_terminal_size().columns)


def fitted(text: str, columns: int) -> str:
    """Return text with its lines broken between words, so that no terminal breaks a word.

    Commands, paths and addresses stay in one piece, so that they can be copied. Fields that two
    spaces separate stay whole. Codes that move the cursor stay where they are.
    """
    return "\n".join(_fitted_line(line, columns) for line in text.split("\n"))


CURSOR = re.compile(r"(\r|\x1b\[[\d;?]*[A-Za-z])*")
COPIED = re.compile(r"^\s*((to compare|in MLflow|type): )?(python|sgdprobe|mlflow|cd|pip) ")
UNIT = re.compile(r"(?<=\d) (?=%|s\b|points?\b)")  # a number and its unit
INDENT = "  "


def _fitted_line(line: str, columns: int) -> str:
    codes = CURSOR.match(line)
    text = line[codes.end() :] if codes else line
    if len(text) <= columns or "\x1b" in text or "\r" in text or COPIED.match(text):
        return line
    indent = text[: len(text) - len(text.lstrip())]
    fields = re.split(r" {2,}", text.strip())
    gap, words = "  ", [part for field in fields for part in _parts(field, columns)]
    if len(fields) < 3:
        gap, words = " ", UNIT.sub("\0", text.strip()).split(" ")
    lines, current = [], ""
    for word in words:
        if current and len(indent) + len(current) + len(gap) + len(word) > columns:
            lines.append(indent + current)
            indent = indent if lines[1:] else indent + INDENT
            current = word
        else:
            current = f"{current}{gap}{word}" if current else word
    lines.append(indent + current)
    return line[: len(line) - len(text)] + "\n".join(lines).replace("\0", " ")


def _parts(field: str, columns: int) -> list[str]:
    return [field] if len(field) + len(INDENT) <= columns else field.split(" ")


def listing(words: Sequence[str]) -> str:
    """Return the words with commas and a last "and"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def counted(number: int, word: str) -> str:
    """Return a number and its noun: "1 run", "36 runs"."""
    plural = "es" if word.endswith("s") else "s"
    return f"{number} {word}{'' if number == 1 else plural}"
