"""A store that can't be used is told in one line that names it, soon, and never by a traceback."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlflow.entities import Run

SWEEP = ("-m", "notes", "seed=0,1", "sweep.n_jobs=1")

# What is wrong with a store, and what must be said of it.
BAD = {
    "not a database": "file is not a database",
    "cut short": "malformed",
    "a folder": "unable to open database file",
    "under a file": "File exists",
    "another MLflow's": "found version ffffffffffff",
    "read-only": "readonly database",
    "full": "full",
    "nobody answers": "Connection refused",
}

ENDLESS = ("notes", "training.iterations=1000000", "dtype=float32")


def path_of(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///"))


@contextmanager
def read_only(file: Path) -> Iterator[None]:
    """Root may write to any file that is not immutable."""
    words = ["chattr", "+i"] if os.getuid() == 0 else ["chmod", "-w"]
    back = {"+i": "-i", "-w": "+w"}[words[1]]
    if shutil.which(words[0]) is None or subprocess.run([*words, file], check=False).returncode:
        pytest.skip("this file system has no files that root can't write to")
    try:
        yield
    finally:
        subprocess.run([words[0], back, file], check=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 3 MB, which takes root and Linux."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    if os.getuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
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
    elif kind == "read-only":
        with read_only(file):
            yield uri
    elif kind == "full":
        with small_disk(folder / "disk") as disk:
            shutil.copy(file, disk / "full.db")
            fill(disk)
            yield f"sqlite:///{disk}/full.db"
    else:
        spoil(kind, file)
        yield f"{uri}/x.db" if kind == "under a file" else uri


def spoil(kind: str, file: Path) -> None:
    if kind == "not a database":
        file.write_text("nor is this a folder")
    elif kind == "cut short":
        os.truncate(file, 60000)
    elif kind == "a folder":
        file.unlink()
        file.mkdir()
    elif kind == "another MLflow's":
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_store_is_refused(
    kind: str,
    in_turn: Callable[..., list[CompletedProcess[str]]],
    new_store: Callable[[], str],
    tmp_path: Path,
) -> None:
    started = time.monotonic()
    with bad_store(kind, new_store(), tmp_path) as uri:
        commands = [("notes",), SWEEP]
        if kind not in ("read-only", "full"):  # these can be read
            commands.append((*SWEEP, "sweep.dry_run=true"))
        # As the user may, so that three commands don't wait for what does not answer.
        answers = in_turn(commands, MLFLOW_TRACKING_URI=uri, MLFLOW_HTTP_REQUEST_MAX_RETRIES="1")
    for answer in answers:
        assert (answer.returncode, answer.stdout) == (2, ""), answer.args
        assert answer.stderr.startswith(f"the store {uri} can't be used: "), answer.args
        assert BAD[kind] in answer.stderr
        assert answer.stderr.count("\n") == 1, answer.stderr
    assert time.monotonic() - started < 240, "it took too long, whatever else this machine does"


def test_mlflow_gives_up_on_a_server_within_a_minute_unless_told_otherwise() -> None:
    code = (
        "import sgdprobe.tracking, mlflow.environment_variables as e; print("
        "e.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get(), e.MLFLOW_HTTP_REQUEST_TIMEOUT.get())"
    )

    def told(**variables: str) -> list[int]:
        answer = subprocess.run(
            [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
        )
        return [int(word) for word in answer.stdout.split()]

    retries, timeout = told()
    waits = sum(2 * 2**n for n in range(1, retries))  # MLflow's back-off; the first is none
    assert (retries + 1) * timeout + waits <= 60
    assert told(MLFLOW_HTTP_REQUEST_MAX_RETRIES="5", MLFLOW_HTTP_REQUEST_TIMEOUT="99") == [5, 99]


def test_a_locked_store_is_waited_for(
    train: Callable[..., CompletedProcess[str]],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
) -> None:
    uri = new_store()
    code = (
        "import sqlite3, sys, time\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(12)"
    )
    with Popen([sys.executable, "-c", code, path_of(uri)], stdout=subprocess.PIPE) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == b"locked\n"
        answer = train("notes", MLFLOW_TRACKING_URI=uri)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]


def delete(file: Path) -> None:
    file.unlink()


def use_up_the_disk(file: Path) -> None:
    fill(file.parent, leave=8192)


@pytest.mark.parametrize("breaks", [delete, use_up_the_disk])
@pytest.mark.parametrize("words", [("n_jobs=2", "seed=0,1,2,3"), ()], ids=["sweep", "single"])
def test_a_store_that_breaks_in_the_middle(
    breaks: Callable[[Path], None],
    words: tuple[str, ...],
    start: Callable[..., Popen[str]],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = Path(shutil.copy(path_of(new_store()), disk / "x.db"))
        uri = f"sqlite:///{file}"
        several = ("-m", f"sweep.{words[0]}", *words[1:]) if words else ()
        process = start(*several, *ENDLESS, MLFLOW_TRACKING_URI=uri)
        end = time.monotonic() + 300
        while not any(run.data.metrics for run in runs(uri)):
            assert time.monotonic() < end, "no epoch was recorded"
            assert process.poll() is None, "it ended before its store broke"
            time.sleep(0.1)
        breaks(file)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 1, out + err
    assert "Traceback" not in out + err
    failures = [line for line in out.splitlines() if "FAILED" in line]
    assert failures, out
    assert all(f"the store {uri} can't be used: " in line for line in failures), out
    if words:
        assert f"stopped: the store {uri} can't be used: " in out
        assert out.count(f"the store {uri} can't be used: ") <= 3, "one line a worker, and the end"


def test_reading_a_store_that_is_bad(
    project: Path, in_turn: Callable[..., list[CompletedProcess[str]]], new_store: Callable[[], str]
) -> None:
    uri = new_store()
    spoil("not a database", path_of(uri))
    doors: Mapping[str, tuple[str, ...]] = {
        "report.py": ("last",),
        "explain.py": ("notes", "book", "--fix", "dtype=float32", "--no-run"),
    }
    for door, words in doors.items():
        (answer,) = in_turn([words], door=project / "src" / door, MLFLOW_TRACKING_URI=uri)
        assert answer.returncode == 2, answer
        assert answer.stderr.startswith(f"the store {uri} can't be used: "), answer.stderr
        assert answer.stderr.count("\n") == 1, answer.stderr
