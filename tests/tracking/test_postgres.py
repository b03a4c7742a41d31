"""PostgreSQL as the store of all commands, directly and behind `mlflow server`."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import Answer, Postgres, Process, Server, free_port

if TYPE_CHECKING:
    from mlflow.entities import Run

    Runs = Callable[[str], list[Run]]

pytest.importorskip("psycopg", reason="psycopg is not installed")
SWEEP = ("-m", "notes", "seed=0,1,2", "sweep.n_jobs=2")
EXPLAIN = (
    "notes",
    "book",
    "--fix=dtype=float32",
    "--factors=init.scale,network.hidden",
    "--seeds=2",
)


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    running = Postgres()
    if running.programs is None:
        pytest.skip("PostgreSQL is not installed")
    running.create()
    yield running
    running.remove()


@pytest.fixture(scope="module")
def server(
    database: Postgres, tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    running = Server(folder, free_port(), environment, store=database.uri)
    running.start()
    yield running
    running.kill()


def test_every_command_works_on_it_and_behind_a_server(
    database: Postgres,
    server: Server,
    project: Path,
    start: Callable[..., Process],
    runs: "Runs",
) -> None:
    def answer(uri: str, *words: str, script: str = "train") -> str:
        process = start(*words, script=f"src/{script}.py", MLFLOW_TRACKING_URI=uri)
        ended: Answer = process.answer()
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout

    both = [start(*SWEEP, MLFLOW_TRACKING_URI=server.uri) for _ in range(2)]
    assert [process.answer().returncode for process in both] == [0, 0]
    found = runs(server.uri)
    assert sorted(run.data.tags["seed"] for run in found) == ["0", "1", "2"], "each is made once"
    assert {run.info.artifact_uri.partition(":")[0] for run in found} == {"mlflow-artifacts"}
    assert "index.html" in answer(server.uri, script="report")
    # The same runs, from the database itself; then runs that a command records there.
    assert "3 runs: 3 done before, 0 to do" in answer(database.uri, *SWEEP, "sweep.dry_run=true")
    words = ("-m", "notes", "seed=0,1", "sweep.n_jobs=1", "tracking.experiment=direct")
    assert ": 2 done, 0 failed, 0 done before" in answer(database.uri, *words)
    assert ": 0 done, 0 failed, 2 done before" in answer(database.uri, *words)
    assert "IDENTICAL" in answer(database.uri, "last", script="rerun")
    study = project / "experiments" / "on-postgresql"
    assert "init.scale" in answer(database.uri, *EXPLAIN, f"--study={study.name}", script="explain")
    again = ("--no-run", "--force", f"--study={study.name}")
    assert "8 runs, 8 recorded" in answer(database.uri, *EXPLAIN, *again, script="explain")
    shutil.rmtree(study)  # other tests need a project without changes


def test_a_server_and_a_database_that_restart_are_waited_for(
    database: Postgres, server: Server, start: Callable[..., Process], runs: "Runs"
) -> None:
    process = start(
        *("-m", "notes", "seed=0,1", "training.iterations=300"),
        MLFLOW_TRACKING_URI=server.uri,
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="6",  # two minutes: this machine may be busy
    )

    def begun() -> "list[Run]":
        found = [run for run in runs(server.uri) if run.data.metrics]
        return [run for run in found if run.data.params.get("training.iterations") == "300"]

    process.wait_until(lambda: bool(begun()), "an epoch")
    server.kill()
    database.kill()
    database.start()
    server.start()
    answer = process.answer()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert ": 2 done, 0 failed, 0 done before, 0 left, in " in answer.stdout
