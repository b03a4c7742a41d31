"""What do many timings say? A median with its range, ratios of neighbours in time."""

import csv
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from machine import description
from rich.console import Console


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of some values."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))

    def text(self, digits: int, factor: float = 1.0) -> str:
        """As in "0.352 (0.341–0.397)"; factor 1000 turns seconds into milliseconds."""
        mid, low, high = (
            f"{factor * value:,.{digits}f}" for value in (self.median, self.least, self.greatest)
        )
        return f"{mid} ({low}–{high})"


def console() -> Console:
    """Where tables go: 120 columns wide if that is a file, which has no width."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def alternate(works: Sequence[Callable[[], Any]], blocks: int) -> list[list[float]]:
    """Seconds of each work in each block, A B C …, A B C …, after one block of warming up."""
    seconds: list[list[float]] = [[] for _ in works]
    for block in range(blocks + 1):
        for work, values in zip(works, seconds, strict=True):
            started = time.perf_counter()
            work()
            if block > 0:
                values.append(time.perf_counter() - started)
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Pair by pair, what was timed one after the other: a slow moment hits both of a pair."""
    return Spread.of([a / b for a, b in zip(above, below, strict=True)])


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a row; the first row's keys are the columns, a Spread takes three."""
    flat = [_flat(row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Spread):
            pairs |= {f"{name}_{f.name}": getattr(value, f.name) for f in fields(Spread)}
        else:
            pairs[name] = value
    return pairs


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """The content, under the machine it was measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"machine": description(), **content}
    text = json.dumps(whole, indent=2, ensure_ascii=False, default=asdict)
    path.write_text(f"{text}\n")
