"""How long does sgdprobe take for an epoch, beside its peers and beside bare matrix products?

python tests/benchmarks/bench.py --turns 15 --out DIR

Everyone solves the same problem (problem.py) on the same core with one thread, each in a process
of its own. They take turns, A B C …, A B C …, a turn is one epoch of updates and one evaluation,
and ratios are taken within a turn: what else the machine does hits all alike.

sgdprobe leaves out of each batch the pixels that are 0 in all its images, which changes rounding
only. For a comparison at equal work it takes part a second time, and leaves out none.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contestant_process import ContestantProcess, Turn
from contestants import CONTESTANTS, PROCESSES
from machine import last_core
from problem import UPDATES
from rich.table import Table
from timings import Spread, console, ratios, write_csv, write_json

REFERENCE = "ours"


@dataclass
class Record:
    """What became of a contestant: its first epoch, warm-up and compiling included, and turns."""

    name: str
    first: Turn | None = None
    turns: list[Turn] = field(default_factory=list)
    failure: str | None = None

    def add(self, answer: Turn | str) -> None:
        if isinstance(answer, str):
            self.failure = answer
        elif self.first is None:
            self.first = answer
        else:
            self.turns.append(answer)


def race(names: Sequence[str], turns: int, updates: int, core: int | None) -> dict[str, Record]:
    """All turns of all contestants; a contestant that can't go on drops out."""
    records = {name: Record(name) for name in names}
    with ExitStack() as stack:
        cache = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes: dict[str, ContestantProcess] = {}
        for group in PROCESSES:
            members = [name for name in group if name in names]
            if members:
                process = ContestantProcess(members, core, cache)
                processes |= dict.fromkeys(members, stack.enter_context(closing(process)))
        for turn in range(turns + 1):  # the first is the warm-up; the second starts anew
            for name, record in records.items():
                if record.failure is None:
                    record.add(processes[name].turn(name, updates, fresh=turn <= 1))
    return records


def columns(name: str) -> dict[str, Any]:
    """Who it is."""
    return {"contestant": name, "label": CONTESTANTS[name].label}


def summary(records: dict[str, Record]) -> list[dict[str, Any]]:
    """A row for each contestant that finished."""
    rows = []
    reference = records.get(REFERENCE)
    for record in records.values():
        if record.failure is not None or record.first is None:
            continue
        epochs = [turn.epoch for turn in record.turns]
        row: dict[str, Any] = {
            **columns(record.name),
            "update_seconds": Spread.of([t.updating / t.updates for t in record.turns]),
            "evaluation_seconds": Spread.of([turn.evaluating for turn in record.turns]),
            "epoch_seconds": Spread.of(epochs),
            "first_epoch_more": record.first.epoch - Spread.of(epochs).median,
            "epochs": len(epochs),
            "train_accuracy": record.turns[-1].train_accuracy,
            "test_accuracy": record.turns[-1].test_accuracy,
        }
        if reference and not reference.failure:
            row["epoch_ratio"] = ratios(epochs, [turn.epoch for turn in reference.turns])
        rows.append(row)
    return sorted(rows, key=lambda row: row["epoch_seconds"].median)


def table(rows: Sequence[dict[str, Any]], turns: int) -> Table:
    """Medians; the ratio with least and greatest."""
    format_value = Table(
        title=f"One epoch on one core, median of {turns}; test accuracy after the last"
    )
    format_value.add_column("", no_wrap=True)
    for heading in (
        "update ms",
        "evaluate s",
        "epoch s",
        "× sgdprobe",
        "compile s",
        "accuracy",
    ):
        format_value.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        accuracy = row["test_accuracy"]
        format_value.add_row(
            row["label"],
            f"{1000 * row['update_seconds'].median:.3f}",
            f"{row['evaluation_seconds'].median:.3f}",
            f"{row['epoch_seconds'].median:.3f}",
            row["epoch_ratio"].text(2) if "epoch_ratio" in row else "",
            f"{max(row['first_epoch_more'], 0):.1f}",
            "" if accuracy is None else f"{100 * accuracy:.2f} %",
        )
    return format_value


def save(folder: Path, records: dict[str, Record], rows: Sequence[dict[str, Any]]) -> None:
    """bench.csv has every turn, bench.json the summary and the machine."""
    turns = [
        {
            **columns(record.name),
            "turn": number,
            "updates": turn.updates,
            "updating_seconds": turn.updating,
            "evaluating_seconds": turn.evaluating,
            "epoch_seconds": turn.epoch,
            "train_accuracy": turn.train_accuracy,
            "test_accuracy": turn.test_accuracy,
        }
        for record in records.values()
        for number, turn in enumerate(record.turns, start=1)
    ]
    write_csv(folder / "bench.csv", turns)
    missing = {record.name: record.failure for record in records.values() if record.failure}
    write_json(folder / "bench.json", {"contestants": rows, "missing": missing})


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=15, help="epochs timed for each")
    parser.add_argument("--updates", type=int, default=UPDATES, help="updates an epoch")
    parser.add_argument("--quick", action="store_true", help="2 turns of 60 updates: does it work?")
    parser.add_argument("--only", action="append", choices=CONTESTANTS, help="may be repeated")
    parser.add_argument("--core", type=int, default=last_core(), help="the core to run on")
    parser.add_argument("--out", type=Path, help="a folder for bench.csv and bench.json")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    turns, updates = (2, 60) if chosen.quick else (chosen.turns, chosen.updates)
    say = console().print
    records = race(chosen.only or list(CONTESTANTS), turns, updates, chosen.core)
    rows = summary(records)
    if rows:
        say(table(rows, turns))
    for record in records.values():
        if record.failure:
            say(f"{CONTESTANTS[record.name].label}: {record.failure}", soft_wrap=True)
    if chosen.out and rows:
        save(chosen.out, records, rows)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
