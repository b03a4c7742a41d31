"""Sweeps whose processes are killed or interrupted: nothing is lost, and no process stays.

No test here shares a fixture with another, so that pytest-xdist's workers divide them.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from support import Answer, Points, Process, wait_until

if TYPE_CHECKING:
    from mlflow.entities import Run

    Runs = Callable[[str], list[Run]]


INTERRUPTED = "interrupted; the results recorded so far are kept\n"


def session(process: Process) -> list[str]:
    """The commands of all that a sweep started and that is still there."""
    found = []
    for other in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(other.pid) == process.pid and other.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(other.cmdline()))
    return found


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_the_sweep_goes_on_without_the_job_that_loses_its_worker_twice(
    start: Callable[..., Process], runs: "Runs", new_store: Callable[[], str], backend: str
) -> None:
    if backend == "dask":
        pytest.importorskip("distributed")
    uri = new_store()
    # The first job would never end.
    process = start(
        *("-m", "notes", "training.iterations=1000000,3,4,5", "sweep.n_jobs=2"),
        f"sweep={backend}",
        new_interpreter=backend == "dask",
        MLFLOW_TRACKING_URI=uri,
    )

    def running() -> "list[Run]":
        return [
            run
            for run in runs(uri)
            if run.info.status == "RUNNING"
            and run.data.params.get("training.iterations") == "1000000"
            and run.info.run_id not in killed
        ]

    def others_done() -> bool:
        return [run.info.status for run in runs(uri)].count("FINISHED") == 3

    killed: set[str] = set()
    for time_ in ("first", "second"):
        process.wait_until(lambda: bool(running()), f"the {time_} try")
        if time_ == "second":
            process.wait_until(others_done, "the other runs")
        (victim,) = running()
        killed.add(victim.info.run_id)
        os.kill(int(victim.data.tags["pid"]), signal.SIGKILL)
    answer = process.answer()
    ends: dict[str, list[str]] = {}
    for run in runs(uri):
        ends.setdefault(run.data.params["training.iterations"], []).append(run.info.status)
    assert ends["1000000"] == ["KILLED", "KILLED"], "tried again once, then abandoned"
    for iterations in ("3", "4", "5"):
        assert ends[iterations].count("FINISHED") == 1, ends
        assert set(ends[iterations]) <= {"FINISHED", "KILLED"}, ends
    assert answer.returncode == 1
    assert ": 3 done, 1 failed, " in answer.stdout
    assert "1000000 seed=0  KILLED abandoned: its worker was killed 2 times" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_workers_that_are_still_starting_end_with_their_parent(
    start: Callable[..., Process], new_store: Callable[[], str]
) -> None:
    process = start("-m", "notes", "seed=0,1", "sweep.n_jobs=2", MLFLOW_TRACKING_URI=new_store())

    process.wait_until(
        lambda: any("popen_loky_posix" in command for command in session(process)), "a worker"
    )
    process.send(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    wait_until(lambda: not session(process), "the end of its workers")


SCALES = [f"{tenths / 10:g}" for tenths in range(1, 18)]


def test_of_36_runs_two_diverge_and_one_worker_is_killed(
    start: Callable[..., Process],
    runs: "Runs",
    points: "Callable[[str, Run], Points]",
    new_store: Callable[[], str],
) -> None:
    uri = new_store()
    process = start(
        *("-m", "sweep", "training.learning_rate=1", "training.iterations=50"),
        *(f"init.scale=1e300,{','.join(SCALES)}", "network.hidden=[50],[100]", "sweep.n_jobs=2"),
        MLFLOW_TRACKING_URI=uri,
    )

    def kills_one() -> bool:
        """Kill the worker of a run that is under way, once the sweep is in its middle."""
        found = [run for run in runs(uri) if run.data.params.get("init.scale") in SCALES]
        begun = [run for run in found if run.info.status == "RUNNING"]
        if len(found) <= 5 or not begun:
            return False
        os.kill(int(begun[0].data.tags["pid"]), signal.SIGKILL)
        return True

    process.wait_until(kills_one, "a run in the middle")
    answer = process.answer()
    out = answer.stdout
    assert answer.returncode == 1
    assert "Traceback" not in out + answer.stderr
    assert ": 34 done, 2 failed, 0 done before, 0 left, in " in out
    culprits = {f"scale=1e+300 {hidden} seed=0" for hidden in ("[50]", "[100]")}
    failures = [line for line in out.splitlines() if "FAILED DivergedError: " in line]
    assert {line.split("  ")[1] for line in failures} == culprits
    (death,) = [line for line in out.splitlines() if line.startswith("a worker died (")]
    assert "SIGKILL(-9)" in death
    ends: dict[str, list[str]] = {}
    for run in runs(uri):
        ends.setdefault(str(run.info.run_name), []).append(run.info.status)
        if run.info.status == "FINISHED":
            steps = [step for step, _ in points(uri, run)["loss"]]
            assert steps == [*range(1, 11)], "every epoch is there, once"
    cells = {f"scale={scale} {hidden} seed=0" for scale in SCALES for hidden in ("[50]", "[100]")}
    assert {name: end.count("FINISHED") for name, end in ends.items()} == dict.fromkeys(
        cells, 1
    ) | dict.fromkeys(culprits, 0)
    assert {name for name, end in ends.items() if "FAILED" in end} == culprits
    killed = [name for name, end in ends.items() if "KILLED" in end]
    assert 1 <= len(killed) <= 2, "both workers are replaced"
    assert all(name in death for name in killed), death


def test_ctrl_c_ends_a_sweep_and_its_runs(
    start: Callable[..., Process], runs: "Runs", new_store: Callable[[], str]
) -> None:
    uri = new_store()
    process = start(
        *("-m", "notes", "training.iterations=1000000", "seed=0,1,2", "sweep.n_jobs=2"),
        MLFLOW_TRACKING_URI=uri,
    )
    process.wait_until(lambda: len(runs(uri)) >= 2, "two runs")
    process.send_to_group(signal.SIGINT)
    answer = process.answer()
    assert {run.info.status for run in runs(uri)} == {"KILLED"}
    assert (answer.returncode, answer.stderr) == (128 + signal.SIGINT, INTERRUPTED)


def test_ctrl_c_while_workers_start_is_one_line(
    start: Callable[..., Process], runs: "Runs", new_store: Callable[[], str]
) -> None:
    """The terminal sends it to the workers, too, while they import."""
    uri = new_store()
    process = start("-m", "notes", "seed=0,1", "sweep.n_jobs=2", MLFLOW_TRACKING_URI=uri)
    process.wait_until(
        lambda: any("popen_loky_posix" in command for command in session(process)), "a worker"
    )
    process.send_to_group(signal.SIGINT)
    answer = process.answer()
    assert (answer.returncode, answer.stderr) == (128 + signal.SIGINT, INTERRUPTED)
    wait_until(lambda: not session(process), "the end of its workers")
    assert [run for run in runs(uri) if run.info.status == "RUNNING"] == []


NO_WORKERS = """
import os, sys
if "--pipe" in sys.orig_argv:  # as joblib calls its worker processes
    os._exit(1)
"""


def test_workers_that_can_not_start_end_the_sweep(
    train: Callable[..., Answer],
    runs: "Runs",
    new_store: Callable[[], str],
    tmp_path: Path,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_WORKERS)
    uri = new_store()
    answer = train(
        *("-m", "notes", "seed=0,1", "sweep.n_jobs=2"),
        PYTHONPATH=str(tmp_path),
        MLFLOW_TRACKING_URI=uri,
    )
    printed = answer.stdout.splitlines()
    deaths = [line for line in printed if line.startswith("a worker died (EXIT(1)")]
    assert len(deaths) == 5, answer.stdout
    assert all(line.endswith(", running: none") for line in deaths)
    assert "stopped: workers died 5 times before starting any run" in printed
    assert answer.returncode == 1
    assert answer.stderr == ""
    assert runs(uri) == []
