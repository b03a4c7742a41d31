"""Stress: kill a sweep at random moments, type it again until it is done, and look at what it left.

python tests/stress.py --kills 6 --seed 0
python tests/stress.py --kills 0 --first-starts 20
"""

import argparse
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import numpy as np
import psutil
from conftest import client_of, few_digits, runs_in, small_project

if TYPE_CHECKING:
    from mlflow.entities import Run

Process = subprocess.Popen[bytes]

EPOCHS = 30  # of 5 updates each: half a second a run, so that a kill meets two of them
CELLS = 6  # of the first grid; where kills are left when it is done, it grows by as many
LIMIT = 600.0  # seconds after which a command hangs
CHUNK = 8


class StressProject:
    """A small project of its own, and its commands as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("digits", "project", "tmp"):
            (folder / name).mkdir()
        self.project = small_project(folder / "project", few_digits(folder / "digits"))
        keeper = self.project / "src" / "sgdprobe" / "checkpoint.py"
        text = keeper.read_text()
        assert text.count("INTERVAL = 20.0") == 1, "checkpoints are kept at another interval"
        # Runs this short would never be gone on with.
        keeper.write_text(text.replace("INTERVAL = 20.0", "INTERVAL = 0.05"))
        self.log = folder / "log"
        self.sessions: list[int] = []

    def uri(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}.db"

    def start(self, *words: str) -> Process:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(self.project / "src" / "train.py"), *words],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "TMPDIR": str(self.folder / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.sessions.append(process.pid)
        return process

    def sweep(self, cells: int, store: str) -> Process:
        return self.start(
            *("-m", "notes", f"seed=range(0,{cells})", f"training.iterations={5 * EPOCHS}"),
            *("dtype=float32", "sweep.n_jobs=2", "sweep.max_kills=1000000"),
            f"tracking.uri={self.uri(store)}",
        )

    def survivors(self) -> list[psutil.Process]:
        """Processes of ours; a worker may take half a second to see that it is alone."""
        end = time.monotonic() + 20
        while found := [*self._alive()]:
            if time.monotonic() > end:
                break
            time.sleep(0.2)
        return found

    def _alive(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                ours = os.getsid(process.pid) in self.sessions
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    yield process
            except (psutil.Error, ProcessLookupError):
                continue

    def end(self) -> None:
        """End what is still there, also when this program is stopped itself."""
        for process in self._alive():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def weights(self, run: "Run") -> bytes:
        path = self.project / unquote(urlsplit(run.info.artifact_uri).path) / "weights.npz"
        with np.load(path) as content:
            return b"".join(content[name].tobytes() for name in content.files)


def begun(store: Path) -> int:
    """How many runs a store holds, of any status."""
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # not there yet


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: still not after {LIMIT:.0f} s")
        time.sleep(0.02)


def kill_once(bench: StressProject, process: Process, rng: np.random.Generator) -> str | None:
    """Kill the sweep's process or a worker of it; None if it ended before.

    One time in four that is while it starts, else shortly after a new run has begun.
    """
    before = begun(bench.folder / "killed.db")
    if rng.random() < 0.75:
        wait_until(
            lambda: begun(bench.folder / "killed.db") > before or process.poll() is not None,
            "a new run",
        )
    time.sleep(rng.uniform(0, 1.5))
    if process.poll() is not None:
        return None
    workers = [w for w in psutil.Process(process.pid).children() if is_worker(w)]
    if workers and rng.random() < 0.5:
        workers[rng.integers(len(workers))].kill()
        return "a worker"
    process.kill()
    process.wait()
    return "the sweep"


def is_worker(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "loky" in command and "resource_tracker" not in command


def kill_repeatedly(bench: StressProject, kills: int, rng: np.random.Generator) -> int:
    """Kill so many times, then let the sweep end. Returns the number of its cells."""
    cells, done, started = CELLS, 0, time.monotonic()
    process = bench.sweep(cells, "killed")
    while done < kills:
        struck = kill_once(bench, process, rng)
        if struck:
            done += 1
            at = f"{time.monotonic() - started:.1f} s"
            runs = begun(bench.folder / "killed.db")
            print(f"kill {done}/{kills} at {at}: {struck}, {runs} runs begun", flush=True)
        if process.poll() is not None:
            if not struck:
                assert process.returncode == 0, f"the sweep ended with {process.returncode}"
                cells += CELLS
            process = bench.sweep(cells, "killed")
    finish(process)
    return cells


def finish(process: Process) -> None:
    code = process.wait(LIMIT)
    assert code == 0, f"a command ended with {code}"


def faults(bench: StressProject, cells: int) -> list[str]:
    """What is wrong with the store, held against a sweep that nobody disturbed."""
    finish(bench.sweep(cells, "whole"))
    found = by_seed(bench.uri("killed"))
    wanted = by_seed(bench.uri("whole"))
    wrong = [f"still alive: {process}" for process in bench.survivors()]
    if "Traceback" in bench.log.read_text():
        wrong.append(f"a traceback was written, see {bench.log}")
    kept = bench.project / "mlruns" / "checkpoints"
    wrong += [f"a checkpoint is left: {file.name}" for file in kept.glob("*[!w]")]
    if set(found) != set(map(str, range(cells))):
        wrong.append(f"{cells} cells, and runs of the seeds {', '.join(sorted(found))}")
    for seed, runs in found.items():
        states = [run.info.status for run in runs]
        if states.count("FINISHED") != 1 or set(states) - {"FINISHED", "KILLED"}:
            wrong.append(f"seed {seed}: {', '.join(states)}")
            continue
        (run,) = [run for run in runs if run.info.status == "FINISHED"]
        (whole,) = wanted[seed]
        wrong += [f"seed {seed}: {text}" for text in differences(bench, run, whole)]
    return wrong


def by_seed(uri: str) -> "dict[str, list[Run]]":
    result: dict[str, list[Run]] = {}
    for run in runs_in(uri):
        result.setdefault(run.data.tags["seed"], []).append(run)
    return result


def differences(bench: StressProject, run: "Run", whole: "Run") -> Iterator[str]:
    """Between a run that may have been killed on its way, and the same one undisturbed."""
    if set(run.data.metrics) != set(whole.data.metrics):
        yield f"metrics {sorted(run.data.metrics)}"
    for name in whole.data.metrics:
        one = history(bench.uri("killed"), run, name)
        other = history(bench.uri("whole"), whole, name)
        if [step for step, _ in one] != [*range(1, EPOCHS + 1)]:
            yield f"{name} has the steps {[step for step, _ in one]}"
        elif one != other:
            yield f"{name} has other values"
    if bench.weights(run) != bench.weights(whole):
        yield "other weights"


def history(uri: str, run: "Run", name: str) -> list[tuple[int, float]]:
    """All points of a metric."""
    points = client_of(uri).get_metric_history(run.info.run_id, name)
    return [(point.step, point.value) for point in points]


def first_starts(bench: StressProject, number: int) -> list[str]:
    """What goes wrong when many first commands make a store at the same moment."""
    uri = bench.uri(f"first-{number}")
    processes = [bench.start("notes", f"tracking.uri={uri}") for _ in range(CHUNK)]
    codes = [process.wait(LIMIT) for process in processes]
    runs = runs_in(uri)
    wrong = [] if codes == [0] * CHUNK else [f"exit codes {codes}, see {bench.log}"]
    if [run.info.status for run in runs] != ["FINISHED"] * CHUNK:
        wrong.append(f"runs {[run.info.status for run in runs]}")
    for run in runs:
        for name in run.data.metrics:
            steps = [step for step, _ in history(uri, run, name)]
            if steps != [1, 2, 3]:
                wrong.append(f"{run.info.run_id}: {name} has the steps {steps}")
    print(f"first start {number}: {len(runs)} runs, {len(wrong)} faults", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--first-starts", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="sgdprobe-stress-"))
    bench = StressProject(folder)
    wrong: list[str] = []
    try:
        for number in range(1, asked.first_starts + 1):
            wrong += first_starts(bench, number)
        if asked.kills:
            cells = kill_repeatedly(bench, asked.kills, np.random.default_rng(asked.seed))
            wrong += faults(bench, cells)
            print(f"{asked.kills} kills, {cells} cells, {begun(folder / 'killed.db')} runs")
    except (AssertionError, TimeoutError, subprocess.TimeoutExpired) as error:
        wrong.append(f"{error}; see {bench.log}")
    finally:
        bench.end()
    for text in wrong:
        print(f"wrong: {text}")
    print(f"{len(wrong)} faults; all is in {folder}" if wrong else "no faults")
    if not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
