"""The question that a recipe asks, from the top of its file."""

from itertools import takewhile
from pathlib import Path

from sgdprobe.paths import CONF, OWN_CONF


def question_of(recipe: str) -> str:
    """Return the question at the top of a recipe's file, up to its last "?"; "" without one."""
    places = (conf / "experiment" / f"{recipe}.yaml" for conf in (OWN_CONF, CONF))
    file = next((place for place in places if place.is_file()), None)
    if Path(recipe).name != recipe or file is None:
        return ""
    comments = takewhile(lambda line: line[:1] == "#", file.read_text().splitlines())
    words = " ".join(line[2:] for line in comments if line[2:3] not in ("@", " "))
    return words[: words.rfind("?") + 1]
