"""Time and memory of commands, and of MLflow's page, in a store of many runs.

python tests/benchmarks/large_store.py --runs 20000 --out DIR
python tests/benchmarks/large_store.py --runs 100000 --store postgresql --out DIR
python tests/benchmarks/large_store.py --runs 5000 --store server --out DIR

A sweep of 8 runs is made; then its rows are copied in the database, with new ids, keys and times,
until there are so many runs, in sweeps of 36. Artifacts are not copied: all copies share the folder
of their original. Whole processes, one at a time, in turn; seconds are those of a clock, and those
of the processor, which other work on the machine changes less. MLflow's page is the answer of
`mlflow server` to the questions that it asks: the newest 100 runs, and the best 100.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from machine import ROOT
from mlflow import MlflowClient
from rich.table import Table
from scaling import write_few_images
from sqlalchemy import create_engine, inspect, text
from timings import Spread, console, write_csv
from whole_command import ENVIRONMENT

sys.path.insert(0, str(ROOT / "tests"))

from support import Postgres, Server, free_port

MADE = 8
COPIES = "20250101-000005-aaaa"  # one of the copied sweeps
LENGTH = ("training.iterations=60", "dtype=float32")  # of 600 images: 10 epochs
PER_RUN = ("tags", "params", "latest_metrics", "metrics")  # tables of MLflow with a run's rows

# names and statements of the indexes of these tables that are no part of a primary key
SQLITE_INDEXES = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
    "AND tbl_name IN ('runs', 'tags', 'params', 'latest_metrics', 'metrics')"
)
POSTGRESQL_INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE indexdef NOT LIKE 'CREATE UNIQUE%' "
    "AND tablename IN ('runs', 'tags', 'params', 'latest_metrics', 'metrics')"
)


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


def fill(uri: str, runs: int, history: bool) -> None:
    """Copy the rows of the originals until there are so many runs.

    Ids are random, as MLflow's are, but rows go in by the order of the primary keys, and other
    indexes are made again at the end: a million runs take minutes, not hours.

    history : also the metrics of each epoch, which most questions never read.
    """
    engine = create_engine(uri, isolation_level="AUTOCOMMIT")
    is_sqlite = engine.dialect.name == "sqlite"
    new_id = "lower(hex(randomblob(16)))" if is_sqlite else "md5(random()::text || n)"
    tables = ("runs", *(PER_RUN if history else PER_RUN[:-1]))
    with engine.connect() as connection:

        def execute(statement: str, **values: str) -> Any:
            return connection.execute(text(statement), values)

        if is_sqlite:  # a fill that is killed leaves nothing that anybody wants
            execute("PRAGMA journal_mode = OFF")
            execute("PRAGMA synchronous = OFF")
            execute("PRAGMA cache_size = -2000000")  # kB
        columns = {
            name: [column["name"] for column in inspect(connection).get_columns(name)]
            for name in tables
        }
        indexes = execute(SQLITE_INDEXES if is_sqlite else POSTGRESQL_INDEXES).all()
        for name, _ in indexes:
            execute(f"DROP INDEX {name}")
        last = runs - MADE - 1
        numbers = f"SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < {last}"  # noqa: S608
        originals = "SELECT run_uuid, row_number() OVER (ORDER BY start_time) - 1 AS k FROM runs"
        execute(
            "CREATE TABLE copies (new varchar(32) PRIMARY KEY, original varchar(32), n integer)"
        )
        execute(
            f"INSERT INTO copies WITH RECURSIVE c(n) AS ({numbers}) "  # noqa: S608
            f"SELECT id, run_uuid, n FROM (SELECT {new_id} AS id, n FROM c) AS ids "
            f"JOIN ({originals}) AS o ON o.k = n % {MADE} ORDER BY id"
        )
        changed = {"run_uuid": "new", "start_time": "start_time + n", "end_time": "end_time + n"}
        for name in tables:
            if name == "tags":  # a run's key is its own: no copy is a result of the plan
                changed["value"] = (
                    "CASE WHEN key IN ('key', 'program') THEN new "
                    "WHEN key = 'sweep' THEN '20250101-' || "
                    "substr(CAST(1000000 + n / 36 AS varchar), 2) || '-aaaa' ELSE value END"
                )
            elif name != "runs":
                changed.pop("value", None)
            values = ", ".join(changed.get(column, column) for column in columns[name])
            insert = (
                f"INSERT INTO {name} ({', '.join(columns[name])}) SELECT {values} "  # noqa: S608
                f"FROM copies JOIN {name} ON original = run_uuid"
            )
            if name == "runs":
                execute(f"{insert} ORDER BY new")
                continue
            for (key,) in execute(f"SELECT DISTINCT key FROM {name} ORDER BY key").all():  # noqa: S608
                execute(f"{insert} AND key = :key ORDER BY new", key=key)
        execute("DROP TABLE copies")
        for _, statement in indexes:
            execute(statement)
        execute("ANALYZE")


def size(uri: str) -> int:
    """Return the size of a database in bytes."""
    if uri.startswith("sqlite"):
        return Path(uri.removeprefix("sqlite:///")).stat().st_size
    with create_engine(uri).connect() as connection:
        return int(connection.execute(text("SELECT pg_database_size('postgres')")).scalar_one())


def measure(
    words: Sequence[str], project: Path, codes: Sequence[int], uri: str
) -> tuple[float, float, float]:
    """Seconds, of them on a processor, and peak memory in MB of a command's largest process."""
    code = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr); "
        "sys.exit(code)"
    )
    started = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *words], cwd=project,
        env=ENVIRONMENT | {"MLFLOW_TRACKING_URI": uri},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if answer.returncode not in codes:
        raise SystemExit(f"{words} ended with {answer.returncode}: {answer.stdout}{answer.stderr}")
    on_processor, memory = map(float, answer.stderr.splitlines()[-1].split())
    return seconds, on_processor, memory / 1024


PAGES = {"the newest 100": "attributes.start_time DESC", "the best 100": "metrics.`loss` ASC"}


def measure_page(project: Path, uri: str, turns: int) -> dict[str, list[tuple[float, ...]]]:
    """Seconds of `mlflow server` to answer for each of PAGES; the first time is left out."""
    server = Server(project, free_port(), dict(ENVIRONMENT), store=uri)
    server.start()
    found: dict[str, list[tuple[float, ...]]] = {}
    try:
        experiment = MlflowClient(server.uri).get_experiment_by_name("many")
        assert experiment is not None
        for name, order in PAGES.items():
            question = {"experiment_ids": [experiment.experiment_id], "max_results": 100}
            body = json.dumps(question | {"order_by": [order]}).encode()
            seconds = []
            for _ in range(turns + 1):
                started = time.perf_counter()
                address = f"{server.uri}/ajax-api/2.0/mlflow/runs/search"
                asked = Request(address, body, {"Content-Type": "application/json"})  # noqa: S310
                with urlopen(asked, timeout=600) as answer:  # noqa: S310
                    assert len(json.load(answer)["runs"]) == 100
                seconds.append(time.perf_counter() - started)
            found[f"MLflow's page: {name}"] = [(each, nan, nan) for each in seconds[1:]]
    finally:
        server.kill()
    return found


def commands(sweep: Sequence[str], uri: str) -> dict[str, tuple[list[str], tuple[int, ...]]]:
    """By what they do: words of a command, and exit codes that are no failure.

    A copy's key is not that of its settings, so its rerun says DIFFERENT.
    """
    plan = [*sweep, "seed=range(100,136)", "sweep.dry_run=true"]
    return {
        "train.py --help": (["src/train.py", "--help"], (0,)),
        "plan of 36 runs": (plan, (0,)),
        "report.py SWEEP": (["src/report.py", COPIES, "--uri", uri], (0,)),
        "rerun.py last": (["src/rerun.py", "last", "--uri", uri], (0, 1)),
        "explain.py --no-run": (
            ["src/explain.py", "notes", "book", "--fix=dtype=float32", "--seeds=2", "--no-run"],
            (0, 1, 2),
        ),
        "a run alone": (["src/train.py", *sweep[2:], "seed=77", "sweep.resume=false"], (0,)),
        "rerun.py --sweep last --sample 1": (
            ["src/rerun.py", "--sweep", COPIES, "--sample", "1", "--uri", uri],
            (0, 1),
        ),
    }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--store", choices=("sqlite", "postgresql", "server"), default="sqlite")
    parser.add_argument("--no-history", action="store_true", help="without metrics of each epoch")
    parser.add_argument("--out", type=Path, help="folder of the table")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for part in ("src", "conf"):
            shutil.copytree(ROOT / part, project / part)
        uri = inner = f"sqlite:///{project}/mlflow.db"
        behind = given.store == "server"
        server = Server(project, free_port(), dict(ENVIRONMENT)) if behind else None
        postgres = Postgres() if given.store == "postgresql" else None
        try:
            if server:
                server.start()
                uri = server.uri
            if postgres:
                postgres.create()
                uri = inner = postgres.uri
            sweep = make_runs(project, uri)
            fill(inner, given.runs, not given.no_history)
            console().print(f"{size(inner) / 2**20:.0f} MB")
            found = {name: [] for name in commands(sweep, uri)}  # type: ignore[var-annotated]
            for _ in range(given.turns):
                for name, (words, codes) in commands(sweep, uri).items():
                    found[name].append(measure(words, project, codes, uri))
            found |= measure_page(project, inner, given.turns)
        finally:
            if server:
                server.kill()
            if postgres:
                postgres.remove()
    _report(found, given)


def _report(found: Mapping[str, Sequence[tuple[float, ...]]], given: argparse.Namespace) -> None:
    kind = given.store
    table = Table("command", "seconds", "of them on a processor", "MB")
    rows = []
    for name, pairs in found.items():
        seconds, used, memory = (Spread.of(values) for values in zip(*pairs, strict=True))
        table.add_row(name, seconds.text(2), used.text(2), memory.text(0))
        rows.append(
            {"store": kind, "runs": given.runs, "command": name, "turns": given.turns}
            | {"seconds": seconds, "on_processor": used, "mb": memory}
        )
    console().print(f"{given.runs:,} runs, {kind}", table)
    if given.out:
        part = "" if given.no_history else "_with_epochs"
        write_csv(given.out / f"large_store_{kind}_{given.runs}{part}.csv", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
