"""A fault that a check has found in a user's network."""

from dataclasses import dataclass

from sgdprobe.own.source import Place


@dataclass(frozen=True)
class Problem:
    """A fault in words.

    what : the fault, in a sentence. expected, found : in numbers or words. place : the line to look
    at, if it is known.
    """

    what: str
    expected: str
    found: str
    place: Place | None = None


class Note(str):
    """A remark on what is no fault."""

    __slots__ = ()
