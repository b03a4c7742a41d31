"""Sweeps by real processes: each cell once, the same bits from all, and deaths on the way."""

import io
import os
import re
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from support import Answer, Process, wait_until, weights_of

from sgdprobe.commands.console import SweepProgress, plain_console
from sgdprobe.config.settings import Settings
from sgdprobe.run.job import Job, Outcome
from sgdprobe.tracking import Failure

if TYPE_CHECKING:
    from mlflow.entities import Run

    Runs = Callable[[str], list[Run]]
    Points = Callable[[str, Run], dict[str, list[tuple[int, float]]]]
    Artifacts = Callable[[Run], Path]

Train = Callable[..., Answer]

# 2 × 3 × 2 cells; one scale is there twice, and the last one is infinite in float32, so that
# these runs fail. The recipe's own rates 0.1 and 1 must not appear.
SWEEP = (
    "-m",
    "sweep",
    "training.learning_rate=0.01,2",
    "init.scale=1,1,1e300",
    "network.hidden=[50,100],[50]",
)
# One of the cells, typed as a run of its own.
SINGLE = ("notes", "dtype=float32", "training.learning_rate=2", "network.hidden=[50]")
SAME_CELL, ITS_NAME_ALONE = "lr=2 scale=1 [50] seed=0", "float32 lr=2 [50] seed=0"


@pytest.fixture(scope="module")
def uris(new_store: Callable[[], str]) -> dict[str, str]:
    return {name: new_store() for name in ("two workers", "one", "alone")}


@pytest.fixture(scope="module")
def answers(start: Callable[..., Process], uris: Mapping[str, str]) -> dict[str, Answer]:
    """The sweep by two worker processes and by none, and one of its cells as a single run."""
    commands = {
        "two workers": (*SWEEP, "sweep.n_jobs=2"),
        "one": (*SWEEP, "sweep.n_jobs=1"),
        "alone": SINGLE,
    }
    processes = {
        name: start(*words, MLFLOW_TRACKING_URI=uris[name]) for name, words in commands.items()
    }
    return {name: process.answer() for name, process in processes.items()}


@pytest.fixture(scope="module")
def by_name(
    answers: object, uris: Mapping[str, str], runs: "Runs"
) -> "dict[str, dict[str, list[Run]]]":
    """For each of the stores, its runs by name."""
    result: dict[str, dict[str, list[Run]]] = {}
    for store, uri in uris.items():
        found = result.setdefault(store, {})
        for run in runs(uri):
            found.setdefault(str(run.info.run_name), []).append(run)
    return result


CELLS = [
    f"lr={rate} scale={scale} {hidden} seed=0"
    for rate in ("0.01", "2")
    for scale in ("1", "1e+300")
    for hidden in ("[50,100]", "[50]")
]


@pytest.mark.parametrize("store", ["two workers", "one"])
def test_every_cell_is_there_once(by_name: "dict[str, dict[str, list[Run]]]", store: str) -> None:
    assert {name: len(runs) for name, runs in by_name[store].items()} == dict.fromkeys(CELLS, 1)


@pytest.mark.parametrize("store", ["two workers", "one"])
def test_the_cells_that_fail_leave_the_others_done(
    by_name: "dict[str, dict[str, list[Run]]]", store: str
) -> None:
    states = {name: run.info.status for name, (run,) in by_name[store].items()}
    assert states == {name: "FAILED" if "1e+300" in name else "FINISHED" for name in CELLS}
    (failed,) = by_name[store]["lr=2 scale=1e+300 [50] seed=0"]
    assert failed.data.tags["failure"].startswith("DivergedError: the loss became nan")


def test_tags(by_name: "dict[str, dict[str, list[Run]]]") -> None:
    found = [run for (run,) in by_name["two workers"].values()]
    assert {(run.data.tags["recipe"], run.data.tags["seed"]) for run in found} == {("sweep", "0")}
    for tag in ("sweep", "source_hash", "mlflow.source.git.commit"):
        assert len({run.data.tags[tag] for run in found}) == 1, tag
    (single,) = by_name["alone"][ITS_NAME_ALONE]
    assert "sweep" not in single.data.tags


def test_pictures_only_for_a_run_that_someone_looks_at(
    by_name: "dict[str, dict[str, list[Run]]]", artifacts: "Artifacts"
) -> None:
    (cell,) = by_name["two workers"][SAME_CELL]
    files = {path.name for path in artifacts(cell).iterdir()}
    assert "weights.npz" in files
    assert not [name for name in files if name.endswith(".png")]


def test_workers_are_processes_of_their_own(
    by_name: "dict[str, dict[str, list[Run]]]",
) -> None:
    pids = {
        store: {run.data.tags["pid"] for (run,) in by_name[store].values()}
        for store in ("two workers", "one")
    }
    assert len(pids["two workers"]) == 2, pids
    assert len(pids["one"]) == 1, pids


@pytest.mark.parametrize("store", ["two workers", "one"])
def test_exit_code_and_last_lines(answers: dict[str, Answer], store: str) -> None:
    answer = answers[store]
    assert (answer.returncode, answer.stderr) == (1, "")
    lines = answer.stdout.splitlines()
    assert lines[0] == "4 duplicates merged"
    summary, compare, address, report = lines[-4:]
    assert summary.startswith("sweep ")
    assert ": 4 done, 4 failed, " in summary
    assert compare.startswith("to compare: ")
    assert "/#/experiments/" in address
    assert report.startswith("report: ")
    assert Path(report.removeprefix("report: ")).is_file()
    progress = [line for line in lines if re.match(r" *\d+/8  lr=", line)]
    assert [line.split()[0] for line in progress] == [f"{n}/8" for n in range(1, 9)]
    assert sum("FAILED DivergedError: " in line for line in progress) == 4


def table(answer: Answer) -> list[list[str]]:
    """The rows under the heading, split into words."""
    lines = answer.stdout.splitlines()
    heading = next(i for i, line in enumerate(lines) if line.split()[:2] == ["lr", "scale"])
    rows = [line.split() for line in lines[heading + 2 :]]
    return rows[: rows.index([])] if [] in rows else rows


@pytest.mark.parametrize("store", ["two workers", "one"])
def test_table(
    answers: dict[str, Answer],
    by_name: "dict[str, dict[str, list[Run]]]",
    store: str,
) -> None:
    rows = table(answers[store])
    assert len(rows) == 8
    done, failed = rows[:4], rows[4:]
    format_value = [float(row[3]) for row in done]
    assert format_value == sorted(format_value, reverse=True), "best first"
    assert all("FAILED" in row and "-" in row for row in failed), "failed last"
    for row in done:
        (run,) = by_name[store][f"lr={row[0]} scale={row[1]} {row[2]} seed=0"]
        assert row[3] == f"{100 * run.data.metrics['test_accuracy']:.2f}"
    marked = [row[:3] for row in rows if row[-2:] == ["<-", "notes"]]
    assert marked == [["0.01", "1", "[50,100]"]], "the cell that is the notes' program"


@pytest.mark.parametrize("other", ["one", "alone"])
def test_the_same_bits_whoever_runs_it(
    by_name: "dict[str, dict[str, list[Run]]]",
    uris: Mapping[str, str],
    points: "Points",
    artifacts: "Artifacts",
    other: str,
) -> None:
    pairs = {name: name for name in CELLS} if other == "one" else {SAME_CELL: ITS_NAME_ALONE}
    for name, its_name_there in pairs.items():
        (here,), (there,) = by_name["two workers"][name], by_name[other][its_name_there]
        assert points(uris["two workers"], here) == points(uris[other], there), name
        if here.info.status == "FINISHED":
            one, two = weights_of(artifacts(here)), weights_of(artifacts(there))
            assert [*one] == [*two]
            for layer in one:
                np.testing.assert_array_equal(one[layer], two[layer], err_msg=layer)


def test_no_cell_is_lost_where_only_groups_are_named(
    train: Train, runs: "Runs", new_store: Callable[[], str]
) -> None:
    uri = new_store()
    answer = train(
        *("-m", "experiment=notes,book", "init=he,lecun", "sweep=sequential"),
        MLFLOW_TRACKING_URI=uri,
    )
    assert answer.returncode == 0, answer.stderr
    assert ": 4 done, 0 failed, " in answer.stdout
    assert {(run.info.run_name, run.info.status) for run in runs(uri)} == {
        (f"{recipe} {scheme} scale={scale} seed=0", "FINISHED")
        for recipe, scale in (("notes", "1"), ("book", "0.01"))
        for scheme in ("he", "lecun")
    }


@pytest.fixture(scope="module")
def killed_workers_store(new_store: Callable[[], str]) -> str:
    return new_store()


@pytest.fixture(scope="module")
def sweep_with_killed_workers(
    start: Callable[..., Process], runs: "Runs", killed_workers_store: str
) -> Answer:
    """A sweep whose first job loses its worker each time it is under way, and would never end."""
    process = start(
        "-m",
        "notes",
        "training.iterations=1000000,3,4,5",
        "sweep.n_jobs=2",
        MLFLOW_TRACKING_URI=killed_workers_store,
    )

    def running() -> "list[Run]":
        return [
            run
            for run in runs(killed_workers_store)
            if run.info.status == "RUNNING"
            and run.data.params.get("training.iterations") == "1000000"
            and run.info.run_id not in killed
        ]

    def others_done() -> bool:
        return [run.info.status for run in runs(killed_workers_store)].count("FINISHED") == 3

    killed: set[str] = set()
    for time_ in ("first", "second"):
        process.wait_until(lambda: bool(running()), f"the {time_} try")
        if time_ == "second":
            process.wait_until(others_done, "the other runs")
        (victim,) = running()
        killed.add(victim.info.run_id)
        os.kill(int(victim.data.tags["pid"]), signal.SIGKILL)
    return process.answer()


def test_the_sweep_goes_on_without_the_job_that_loses_its_worker_twice(
    sweep_with_killed_workers: Answer, runs: "Runs", killed_workers_store: str
) -> None:
    ends: dict[str, list[str]] = {}
    for run in runs(killed_workers_store):
        ends.setdefault(run.data.params["training.iterations"], []).append(run.info.status)
    assert ends["1000000"] == ["KILLED", "KILLED"], "tried again once, then given up"
    for iterations in ("3", "4", "5"):
        assert ends[iterations].count("FINISHED") == 1, ends
        assert set(ends[iterations]) <= {"FINISHED", "KILLED"}, ends
    assert sweep_with_killed_workers.returncode == 1
    assert ": 3 done, 1 failed, " in sweep_with_killed_workers.stdout
    given_up = "1000000 seed=0  KILLED abandoned: its worker was killed 2 times"
    assert given_up in sweep_with_killed_workers.stdout
    assert "Traceback" not in sweep_with_killed_workers.stderr


def test_workers_that_are_still_starting_end_with_their_parent(
    start: Callable[..., Process], new_store: Callable[[], str]
) -> None:
    process = start("-m", "notes", "seed=0,1", "sweep.n_jobs=2", MLFLOW_TRACKING_URI=new_store())

    def session() -> list[str]:
        """The commands of all that the sweep started and that is still there."""
        found = []
        for other in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getsid(other.pid) == process.pid and other.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(other.cmdline()))
        return found

    def starting() -> bool:
        return any("popen_loky_posix" in command for command in session())

    process.wait_until(starting, "a worker")
    process.send(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    wait_until(lambda: not session(), "the end of its workers")


SCALES = [f"{tenths / 10:g}" for tenths in range(1, 18)]


def test_of_36_runs_two_diverge_and_one_worker_is_killed(
    start: Callable[..., Process], runs: "Runs", points: "Points", new_store: Callable[[], str]
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


@pytest.fixture(scope="module")
def interrupted(
    start: Callable[..., Process], runs: "Runs", new_store: Callable[[], str]
) -> "tuple[Answer, list[Run]]":
    """A sweep of endless runs, and Ctrl-C: the signal goes to all processes of the terminal."""
    uri = new_store()
    process = start(
        *("-m", "notes", "training.iterations=1000000", "seed=0,1,2", "sweep.n_jobs=2"),
        MLFLOW_TRACKING_URI=uri,
    )
    process.wait_until(lambda: len(runs(uri)) >= 2, "two runs")
    process.send_to_group(signal.SIGINT)
    return process.answer(), runs(uri)


def test_ctrl_c_ends_a_sweep_and_its_runs(
    interrupted: "tuple[Answer, list[Run]]",
) -> None:
    answer, found = interrupted
    assert {run.info.status for run in found} == {"KILLED"}
    assert answer.returncode == 128 + signal.SIGINT
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("failure", ["KeyError: [/nowhere]", "OSError: [bold] and [red]x[/red]"])
def test_what_a_failure_says_is_shown_as_it_is(failure: str) -> None:
    # rich would read words in brackets as its own markup.
    written = io.StringIO()
    job = Job(Settings(), "notes", "lr=1 [50,100] seed=0")
    progress = SweepProgress(1, plain_console(written))
    with progress:
        progress.add(Outcome(job, "FAILED", None, 0.1, failure=Failure("error", failure)))
    assert f"1/1  lr=1 [50,100] seed=0  FAILED {failure}\n" in written.getvalue()
    assert progress.failed == 1


NO_WORKERS = """
import os, sys
if "--pipe" in sys.orig_argv:  # as joblib calls its worker processes
    os._exit(1)
"""


def test_workers_that_can_not_start_end_the_sweep(
    train: Train,
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
