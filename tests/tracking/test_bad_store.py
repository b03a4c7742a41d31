"""A store that can't be used is reported in one line that names it, soon, without a traceback."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

import pytest
from support import ROOT, Answer, Process, client_of, path_of

if TYPE_CHECKING:
    from mlflow.entities import Run

SWEEP = ("-m", "notes", "seed=0,1", "sweep.n_jobs=1")

# What is wrong with a store, and what must be said of it.
BAD = {
    "not a database": "file is not a database",
    "cut short": "malformed",
    "damaged inside": "malformed",
    "a folder": "unable to open database file",
    "under a file": "File exists",
    "a newer MLflow's": "found version ffffffffffff, which MLflow",
    "an older MLflow's": "mlflow db upgrade",
    "read-only": "readonly database",
    "to be made on a read-only disk": "Read-only file system",
    "full": "full",
    "to be made on a full disk": "disk is full",
    "nobody answers": "Connection refused",
}

# What only a command that writes finds out.
READ_WELL = {"read-only", "full", "under a file"}
READ_WELL |= {"to be made on a read-only disk", "to be made on a full disk"}

ENDLESS = ("notes", "training.iterations=1000000", "dtype=float32")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 3 MB, which takes root and Linux: root may write to any other."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    if os.getuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        while folder.is_mount():
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> None:
    """Fill a disk but for so many bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb") as stream:
        try:
            while True:
                os.write(stream.fileno(), bytes(4096))
        except OSError:
            size = os.fstat(stream.fileno()).st_size
    os.truncate(ballast, size - leave)


@contextmanager
def bad_store(kind: str, uri: str, folder: Path) -> Iterator[str]:
    """A store of this kind, made from a good one."""
    file = path_of(uri)
    if kind == "nobody answers":
        yield "http://127.0.0.1:9"
    elif "full" in kind or "read-only" in kind:
        with small_disk(folder / "disk") as disk:
            if "to be made" not in kind:
                shutil.copy(file, disk / "x.db")
            if "full" in kind:
                fill(disk)
            else:
                subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            before = contents(disk)
            yield f"sqlite:///{disk}/x.db"
            assert contents(disk) == before, "something was written"
    else:
        spoil(kind, file)
        yield f"{uri}/x.db" if kind == "under a file" else uri


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def spoil(kind: str, file: Path) -> None:
    if kind == "not a database":
        file.write_text("nor is this a folder")
    elif kind == "cut short":
        os.truncate(file, 60000)
    elif kind == "damaged inside":
        with file.open("r+b") as stream:
            stream.seek(12288)  # the list of tables, which comes first, can be read
            stream.write(b"\xff" * (file.stat().st_size - 12288))
    elif kind == "a folder":
        file.unlink()
        file.mkdir()
    elif kind.endswith("MLflow's"):
        version = "ffffffffffff" if "newer" in kind else "0a8213491aaa"
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [version])


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_store_is_refused(
    kind: str,
    run_commands: Callable[..., list[Answer]],
    new_store: Callable[[], str],
    tmp_path: Path,
) -> None:
    with bad_store(kind, new_store(), tmp_path) as uri:
        commands = [("notes",), SWEEP]
        if kind not in READ_WELL:
            commands.append((*SWEEP, "sweep.dry_run=true"))
        # The user may set this, and three commands here wait less for what does not answer.
        answers = run_commands(
            commands, MLFLOW_TRACKING_URI=uri, MLFLOW_HTTP_REQUEST_MAX_RETRIES="1"
        )
    for answer in answers:
        assert (answer.returncode, answer.stdout) == (2, ""), answer.args
        assert answer.stderr.startswith(f"the store {uri} can't be used: "), answer.args
        assert BAD[kind] in answer.stderr
        assert answer.stderr.count("\n") == 1, answer.stderr


@pytest.mark.slow
def test_mlflow_gives_up_on_a_server_within_a_minute_unless_told_otherwise() -> None:
    code = (
        "import sgdprobe.tracking, mlflow.environment_variables as e; print("
        "e.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get(), e.MLFLOW_HTTP_REQUEST_TIMEOUT.get(), "
        "int(e.MLFLOW_ENABLE_ASYNC_LOGGING.get()))"
    )

    def limits(**variables: str) -> list[int]:
        environment = {"PYTHONPATH": str(ROOT / "src"), **variables}
        answer = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return [int(word) for word in answer.stdout.split()]

    retries, timeout, _ = limits()
    waits = sum(2 * 2**n for n in range(1, retries))  # MLflow's back-off; the first is none
    assert (retries + 1) * timeout + waits <= 60
    told = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5", "MLFLOW_HTTP_REQUEST_TIMEOUT": "99"}
    # A write that returns before it is recorded would hide a store that breaks.
    assert limits(**told, MLFLOW_ENABLE_ASYNC_LOGGING="true") == [5, 99, 0]


@contextmanager
def locked(file: Path, seconds: float) -> Iterator[int]:
    """Another process, of this id, keeps a store locked."""
    code = (
        "import sqlite3, sys, time\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n"
        "connection.execute('BEGIN EXCLUSIVE'); print('locked', flush=True)\n"
        "time.sleep(float(sys.argv[2]))"
    )
    words = [sys.executable, "-c", code, str(file), str(seconds)]
    with Popen(words, stdout=subprocess.PIPE) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == b"locked\n"
        yield locker.pid
        locker.terminate()


def test_a_locked_store_is_waited_for_and_that_is_said(
    train: Callable[..., Answer],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
) -> None:
    uri = new_store()
    with locked(path_of(uri), seconds=15) as pid:
        answer = train("notes", MLFLOW_TRACKING_URI=uri)
    said = f"waiting for the store {uri}, locked by process {pid}\n"
    assert (answer.returncode, answer.stderr) == (0, said)
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]


def test_a_locked_store_is_waited_for_to_be_opened(new_store: Callable[[], str]) -> None:
    from sgdprobe.tracking import Store

    uri = new_store()
    with locked(path_of(uri), seconds=7):  # MLflow gives up after 5
        assert len(Store(uri, "any", "0").client().search_experiments()) == 1


def test_a_store_locked_in_the_middle_is_waited_for_longer_than_mlflow_does(
    start: Callable[..., Process],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
) -> None:
    uri = new_store()
    process = start(
        *("-m", "notes", "dtype=float32", "seed=0,1", "training.iterations=200"),
        *("sweep.n_jobs=2",),
        MLFLOW_TRACKING_URI=uri,
        SGDPROBE_MLFLOW_LOCK_TIMEOUT_S="1",  # instead of MLflow's own 20
    )
    wait_for_an_epoch(process, uri, runs)
    with locked(path_of(uri), seconds=4):
        assert process.poll() is None, "it ended before its store was locked"
        answer = process.answer()
    assert (answer.returncode, answer.stderr) == (0, ""), answer
    for run in runs(uri):
        points = client_of(uri).get_metric_history(run.info.run_id, "loss")
        assert [point.step for point in points] == [*range(1, 41)], "no epoch is lost"


def wait_for_an_epoch(process: Process, uri: str, runs: "Callable[[str], list[Run]]") -> None:
    process.wait_until(lambda: any(run.data.metrics for run in runs(uri)), "an epoch")


@contextmanager
def between_two_writes(file: Path) -> Iterator[None]:
    """In the middle of one there is a journal, from which sqlite would write pages once more.

    And a disk that can't be written any more is any I/O error then, not a read-only one.
    """
    with closing(sqlite3.connect(file, isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def delete(file: Path) -> None:
    with between_two_writes(file):
        file.unlink()


def use_up_the_disk(file: Path) -> None:
    fill(file.parent, leave=8192)


def corrupt(file: Path) -> None:
    with between_two_writes(file), file.open("r+b") as stream:
        stream.write(b"no database" * 1000)


def make_read_only(file: Path) -> None:
    """A disk in use can't be made read-only: a view of it that is, is laid over it."""
    view = file.parent.with_name("view")
    view.mkdir()
    disk, over = str(file.parent), str(view)
    with between_two_writes(file):
        for words in (
            ["mount", "--bind", disk, over],
            ["mount", "-o", "remount,bind,ro", over],
            ["mount", "--bind", over, disk],
            ["umount", "-l", over],
        ):
            subprocess.run(words, check=True)


# How a store breaks, and what must be said of it.
BREAKS: dict[Callable[[Path], None], str] = {
    delete: "x.db is not there",
    use_up_the_disk: "full",
    corrupt: "file is not a database",
    make_read_only: "readonly database|unable to open database file",  # by what it writes first
}


@pytest.mark.parametrize("breaks", BREAKS)
@pytest.mark.parametrize("words", [("n_jobs=2", "seed=0,1,2,3"), ()], ids=["sweep", "single"])
def test_a_store_that_breaks_in_the_middle(
    breaks: Callable[[Path], None],
    words: tuple[str, ...],
    start: Callable[..., Process],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = Path(shutil.copy(path_of(new_store()), disk / "x.db"))
        uri = f"sqlite:///{file}"
        several = ("-m", f"sweep.{words[0]}", *words[1:]) if words else ()
        process = start(*several, *ENDLESS, MLFLOW_TRACKING_URI=uri)
        wait_for_an_epoch(process, uri, runs)
        breaks(file)
        answer = process.answer()
        if breaks is delete and file.exists():  # sqlite may make an empty file
            assert file.read_bytes() == b"", "a new store was made in its place"
    out = answer.stdout
    assert (answer.returncode, answer.stderr) == (1, ""), answer
    assert "Traceback" not in out
    lines = [line for line in out.splitlines() if "can't be used" in line]
    expected = re.compile(
        f"(FAILED StoreError|FAILED in .*StoreError|stopped): the store {uri} can't "
    )
    assert all(expected.search(line) and re.search(BREAKS[breaks], line) for line in lines), lines
    if words:  # a worker that can't begin its next job may be heard before one that failed
        assert lines[-1].startswith("stopped: ")
    else:
        assert "FAILED" in lines[0]
    assert len(lines) <= (3 if words else 1), "one line a worker, and the end"


def test_reading_a_store_that_is_bad(
    run_commands: Callable[..., list[Answer]], new_store: Callable[[], str]
) -> None:
    uri = new_store()
    spoil("not a database", path_of(uri))
    commands: Mapping[str, tuple[str, ...]] = {
        "src/report.py": ("last",),
        "src/explain.py": ("notes", "book", "--fix", "dtype=float32", "--no-run"),
    }
    for script, words in commands.items():
        (answer,) = run_commands([words], script=script, MLFLOW_TRACKING_URI=uri)
        assert answer.returncode == 2, answer
        assert answer.stderr.startswith(f"the store {uri} can't be used: "), answer.stderr
        assert answer.stderr.count("\n") == 1, answer.stderr
