"""A store behind `mlflow server`: all commands work there, and survive its death."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import Answer, LossyProxy, Process, Server, client_of, free_port, points_of, runs_in

if TYPE_CHECKING:
    from mlflow.entities import Run

    Runs = Callable[[str], list[Run]]

RunCommands = Callable[..., list[Answer]]
SWEEP = ("-m", "notes", "seed=0,1,2", "sweep.n_jobs=2")
EXPLAIN = ("notes", "book", "--fix=dtype=float32", "--factors=init.scale", "--seeds=2")


@pytest.mark.parametrize(
    ("uri", "host", "command"),
    [
        ("http://ann:pw@host:8080/mlflow/", "http://host:8080/mlflow", None),
        ("https://host", "https://host", None),
        (
            "sqlite:////my runs/x.db",
            "http://127.0.0.1:5000",
            "python src/ui.py --uri 'sqlite:////my runs/x.db'",
        ),
        (
            "postgresql://ann:pw@host/runs",
            "http://127.0.0.1:5000",
            "python src/ui.py --uri 'postgresql://***@host/runs'",
        ),
    ],
)
def test_where_a_browser_finds_a_store(uri: str, host: str, command: str | None) -> None:
    from sgdprobe.errors import StoreError
    from sgdprobe.tracking import Store, store_errors

    store = Store(uri, "any", "7")
    assert store.experiment_url().startswith(f"{host}/#/experiments/7/runs?")
    assert store.ui_command() == command
    with pytest.raises(StoreError) as error, store_errors(uri):
        raise OSError(f"nobody at {uri}")
    assert "pw" not in str(error.value)


def test_the_store_that_commands_use_needs_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from sgdprobe.tracking import Store, default_uri

    assert Store(default_uri(), "any", "7").ui_command() == "python src/ui.py"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////my.db")
    assert Store("sqlite:////my.db", "any", "7").ui_command() == "python src/ui.py"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"), free_port(), environment)
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def answers(server: Server, train: Callable[..., Answer]) -> list[str]:
    """What a sweep prints, the first time and the second."""
    printed = []
    for _ in range(2):
        answer = train(*SWEEP, MLFLOW_TRACKING_URI=server.uri)
        assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
        printed.append(answer.stdout)
    return printed


def test_of_a_server_the_page_is_only_printed(
    answers: list[str], server: Server, run_commands: RunCommands
) -> None:
    (answer,) = run_commands([["--uri", server.uri]], script="src/ui.py")
    assert (answer.returncode, answer.stderr) == (0, "")
    (link,) = answer.stdout.splitlines()
    assert link.startswith(f"{server.uri}/#/experiments/")
    assert link in answers[0]


def test_behind_a_server_each_cell_has_one_band(answers: list[str], server: Server) -> None:
    assert "not in MLflow" not in "".join(answers)
    (band,) = runs_in(server.uri, "tags.kind = 'cell'")
    assert band.data.tags["seeds"] == "3"


def test_a_sweep_records_every_epoch_there_and_is_not_made_twice(
    answers: list[str], server: Server, runs: "Runs"
) -> None:
    first, second = answers
    assert ": 3 done, 0 failed, 0 done before, 0 left, in " in first
    assert ": 0 done, 0 failed, 3 done before, 0 left, in " in second
    assert f"{server.uri}/#/experiments/" in first
    assert "View run" not in first, "MLflow prints in between"
    found = runs(server.uri)
    assert sorted((run.data.tags["seed"], run.info.status) for run in found) == [
        (seed, "FINISHED") for seed in "012"
    ]
    assert all(
        {"loss", "train_accuracy", "test_accuracy"} <= set(run.data.metrics) for run in found
    )
    model = client_of(server.uri).list_artifacts(found[0].info.run_id, "model")
    assert {"model/MLmodel", "model/network_model.py", "model/weights.npz"} <= {
        item.path for item in model
    }


def test_a_password_opens_a_server_and_is_never_recorded(
    server: Server, train: Callable[..., Answer]
) -> None:
    """In MLflow's own variables, which reach joblib's workers, too."""
    who = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "open-sesame"}
    words = ("-m", "notes", "seed=8,9", "sweep.n_jobs=2", "tracking.experiment=closed")
    with LossyProxy(server, password=":".join(who.values())) as proxy:
        refused = train(*words, MLFLOW_TRACKING_URI=proxy.uri)
        assert proxy.refused > 0
        proxy.refused = 0
        answer = train(*words, MLFLOW_TRACKING_URI=proxy.uri, **who)
        assert proxy.refused == 0
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused
    assert "401" in refused.stderr
    assert ": 2 done, 0 failed, 0 done before, 0 left, in " in answer.stdout, answer
    secrets = [b"open-sesame", b64encode(b"ann:open-sesame")]
    printed = (refused.stdout + refused.stderr + answer.stdout + answer.stderr).encode()
    kept = {"the output": printed} | {
        str(file): file.read_bytes() for file in server.folder.rglob("*") if file.is_file()
    }
    assert len(kept) > 10, "artifacts were recorded"
    assert [name for name, content in kept.items() if any(s in content for s in secrets)] == []


def test_a_server_that_loses_its_answers_holds_each_run_once(
    server: Server, train: Callable[..., Answer], runs: "Runs"
) -> None:
    words = ("-m", "book", "seed=4,5", "sweep.n_jobs=1", "tracking.experiment=lost answers")
    with LossyProxy(server, loses=2) as proxy:
        answer = train(*words, MLFLOW_TRACKING_URI=proxy.uri)
    assert proxy.lost == 2
    assert answer.returncode == 0, answer
    assert set(answer.stderr.splitlines()) <= {f"waiting for the store {proxy.uri}"}
    found = [run for run in runs(server.uri) if run.data.tags["seed"] in "45"]
    assert sorted((run.data.tags["seed"], run.info.status) for run in found) == [
        ("4", "FINISHED"),
        ("5", "FINISHED"),
    ]


@pytest.mark.usefixtures("answers")
def test_a_run_of_it_is_repeated_from_there_alone(
    server: Server, run_commands: RunCommands
) -> None:
    (answer,) = run_commands([["last", "--uri", server.uri]], script="src/rerun.py")
    assert answer.returncode == 0, answer
    assert "IDENTICAL" in answer.stdout


def test_a_gap_is_explained_from_there(
    answers: list[str], server: Server, project: Path, run_commands: RunCommands
) -> None:
    study = "--study=behind-a-server"
    folder = project / "experiments" / "behind-a-server"
    (answer,) = run_commands(
        [[*EXPLAIN, study]], script="src/explain.py", MLFLOW_TRACKING_URI=server.uri
    )
    (report,) = run_commands([["--uri", server.uri]], script="src/report.py")
    for each in (answer, report):
        assert (each.returncode, each.stderr) == (0, ""), each
    assert f"{server.uri}/#/experiments/" in (folder / "index.html").read_text()
    for file in folder.iterdir():  # other tests need a project without changes
        file.unlink()
    folder.rmdir()


@pytest.mark.usefixtures("answers")
def test_a_server_that_is_busy_now_and_then(
    server: Server, train: Callable[..., Answer], run_commands: RunCommands, runs: "Runs"
) -> None:
    """Each fifth request is answered with 503: every command works, and nothing is lost."""
    words = ("-m", "book", "seed=20,21", "sweep.n_jobs=1", "tracking.experiment=busy")
    with LossyProxy(server, busy=5) as proxy:
        sweep = train(*words, MLFLOW_TRACKING_URI=proxy.uri)
        assert (sweep.returncode, sweep.stderr) == (0, ""), sweep
        made = [run for run in runs(server.uri) if run.data.tags["seed"] in ("20", "21")]
        assert [run.info.status for run in made] == ["FINISHED"] * 2
        for run in made:
            assert len(points_of(server.uri, run)["loss"]) == 3
        asked = [["last", "--uri", proxy.uri]]
        (rerun,) = run_commands(asked, script="src/rerun.py")
        assert "IDENTICAL" in rerun.stdout, rerun
        (report,) = run_commands([["busy", "--uri", proxy.uri]], script="src/report.py")
        assert (report.returncode, report.stderr) == (0, ""), report
    assert proxy.refused > 10


def test_a_server_that_is_killed_in_the_middle_and_comes_back(
    server: Server, start: Callable[..., Process], runs: "Runs"
) -> None:
    def long_runs() -> "list[Run]":
        return [
            run
            for run in runs(server.uri)
            if run.data.params.get("training.iterations") == "1000000"
        ]

    words = ("-m", "book", "seed=7,8,9", "sweep.n_jobs=2")
    process = start(
        *(*words, "training.iterations=1000000"),
        MLFLOW_TRACKING_URI=server.uri,
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",  # the default of 3 waits longer for each request
    )
    process.wait_until(
        lambda: sum(bool(run.data.metrics) for run in long_runs()) == 2, "an epoch of two runs"
    )
    server.kill()
    answer = process.answer()
    out = answer.stdout
    assert (answer.returncode, answer.stderr) == (1, ""), out
    assert f"stopped: the store {server.uri} can't be used: " in out
    server.start()
    assert {run.info.status for run in long_runs()} == {"RUNNING"}, "no store to mark them in"
    again = start(*words, MLFLOW_TRACKING_URI=server.uri).answer()
    assert (again.returncode, again.stderr) == (0, ""), again
    assert {run.info.status for run in long_runs()} == {"KILLED"}
    assert ": 3 done, 0 failed, 0 done before, 0 left, in " in again.stdout
