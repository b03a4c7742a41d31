"""Stress: kill a sweep at random moments, run it again until it is done, and check what it left.

python tests/stress.py --kills 6 --seed 0
python tests/stress.py --kills 0 --first-starts 20
python tests/stress.py --kills 0 --claims 5        the same sweep by several ways to one store
python tests/stress.py --kills 0 --lost-answers 8  a server whose answers get lost
python tests/stress.py --kills 0 --cluster-faults 30  Dask, `mlflow server` and PostgreSQL
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from support import (
    Cluster,
    ForkServer,
    LossyProxy,
    Postgres,
    Process,
    Server,
    artifacts_of,
    few_digits,
    free_port,
    points_of,
    runs_in,
    small_project,
    wait_until,
    weights_of,
)

from sgdprobe import tracking

if TYPE_CHECKING:
    from mlflow.entities import Run

EPOCHS = 30  # of 5 updates each: half a second a run, so that a kill meets two of them
CELLS = 6  # of the first grid; where kills are left when it is done, it grows by as many
TIMEOUT_S = 600.0  # for a command
CHUNK = 8


class StressProject:
    """A small project of its own, and its commands as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("digits", "project", "tmp", "output"):
            (folder / name).mkdir()
        self.root = small_project(folder / "project", few_digits(folder / "digits"))
        self.processes: list[Process] = []
        self._numbers = count(1)
        self.environment = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(folder / "tmp"),
            # Runs this short would leave no checkpoint at the default of 20 seconds.
            "SGDPROBE_CHECKPOINT_INTERVAL_S": "0.05",
        }
        self._server = ForkServer(self.environment)

    def uri(self, name: str) -> str:
        return name if "://" in name else f"sqlite:///{self.folder}/{name}.db"

    def start(self, *words: str, **variables: str) -> Process:
        output = self.folder / "output" / str(next(self._numbers))
        output.mkdir()
        process = self._server.start(
            self.root / "src" / "train.py",
            words,
            cwd=self.folder,
            environment=self.environment | variables,
            folder=output,
        )
        self.processes.append(process)
        return process

    def sweep(self, cells: int, store: str, **variables: str) -> Process:
        return self.start(*self.sweep_words(cells, store), **variables)

    def sweep_words(self, cells: int, store: str) -> list[str]:
        return [
            *("-m", "notes", f"seed=range(0,{cells})", f"training.iterations={5 * EPOCHS}"),
            *("dtype=float32", "sweep.n_jobs=2", "sweep.max_kills=1000000"),
            f"tracking.uri={self.uri(store)}",
        ]

    def tracebacks(self) -> list[Path]:
        """The output that has a traceback in it.

        One in place of a killed tracker complains about all that it has not seen begin.
        """
        texts = {file: file.read_text() for file in (self.folder / "output").glob("*/std*")}
        its_own = r'Traceback .*\n  File ".*/resource_tracker\.py"'
        return [file for file, t in texts.items() if "Traceback" in re.sub(its_own, "", t)]

    def survivors(self) -> list[psutil.Process]:
        """Processes of ours; a worker may take half a second to see that it is alone."""
        end = time.monotonic() + 20
        while found := [*self._alive()]:
            if time.monotonic() > end:
                break
            time.sleep(0.2)
        return found

    def _alive(self) -> Iterator[psutil.Process]:
        sessions = {process.pid for process in self.processes}
        for process in psutil.process_iter():
            try:
                ours = os.getsid(process.pid) in sessions
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    yield process
            except (psutil.Error, ProcessLookupError):
                continue

    def end(self) -> None:
        """End what is still there, also when this program is stopped itself."""
        for process in self._alive():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._server.close()

    def weights(self, run: "Run") -> bytes:
        layers = weights_of(artifacts_of(self.root, run))
        return b"".join(layers[name].tobytes() for name in sorted(layers))


def begun(store: Path) -> int:
    """How many runs a store holds, of any status."""
    try:
        connect = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)
        with contextlib.closing(connect) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # not there yet


def kill_once(project: StressProject, process: Process, rng: np.random.Generator) -> str | None:
    """Kill the sweep's process, a worker of it or joblib's tracker; None if it ended before.

    One time in four that is while it starts, else shortly after a new run has begun.
    """
    before = begun(project.folder / "killed.db")
    if rng.random() < 0.75:
        wait_until(
            lambda: begun(project.folder / "killed.db") > before or process.poll() is not None,
            "a new run",
            TIMEOUT_S,
        )
    time.sleep(rng.uniform(0, 1.5))
    if process.poll() is not None:
        return None
    children = psutil.Process(process.pid).children()
    for what, share in {"worker": 0.4, "resource_tracker": 0.2}.items():
        found = [child for child in children if kind(child) == what]
        if found and rng.random() < share:
            found[rng.integers(len(found))].kill()
            return f"a {what}"
    process.send(signal.SIGKILL)
    process.wait()
    return "the sweep"


def kind(process: psutil.Process) -> str:
    """worker, resource_tracker or an empty string: one of joblib's processes."""
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return ""
    if "loky" not in command:
        return ""
    return "resource_tracker" if "resource_tracker" in command else "worker"


def kill_repeatedly(project: StressProject, kills: int, rng: np.random.Generator) -> int:
    """Kill so many times, then let the sweep end. Returns the number of its cells."""
    cells, done, started = CELLS, 0, time.monotonic()
    process = project.sweep(cells, "killed")
    while done < kills:
        struck = kill_once(project, process, rng)
        if struck:
            done += 1
            at = f"{time.monotonic() - started:.1f} s"
            runs = begun(project.folder / "killed.db")
            print(f"kill {done}/{kills} at {at}: {struck}, {runs} runs begun", flush=True)
        code = process.poll()
        if code is not None:
            if not struck:
                assert code == 0, f"the sweep ended with {code}"
                cells += CELLS
            process = project.sweep(cells, "killed")
    finish(process)
    return cells


def finish(process: Process) -> None:
    code = process.wait(TIMEOUT_S)
    assert code == 0, f"a command ended with {code}"


def problems(project: StressProject, cells: int) -> list[str]:
    """Problems of the store, beside one of a sweep that was not disturbed."""
    finish(project.sweep(cells, "whole"))
    found = by_seed(project.uri("killed"))
    wanted = by_seed(project.uri("whole"))
    wrong = [f"still alive: {process}" for process in project.survivors()]
    wrong += [f"a traceback was written, see {file}" for file in project.tracebacks()]
    kept = project.root / "mlruns" / "checkpoints"
    wrong += [f"a checkpoint is left: {file.name}" for file in kept.glob("*")]
    if set(found) != set(map(str, range(cells))):
        wrong.append(f"{cells} cells, and runs of the seeds {', '.join(sorted(found))}")
    for seed, runs in found.items():
        states = [run.info.status for run in runs]
        if states.count("FINISHED") != 1 or set(states) - {"FINISHED", "KILLED"}:
            wrong.append(f"seed {seed}: {', '.join(states)}")
            continue
        (run,) = [run for run in runs if run.info.status == "FINISHED"]
        (whole,) = wanted[seed]
        wrong += [f"seed {seed}: {text}" for text in differences(project, run, whole)]
    return wrong


def by_seed(uri: str) -> "dict[str, list[Run]]":
    result: dict[str, list[Run]] = {}
    for run in runs_in(uri):
        result.setdefault(run.data.tags["seed"], []).append(run)
    return result


def differences(project: StressProject, run: "Run", whole: "Run") -> Iterator[str]:
    """Between a run that may have been killed on its way, and the same run undisturbed."""
    if set(run.data.metrics) != set(whole.data.metrics):
        yield f"metrics {sorted(run.data.metrics)}"
        return
    found, wanted = points_of(project.uri("killed"), run), points_of(project.uri("whole"), whole)
    for name, points in found.items():
        if [step for step, _ in points] != [*range(1, EPOCHS + 1)]:
            yield f"{name} has the steps {[step for step, _ in points]}"
        elif points != wanted[name]:
            yield f"{name} has other values"
    if project.weights(run) != project.weights(whole):
        yield "other weights"


def first_starts(project: StressProject, number: int) -> list[str]:
    """Problems when many first commands make a store at the same moment."""
    uri = project.uri(f"first-{number}")
    processes = [project.start("notes", f"tracking.uri={uri}") for _ in range(CHUNK)]
    codes = [process.wait(TIMEOUT_S) for process in processes]
    runs = runs_in(uri)
    wrong = [] if codes == [0] * CHUNK else [f"exit codes {codes}, see {project.folder}"]
    if [run.info.status for run in runs] != ["FINISHED"] * CHUNK:
        wrong.append(f"runs {[run.info.status for run in runs]}")
    for run in runs:
        for name, points in points_of(uri, run).items():
            steps = [step for step, _ in points]
            if steps != [1, 2, 3]:
                wrong.append(f"{run.info.run_id}: {name} has the steps {steps}")
    print(f"first start {number}: {len(runs)} runs, {len(wrong)} problems", flush=True)
    return wrong


def claims(project: StressProject, number: int) -> list[str]:
    """Problems when the same sweep is started by several ways to one store, and the clock moves.

    The ways: two spellings, a symbolic link, other folders for temporary files, another container.
    """
    folder = project.folder / f"claims-{number}"
    folder.mkdir()
    (folder / "link").symlink_to(folder)
    processes = [
        project.sweep(CELLS, f"{folder.name}/{way}/x", TMPDIR=tempfile.mkdtemp(dir=folder))
        for way in (".", "link")
    ]
    words = ["unshare", "--pid", "--fork", "--mount-proc"]
    contained = subprocess.run([*words, "true"], check=False, capture_output=True).returncode == 0
    container = project.sweep_words(CELLS, f"{folder.name}/x") if contained else []
    script = str(project.root / "src" / "train.py")
    with subprocess.Popen(
        [*words, sys.executable, script, *container] if contained else ["true"],
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as other:
        wait_until(lambda: begun(folder / "x.db") > 0, "a run", TIMEOUT_S)
        with mock.patch("time.time", lambda now=time.time: now() + 3600):
            store = tracking.open_experiment(f"sqlite:///{folder}/x.db", "notes")
        codes = [process.wait(TIMEOUT_S) for process in processes]
        _, said = other.communicate(timeout=TIMEOUT_S)
    found = by_seed(store.uri)
    wrong = [] if [*codes, other.returncode] == [0, 0, 0] else [f"exit codes {codes}, {said}"]
    wrong += once(found, CELLS)
    ways = 2 + contained
    print(f"claims {number}: {ways} ways, {len(found)} cells, {len(wrong)} problems", flush=True)
    return wrong


def once(found: "dict[str, list[Run]]", cells: int) -> list[str]:
    """Cells that were not made exactly once."""
    states = {seed: [run.info.status for run in runs] for seed, runs in found.items()}
    wanted = {str(seed): ["FINISHED"] for seed in range(cells)}
    return [] if states == wanted else [f"runs {states}"]


def lost_answers(project: StressProject, answers: int) -> list[str]:
    """Problems when a server creates runs and so many of its answers get lost."""
    environment = project.environment | {"HOME": str(project.folder)}
    server = Server(project.folder, free_port(), environment)
    server.start()
    try:
        with LossyProxy(server, loses=answers) as proxy:
            code = project.start(*project.sweep_words(CELLS, proxy.uri)).wait(TIMEOUT_S)
        wrong = [] if code == 0 else [f"exit code {code}"]
        wrong += once(by_seed(server.uri), CELLS)
        print(f"lost answers: {proxy.lost}, {len(wrong)} problems", flush=True)
    finally:
        server.kill()
    return wrong


def loopback(state: str) -> None:
    """Take the link between all processes of this network namespace down, or up."""
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def enter_own_network(arguments: Sequence[str]) -> None:
    """Start this program again in a network namespace of its own, whose link it may cut."""
    if "SGDPROBE_OWN_NETWORK" not in os.environ:
        os.environ["SGDPROBE_OWN_NETWORK"] = "1"
        words = ("unshare", "--net", sys.executable, __file__, *arguments)
        os.execvp(words[0], words)  # noqa: S606
    loopback("up")


class FaultyCluster:
    """A sweep on Dask, recorded by `mlflow server` in PostgreSQL; each part is a process."""

    KINDS = ("driver", "worker", "scheduler", "server", "database", "network")

    def __init__(self, project: StressProject, runs: int) -> None:
        environment = project.environment | {"HOME": str(project.folder)}
        self.project, self.database = project, Postgres()
        self.database.create()
        self.server = Server(project.folder, free_port(), environment, store=self.database.uri)
        self.cluster = Cluster(project.root, environment)
        self.words = project.sweep_words(runs, self.server.uri)
        self.words.remove("sweep.n_jobs=2")
        self.words += ["sweep=dask", f"sweep.scheduler={self.cluster.address}", "tracking.lease=10"]
        self.server.start()
        self.start_cluster()
        self.begin()

    def begin(self) -> None:
        self.driver = self.project.start(*self.words)

    def start_cluster(self) -> None:
        self.cluster.kill()
        self.cluster.processes.clear()
        self.cluster.start_scheduler()
        for _ in range(2):
            self.cluster.start_worker()

    def fault(self, kind: str) -> None:
        if kind == "driver":
            self.driver.send(signal.SIGKILL)
        elif kind == "worker":
            os.killpg(self.cluster.processes[-1].pid, signal.SIGKILL)
            self.cluster.start_worker()
        elif kind == "scheduler":
            self.start_cluster()
        elif kind == "network":  # no part reaches another one
            loopback("down")
            time.sleep(5)
            loopback("up")
        else:
            part = self.server if kind == "server" else self.database
            part.kill()
            part.start()

    def end(self) -> None:
        self.cluster.kill()
        self.server.kill()
        self.database.remove()


def cluster_faults(project: StressProject, faults: int, rng: np.random.Generator) -> list[str]:
    """Problems when parts of a cluster are killed while it makes 100 runs."""
    runs = 100
    parts = FaultyCluster(project, runs)
    try:
        for number in range(1, faults + 1):
            time.sleep(rng.uniform(0.5, 6))
            if parts.driver.poll() is not None:
                parts.begin()
                time.sleep(4)
            kind = parts.KINDS[rng.integers(len(parts.KINDS))]
            print(f"fault {number}: {kind}", flush=True)
            parts.fault(kind)
        while (code := parts.driver.wait(TIMEOUT_S)) != 0 and len(project.processes) < 3 * faults:
            parts.begin()
        found = by_seed(parts.server.uri)
    finally:
        parts.end()
    states = {seed: [run.info.status for run in made] for seed, made in found.items()}
    wrong = [] if code == 0 else [f"exit code {code}"]
    for seed in map(str, range(runs)):
        ends = states.get(seed, [])
        if ends.count("FINISHED") != 1 or "RUNNING" in ends:
            wrong.append(f"seed {seed}: {ends}")
    made = sum(map(len, states.values()))
    print(f"{faults} faults, {made} runs, {len(project.processes)} commands", flush=True)
    return wrong


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--first-starts", type=int, default=0)
    parser.add_argument("--claims", type=int, default=0)
    parser.add_argument("--lost-answers", type=int, default=0)
    parser.add_argument("--cluster-faults", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.cluster_faults:
        enter_own_network(arguments)
    folder = Path(tempfile.mkdtemp(prefix="sgdprobe-stress-"))
    project = StressProject(folder)
    wrong: list[str] = []
    try:
        for number in range(1, options.first_starts + 1):
            wrong += first_starts(project, number)
        for number in range(1, options.claims + 1):
            wrong += claims(project, number)
        if options.lost_answers:
            wrong += lost_answers(project, options.lost_answers)
        if options.cluster_faults:
            rng = np.random.default_rng(options.seed)
            wrong += cluster_faults(project, options.cluster_faults, rng)
        if options.kills:
            cells = kill_repeatedly(project, options.kills, np.random.default_rng(options.seed))
            wrong += problems(project, cells)
            print(f"{options.kills} kills, {cells} cells, {begun(folder / 'killed.db')} runs")
    except AssertionError as error:
        wrong.append(f"{error}; see {project.folder}")
    finally:
        project.end()
    for text in wrong:
        print(f"wrong: {text}")
    print(f"{len(wrong)} problems; all is in {folder}" if wrong else "no problems")
    if not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
