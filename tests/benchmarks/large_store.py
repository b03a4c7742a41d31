"""Time and memory of commands in a store of many runs.

python tests/benchmarks/large_store.py --runs 20000 --out DIR
python tests/benchmarks/large_store.py --runs 5000 --server --out DIR

A sweep of 8 runs is made; then its rows are copied in the database, with new ids, keys and times,
until there are so many runs of one sweep. Artifacts are not copied: all copies share the folder of
their original. Whole processes, one at a time, in turn.
"""

import argparse
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from machine import ROOT
from rich.table import Table
from scaling import write_few_images
from timings import Spread, console, write_csv
from whole_command import ENVIRONMENT

sys.path.insert(0, str(ROOT / "tests"))

from support import Server, free_port

MADE = 8
LENGTH = ("training.iterations=60", "dtype=float32")  # of 600 images: 10 epochs
PER_RUN = ("tags", "params", "latest_metrics", "metrics")  # tables of MLflow with a run's rows


def make_runs(project: Path, uri: str) -> list[str]:
    """Make the originals; the words of the sweep."""
    images = project / "images"
    images.mkdir()
    write_few_images(images)
    words = ["src/train.py", "-m", "notes", f"data.root={images}", *LENGTH]
    words += [f"tracking.uri={uri}", "tracking.experiment=many"]
    subprocess.run(
        [sys.executable, *words, f"seed=range(0,{MADE})"], cwd=project, check=True,
        env=ENVIRONMENT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return words


def fill(database: Path, runs: int) -> None:
    """Copy the rows of the originals until there are so many runs."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.row_factory = sqlite3.Row
        originals = list(connection.execute("SELECT * FROM runs ORDER BY start_time"))
        rows = {
            table: {
                run["run_uuid"]: list(
                    connection.execute(
                        f"SELECT * FROM {table} WHERE run_uuid = ?",  # noqa: S608 - our own names
                        [run["run_uuid"]],
                    )
                )
                for run in originals
            }
            for table in PER_RUN
        }
        for number in range(runs - len(originals)):
            original = originals[number % len(originals)]
            new = secrets.token_hex(16)
            moved = {"run_uuid": new, "start_time": original["start_time"] + number}
            _insert(connection, "runs", [dict(original) | moved])
            for table, by_run in rows.items():
                copies = [dict(row) | {"run_uuid": new} for row in by_run[original["run_uuid"]]]
                for row in copies:
                    if row["key"] == "key":  # the run's own: no copy is a result of the plan
                        row["value"] = new
                _insert(connection, table, copies)


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        names = list(rows[0])
        marks = ", ".join(f":{name}" for name in names)
        into = f"{table} ({', '.join(names)})"
        connection.executemany(f"INSERT INTO {into} VALUES ({marks})", rows)  # noqa: S608


def measure(words: Sequence[str], project: Path, codes: Sequence[int]) -> tuple[float, float]:
    """Seconds and peak memory in MB of a command; the largest of its processes counts."""
    code = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); "
        "sys.exit(code)"
    )
    started = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *words], cwd=project, env=ENVIRONMENT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if answer.returncode not in codes:
        raise SystemExit(f"{words} ended with {answer.returncode}: {answer.stdout}{answer.stderr}")
    return seconds, int(answer.stderr.splitlines()[-1]) / 1024


def commands(sweep: Sequence[str], uri: str) -> dict[str, tuple[list[str], tuple[int, ...]]]:
    """By what they do: words of a command, and exit codes that are no failure.

    A copy's key is not that of its settings, so its rerun says DIFFERENT.
    """
    plan = [*sweep, "seed=range(100,136)", "sweep.dry_run=true"]
    return {
        "train.py --help": (["src/train.py", "--help"], (0,)),
        "plan of 36 runs": (plan, (0,)),
        "a run alone": (["src/train.py", *sweep[2:], "seed=77", "sweep.resume=false"], (0,)),
        "rerun.py --sweep last --sample 1": (
            ["src/rerun.py", "--sweep", "last", "--sample", "1", "--uri", uri],
            (0, 1),
        ),
    }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--server", action="store_true", help="through `mlflow server`")
    parser.add_argument("--out", type=Path, help="folder of the table")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for part in ("src", "conf"):
            shutil.copytree(ROOT / part, project / part)
        database = project / "mlflow.db"
        uri = f"sqlite:///{database}"
        server = Server(project, free_port(), dict(ENVIRONMENT)) if given.server else None
        try:
            if server:
                server.start()
                uri = server.uri
            sweep = make_runs(project, uri)
            fill(database, given.runs)
            found = {name: [] for name in commands(sweep, uri)}  # type: ignore[var-annotated]
            for _ in range(given.turns):
                for name, (words, codes) in commands(sweep, uri).items():
                    found[name].append(measure(words, project, codes))
        finally:
            if server:
                server.kill()
    _report(found, given)


def _report(found: Mapping[str, Sequence[tuple[float, float]]], given: argparse.Namespace) -> None:
    kind = "server" if given.server else "sqlite"
    table = Table("command", "seconds", "MB")
    rows = []
    for name, pairs in found.items():
        seconds, memory = (Spread.of(values) for values in zip(*pairs, strict=True))
        table.add_row(name, seconds.text(2), memory.text(0))
        rows.append(
            {"store": kind, "runs": given.runs, "command": name, "turns": given.turns}
            | {"seconds": seconds, "mb": memory}
        )
    console().print(f"{given.runs:,} runs, {kind}", table)
    if given.out:
        write_csv(given.out / f"large_store_{kind}.csv", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
