"""Sweeps by real processes: each cell once, and the same bits from all."""

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import Answer, Process, weights_of

from sgdprobe.commands.console import plain_console
from sgdprobe.commands.progress import SweepProgress
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
