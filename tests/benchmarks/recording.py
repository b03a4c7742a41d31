"""What share of a run is recording it? Seconds in each kind of write to MLflow.

python tests/benchmarks/recording.py --runs 5 --out DIR

Whole runs of 784-50-100-10 in this process, on one core, in a new store; all that a run asks of its
recorder is timed. What the process imports and what its first run opens is not counted.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from contestants.ours import RUN
from machine import last_core, pin_cpu_kernels
from problem import UPDATES
from rich.table import Table
from timings import Spread, console, ratios, write_csv, write_json

from sgdprobe.run.job import Job, run_job
from sgdprobe.tracking import RunRecorder, Store, open_experiment

WRITES = {
    "__enter__": "begin, with settings and data set",
    "provenance": "provenance",
    "tags": "tags",
    "epoch": "the metrics of all epochs",
    "arrays": "weights and losses",
    "json": "numbers",
    "__exit__": "end",
}

Write = Callable[..., Any]


class Stopwatch:
    """Seconds in each kind of write; one inside another is the outer one's."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.running = False
        for method in WRITES:
            setattr(RunRecorder, method, self._timed(method, getattr(RunRecorder, method)))

    def _timed(self, method: str, write: Write) -> Write:
        @wraps(write)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self.running:
                return write(*args, **kwargs)
            self.running = True
            started = time.perf_counter()
            try:
                return write(*args, **kwargs)
            finally:
                self.running = False
                self.spent[WRITES[method]] += time.perf_counter() - started

        return timed


def one_run(store: Store, seed: int, updates: int) -> float:
    """Seconds of a whole run."""
    training = replace(RUN.training, iterations=updates)
    outcome = run_job(Job(replace(RUN, seed=seed, training=training), "timed", f"{seed}"), store)
    if outcome.status != "FINISHED":
        raise SystemExit(outcome.failure)
    return outcome.seconds


def measured(runs: int, updates: int) -> list[dict[str, Any]]:
    """A row for each kind of write, their sum and the run: seconds and share of the run."""
    watch = Stopwatch()
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        store = open_experiment(f"sqlite:///{folder}/mlflow.db", "timed")
        one_run(store, 0, UPDATES)
        for seed in range(1, runs + 1):
            watch.spent.clear()
            seconds["the whole run"].append(one_run(store, seed, updates))
            seconds["all that is recorded"].append(sum(watch.spent.values()))
            for write, spent in watch.spent.items():
                seconds[write].append(spent)
    whole = seconds["the whole run"]
    return [
        {"what": what, "seconds": Spread.of(each), "share": ratios(each, whole), "n": runs}
        for what, each in seconds.items()
    ]


def table(rows: Sequence[dict[str, Any]]) -> Table:
    format_value = Table(title="A run of 784-50-100-10, batch 100, float32, and recording it")
    for heading in ("", "ms (least–greatest)", "% of the run"):
        format_value.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in sorted(rows, key=lambda row: -row["seconds"].median):
        format_value.add_row(row["what"], row["seconds"].text(0, 1000), row["share"].text(2, 100))
    return format_value


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="runs that are timed")
    parser.add_argument("--updates", type=int, default=10_000, help="updates a run")
    parser.add_argument("--core", type=int, default=last_core(), help="the core to run on")
    parser.add_argument("--out", type=Path, help="a folder for recording.csv and recording.json")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    pin_cpu_kernels(chosen.core)
    rows = measured(chosen.runs, chosen.updates)
    console().print(table(rows))
    if chosen.out:
        write_csv(chosen.out / "recording.csv", rows)
        write_json(chosen.out / "recording.json", {"runs": chosen.runs, "updates": chosen.updates})
    return 0


if __name__ == "__main__":
    sys.exit(main())
