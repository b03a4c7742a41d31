"""Record what no new version may change, and check a checkout against the record.

    python tests/frozen/frozen.py record|check [--project DIR] [--python PY] [GROUP ...]

The groups are numbers, refusals and tables; without one, all three. Everything goes through the
project's command line, in a temporary copy of its `src/` and `conf/`, so that names inside the
code may change. Numbers and tables need an x86-64 processor with AVX2: `bits=avx2` makes their
bits the same on all of these. At most two processes compute at the same time.

The record is numbers.json, refusals.json, headers.json and tables/, beside this file.
"""

import argparse
import csv
import gzip
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

HERE = Path(__file__).resolve().parent
NUMBERS, REFUSALS, HEADERS = (HERE / f"{name}.json" for name in ("numbers", "refusals", "headers"))
TABLES = HERE / "tables"
PROJECT = HERE.parents[1]

PROCESSES = 2
TIMEOUT_S = 900.0  # for a machine under load
CHECKPOINT_AFTER_S = 20.5  # the README promises a checkpoint after 20 s
EXIT_USAGE = 2

TRAIN_IMAGES, TEST_IMAGES = 600, 200  # of the small data set
SMALL = "data.root={digits} training.batch_size=20"  # epochs of 30 updates

# Runs by name. Those with SMALL read 600 images; 200 updates are 6 epochs and a part.
RUNS = {
    "notes": f"notes seed=1 training.iterations=200 {SMALL}",
    "book-all-images": "book seed=2 training.iterations=700",
    "best-validation-all-images": (
        "best seed=3 data.validation=10000 training.epochs=null training.iterations=300"
    ),
    "relu-he-permutation-validation": (
        "seed=4 network.activation=relu init=he training.sampling=permutation "
        f"data.validation=101 training.iterations=200 {SMALL}"
    ),
    "tanh-xavier-squared-error-float64": (
        "seed=5 dtype=float64 network.activation=tanh init=xavier data.scale=standard "
        f"network.loss=mean_squared_error training.iterations=200 {SMALL}"
    ),
    "identity-lecun-three-layers": (
        "seed=6 network.activation=identity init=lecun network.hidden=[30,20,10] "
        f"training.learning_rate=0.05 training.iterations=200 {SMALL}"
    ),
    "no-hidden-layer-batch-softmax-squared-error": (
        "seed=7 network=linear network.softmax_over=batch network.loss=mean_squared_error "
        f"training.sampling=permutation training.iterations=200 {SMALL}"
    ),
    "relu-batch-softmax-bytes": (
        "seed=8 network=deep network.activation=relu network.softmax_over=batch data.scale=none "
        f"init.scale=0.001 training.learning_rate=0.001 training.iterations=200 {SMALL}"
    ),
    "tanh-epochs-standard": (
        "seed=9 network.activation=tanh data.scale=standard init.scale=0.1 training.epochs=7 "
        "training.iterations=null data.root={digits} training.batch_size=64"
    ),
    "numerical-gradient": (
        "notes seed=10 training.gradient=numerical network.hidden=[2] training.iterations=5 "
        "data.root={digits} training.batch_size=150"
    ),
    "diverged": (
        "seed=11 network.activation=identity training.learning_rate=1e30 training.iterations=20 "
        "data.root={digits} training.batch_size=600"
    ),
}
# A run that is killed and resumed; the record is of one that was not interrupted.
RESUMED = "resumed"
RESUMED_RUN = (
    "notes seed=12 dtype=float32 training.sampling=permutation data.validation=1000 "
    "training.iterations=3700"
)

# These depend on the machine or the clock.
VOLATILE = ("seconds", "peak_memory_bytes")
PLACES = ("tracking.", "data.root", "sweep.")
TAG_VALUES = ("program", "data_hash", "recipe", "seed")

# Command lines that end with exit code 2, with a word that must be in the message.
REFUSED: dict[str, dict[str, str]] = {
    "train.py": {
        "seed=1.5": "seed",
        "seed=-1": "seed",
        "seed=": "seed",
        "'seed={{a: 1}}'": "seed",
        "dtype=float16": "dtype",
        "bits=avx512": "bits",
        "tracking.uri=5": "tracking.uri",
        "network.hidden=5": "network.hidden",
        "network.hidden=[0]": "network.hidden",
        "network.activation=gelu": "network.activation",
        "network.loss=hinge": "network.loss",
        "init.scale=nan": "init.scale",
        "init.scheme=glorot": "init.scheme",
        "training.learning_rate=0": "training.learning_rate",
        "training.gradient=exact": "training.gradient",
        "data.root={digits} training.batch_size=601": "training.batch_size",
        "data.root={digits} data.validation=600": "data.validation",
        "sweep.n_jobs=0": "sweep.n_jobs",
        "sweep.backend=threads": "sweep.backend",
        "sweep.resume=1": "sweep.resume",
        "network=wide": "network",
        "network=5": "network",
        "experiment=missing": "missing",
        "note": "note",
        "foo=1": "foo",
        "+foo=1": "foo",
        "network.foo=1": "network.foo",
        "--learning-rate=1": "--learning-rate",
        "-x": "-x",
        "hydra.foo=1": "hydra.foo",
        "training.epochs=3": "training.epochs",
        "training.iterations=null": "training.iterations",
        "data.name=cifar": "data.name",
        "~seed": "~seed",
        "notes book": "experiment=book",
        "seed=1,2": "seed",
        "-m --cfg job": "--cfg",
        "--cfg foo": "--cfg",
        "--resolve": "--resolve",
        "seed=[1": "seed=[1",
        "data.root=/nowhere": "data.root",
        "data.root={damaged}": "train-labels-idx1-ubyte",
        "tracking.uri=nowhere://x": "nowhere://x",
        "tracking.uri=sqlite:///{broken}": "broken.db",
        "-m notes init.scale=1,-1": "init.scale",
        "-m notes data.root={digits} training.batch_size=100,601": "training.batch_size",
        "-m notes training.epochs=null,3": "training.epochs",
        "-m notes +foo=1,2": "foo",
        "-m notes tracking.uri=a,b": "tracking.uri",
        "-m notes data.root=/nowhere,null": "data.root",
        "-m notes 'seed=range(5,5)'": "seed",
    },
    "explain.py": {
        "notes notes": "recipes",
        "notes bok": "bok",
        "notes sweep": "sweep",
        "notes": "target",
        "notes book --sedes 3": "--sedes",
        "notes book --seeds 1": "--seeds",
        "notes book --seeds x": "--seeds",
        "notes book --factors lr": "--factors",
        "notes book --fix seed=3": "seed",
        "notes book --fix foo=1": "foo",
        "notes book --fix dtype=float16": "dtype",
        "notes book --fix init.scale=1,2": "--fix",
        "notes book --with data.validation=1": "--with",
        "notes book --with sweep.n_jobs=1,2": "--with",
        "notes book --claim 170": "--claim",
        "notes book --tolerance -1": "--tolerance",
        "notes book --tune lr=1,2": "lr",
        "notes book --tune seed=1,2": "--tune",
        "notes book --tune init.scale=1": "--tune",
        "notes book --tune init.scale=1,-1": "init.scale",
        "notes book --tune init.scale=1,2 --tune training.learning_rate=1,2": "--tune",
        "notes book --tune init.scale=1,2 --factors init.scale": "--tune",
        "notes book --tune init.scale=1,2 --with data.validation=1,2": "data.validation",
        "notes book --study ../x": "--study",
        "notes book --no-run": "640",
        "notes book --fix data.root={digits} --fix training.batch_size=601": "training.batch_size",
        "notes book --with network.activation=sigmoid,relu --with training.batch_size=50,60": (
            "--force"
        ),
        "notes book --no-run --fix tracking.uri=sqlite:///{broken}": "broken.db",
    },
    "rerun.py": {
        "": "--sweep",
        "--smaple 3 last": "--smaple",
        "last --sweep last": "--sweep",
        "--sweep last --sample x": "--sample",
        "--sweep last --sample 0 --uri {store}": "--sample",
        "--sweep last --n-jobs 0 --uri {store}": "--n-jobs",
        "--sweep nosuch --uri {store}": "nosuch",
        "nosuch --uri {store}": "nosuch",
        "{foreign} --uri {store}": "{foreign}",
        "{bare} --uri {store}": "{bare}",
        "{whole} --uri {store} --data-root /nowhere": "/nowhere",
        "{whole} --uri {store} --data-root {flipped}": "train-images-idx3-ubyte",
        "{whole} --uri {store} --at-recorded-commit": "commit",
        "last --uri sqlite:///{missing}": "missing.db",
        "last --uri sqlite:///{broken}": "broken.db",
    },
    "report.py": {
        "--stduy x": "--stduy",
        "last second": "second",
        "last --uri": "--uri",
        "nosuch --uri {store}": "nosuch",
        "last --study x --uri {store}": "--study",
        "last-sweep --study ../x --uri {store}": "--study",
        "last --uri sqlite:///{missing}": "missing.db",
        "last --uri sqlite:///{broken}": "broken.db",
        "last --uri nowhere://x": "nowhere://x",
    },
}
# These are one line now; version 0.1.0 prints argparse's usage, too.
WANTED_LINES = 1

TINY = "bits=avx2 data.root={digits} tracking.uri={uri} sweep.backend=sequential"
FIXED = " ".join(f"--fix {word}" for word in TINY.split())
SWEPT = f"{TINY} seed=0,1 training.iterations=60 training.batch_size=50"
EXPLAINED = (
    f"notes book --fix dtype=float32 --fix training.iterations=60 {FIXED} --seeds 3 "
    "--factors data.scale,network.hidden,training.learning_rate"
)
# Two lists of commands, each with its own store: script, words and expected exit code.
Command = tuple[str, str, int]
SWEEP_COMMANDS: list[Command] = [
    (
        "train.py",
        f"-m sweep init.scale=0.01,1 training.learning_rate=0.1,0.5 "
        f"network.hidden=[50],[30,20] {SWEPT}",
        0,
    ),
    (
        "train.py",
        "-m book network.activation=relu,identity training.learning_rate=0.1,1e30 "
        f"tracking.experiment=half-diverged {SWEPT}",
        1,
    ),
    ("report.py", "sweep --study sweep --uri {uri}", 0),
    ("report.py", "half-diverged --study sweep-diverged --uri {uri}", 0),
    ("rerun.py", "--sweep last --sample 3 --n-jobs 1 --uri {uri}", 0),
]
EXPLAIN_COMMANDS: list[Command] = [
    ("explain.py", f"{EXPLAINED} --study explain", 0),
    ("explain.py", f"{EXPLAINED} --tune training.learning_rate=0.01,0.1 --study tuned", 0),
    (
        "explain.py",
        "book book --with training.learning_rate=0.1,1e30 --fix network.activation=identity "
        f"--fix training.iterations=20 {FIXED} --seeds 2 --study explain-diverged",
        0,
    ),
]


@dataclass(frozen=True)
class Answer:
    """Exit code and output of a command."""

    exit: int
    out: str
    err: str


@dataclass(frozen=True)
class Item:
    """One item of the record with its first difference, which is empty if it is the same.

    added : names that the record does not have, such as a new metric; they are allowed.
    """

    name: str
    difference: str = ""
    added: str = ""

    def __str__(self) -> str:
        """Return the line that `check` prints."""
        if not self.difference:
            return f"same       {self.name}{f' (added: {self.added})' if self.added else ''}"
        return f"DIFFERENT  {self.name}: {self.difference}"


class Sandbox:
    """A temporary copy of a project, with small data, in which its commands are run."""

    def __init__(self, folder: Path, project: Path, python: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self._python = python
        self._free = threading.Semaphore(PROCESSES)
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for part in ("src", "conf"):
            shutil.copytree(project / part, self.project / part, ignore=ignore)
        (self.project / "experiments").mkdir()
        (folder / "cwd").mkdir()
        (folder / "tmp").mkdir()
        self.digits = folder / "digits"
        _write_digits(next(self.project.glob("src/**/train-images-*.gz")).parent, self.digits)

    def uri(self, name: str) -> str:
        """Return the address of a store in the sandbox."""
        return f"sqlite:///{self.store(name)}"

    def store(self, name: str) -> Path:
        """Return the file of a store in the sandbox."""
        return self.folder / f"{name}.db"

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait until fewer than two processes compute."""
        with self._free:
            yield

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a command: these, and none that would change what it does."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        return kept | {"TMPDIR": str(self.folder / "tmp")} | dict(variables)

    def start(self, script: str, words: Sequence[str], **variables: str) -> subprocess.Popen[str]:
        """Start a command in a folder that is not the project's."""
        return subprocess.Popen(
            [str(self._python), str(self.project / "src" / script), *words],
            cwd=self.folder / "cwd",
            env=self.environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, words: Sequence[str], **variables: str) -> Answer:
        """Run a command to its end."""
        with self.slot(), self.start(script, words, **variables) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            return Answer(process.returncode, out, err)

    def must_run(self, script: str, words: Sequence[str], code: int = 0) -> Answer:
        """Run a command that has to end with this exit code. Raises RuntimeError."""
        answer = self.run(script, words)
        if answer.exit != code:
            raise RuntimeError(
                f"{script} {shlex.join(words)} ended with {answer.exit}, not {code}:\n"
                f"{answer.out}{answer.err}"
            )
        return answer


@contextmanager
def sandbox(project: Path, python: Path) -> Iterator[Sandbox]:
    """Make a sandbox and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="frozen-") as folder:
        yield Sandbox(Path(folder), project, python)


def _write_digits(mnist: Path, folder: Path) -> None:
    """Write the first 600 training and 200 test images of MNIST as plain IDX files."""
    folder.mkdir()
    for part, count in (("train", TRAIN_IMAGES), ("t10k", TEST_IMAGES)):
        for name, header, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            file = f"{part}-{name}-ubyte"
            with gzip.open(mnist / f"{file}.gz") as stream:
                head = bytearray(stream.read(header))
                head[4:8] = count.to_bytes(4, "big")
                (folder / file).write_bytes(bytes(head) + stream.read(count * size))


def has_avx2() -> bool:
    """Return True on x86-64 Linux with AVX2, where `bits=avx2` can be had."""
    cpu = Path("/proc/cpuinfo")
    return platform.machine() == "x86_64" and cpu.exists() and "avx2" in cpu.read_text()


# --- numbers ---------------------------------------------------------------------------------


def measure_numbers(box: Sandbox) -> dict[str, Any]:
    """Make all runs, the resumed one too, and return what they recorded."""
    with ThreadPoolExecutor(PROCESSES + 1) as pool:
        resumed = pool.submit(measure_resumed, box)
        found = pool.map(lambda name: measure_run(box, name, RUNS[name]), RUNS)
        return dict(zip(RUNS, found, strict=True)) | {RESUMED: resumed.result()}


def record_numbers(box: Sandbox) -> dict[str, Any]:
    """Make all runs to be recorded; the resumed run has to equal one that was not interrupted."""
    numbers = measure_numbers(box)
    resumed, whole = numbers[RESUMED], measure_run(box, "uninterrupted", RESUMED_RUN)
    difference = first_difference(whole, resumed)
    if difference:
        raise RuntimeError(f"the resumed run differs from the uninterrupted one: {difference}")
    return numbers


def measure_run(box: Sandbox, name: str, words: str) -> dict[str, Any]:
    """Train once, in an experiment of its own, and return what was recorded."""
    answer = box.run("train.py", run_words(box, "numbers", name, words))
    return {"command": words, "exit": answer.exit} | recorded_run(box, "numbers", name)


def run_words(box: Sandbox, store: str, name: str, words: str) -> list[str]:
    """Return the words of a run of this name."""
    places = f" bits=avx2 tracking.uri={box.uri(store)} tracking.experiment={name}"
    return shlex.split(words.format(digits=box.digits) + places)


def measure_resumed(box: Sandbox) -> dict[str, Any]:
    """Train, kill the process after its first checkpoint, and give the same command again.

    A stopped process has its clock go on: so a run of two seconds comes to its checkpoint.
    """
    words = run_words(box, RESUMED, RESUMED, RESUMED_RUN)
    free = box.slot()
    free.__enter__()
    process = box.start("train.py", words)
    try:
        _wait_for_epochs(box, process, 1)
        process.send_signal(signal.SIGSTOP)
        free.__exit__(None, None, None)
        time.sleep(CHECKPOINT_AFTER_S)
        free = box.slot()
        free.__enter__()
        process.send_signal(signal.SIGCONT)
        _wait_for_epochs(box, process, _epochs(box) + 1)
    finally:
        process.kill()
        process.communicate()
        free.__exit__(None, None, None)
    answer = box.run("train.py", words)
    found = recorded_run(box, RESUMED, RESUMED)
    if "continues" not in found["tag_names"]:
        raise RuntimeError(f"the run was not resumed: it has no tag `continues`\n{answer.err}")
    del found["tag_names"]["continues"]
    return {"command": RESUMED_RUN, "exit": answer.exit} | found


def _epochs(box: Sandbox) -> int:
    """Return how many epochs of the run to be resumed the store has."""
    try:
        rows = query(box.store(RESUMED), "SELECT COUNT(*) FROM metrics WHERE key = 'loss'")
    except sqlite3.OperationalError:  # not there yet, or locked
        return 0
    return int(rows[0][0])


def _wait_for_epochs(box: Sandbox, process: subprocess.Popen[str], count: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while _epochs(box) < count:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the run to be killed ended early, or has not {count} epochs")
        time.sleep(0.02)


def query(store: Path, sql: str, *values: str) -> list[tuple[Any, ...]]:
    """Return the rows of a question to a sqlite store."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return list(connection.execute(sql, values))


def recorded_run(box: Sandbox, store: str, experiment: str) -> dict[str, Any]:
    """Return what the newest run of an experiment recorded, but for times and places."""
    file = box.store(store)
    ((run, status, uri),) = query(
        file,
        "SELECT run_uuid, runs.status, artifact_uri FROM runs JOIN experiments USING "
        "(experiment_id) WHERE experiments.name = ? ORDER BY start_time DESC LIMIT 1",
        experiment,
    )
    tags = dict(query(file, "SELECT key, value FROM tags WHERE run_uuid = ?", run))
    params = dict(query(file, "SELECT key, value FROM params WHERE run_uuid = ?", run))
    folder = box.project / unquote(urlsplit(uri).path)
    numbers = json.loads((folder / "numbers.json").read_text())
    return {
        "status": status,
        "numbers": {key: v for key, v in numbers.items() if key not in VOLATILE},
        "numbers_keys": _names(numbers),
        "arrays": {path.name: array_hashes(path) for path in sorted(folder.glob("*.npz"))},
        "metrics": metric_history(file, run),
        "params": {key: v for key, v in params.items() if not key.startswith(PLACES)},
        "param_names": _names(params),
        "tags": {key: tags.get(key) for key in TAG_VALUES},
        "tag_names": _names(tags),
        "artifacts": _names(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()),
    }


def _names(names: Iterable[str]) -> dict[str, bool]:
    """Return names as a mapping, so that one more is an addition and one less a difference."""
    return dict.fromkeys(sorted(names), True)


def metric_history(store: Path, run: str) -> dict[str, list[list[float]]]:
    """Return every metric of a run as [step, value] pairs."""
    history: dict[str, list[list[float]]] = {}
    sql = "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step"
    for key, step, value in query(store, sql, run):
        history.setdefault(key, []).append([step, value])
    return history


def array_hashes(file: Path) -> dict[str, str]:
    """Return type, shape and SHA-256 of each array in a file."""
    with np.load(file, allow_pickle=False) as arrays:
        return {name: _array_hash(arrays[name]) for name in arrays.files}


def _array_hash(array: "np.ndarray[Any, Any]") -> str:
    sha = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return f"{array.dtype} {array.shape} {sha}"


# --- refusals --------------------------------------------------------------------------------


def measure_refusals(box: Sandbox) -> dict[str, Any]:
    """Run every refused command and return exit code, key, lines and message of each."""
    words = _refusal_places(box)
    commands = [(script, typed) for script, table in REFUSED.items() for typed in table]
    before = _files(box.project)
    with ThreadPoolExecutor(PROCESSES) as pool:
        found = list(pool.map(lambda command: _measure_refusal(box, words, *command), commands))
    changed = sorted(_files(box.project) ^ before)
    names = (f"{script} {typed}".strip() for script, typed in commands)
    written = {"exit": None, "key": "", "lines": 0, "message": " ".join(n for n, _ in changed)}
    return dict(zip(names, found, strict=True)) | {"files written": written}


def _measure_refusal(
    box: Sandbox, words: Mapping[str, str], script: str, typed: str
) -> dict[str, Any]:
    key = REFUSED[script][typed].format_map(words)
    answer = box.run(
        script,
        shlex.split(typed.format_map(words)),
        MLFLOW_TRACKING_URI=_default_store(script, words),
    )
    message = answer.err
    for name, value in sorted(words.items(), key=lambda pair: -len(pair[1])):
        message = message.replace(value, f"{{{name}}}")
    return {
        "exit": answer.exit,
        "key": REFUSED[script][typed],
        "has_key": key in answer.err,
        "lines": answer.err.count("\n"),
        "quiet": answer.out == "",
        "message": message.strip(),
    }


def _default_store(script: str, words: Mapping[str, str]) -> str:
    """Return a store that can't be used, for train.py, or one that is not there."""
    return "refused://by-the-check" if script == "train.py" else f"sqlite:///{words['missing']}"


def _files(folder: Path) -> set[tuple[str, int]]:
    """Return every file below with the time of its last change."""
    return {
        (str(path.relative_to(folder)), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _refusal_places(box: Sandbox) -> dict[str, str]:
    """Make good and bad data and stores, and return where they are."""
    damaged, flipped = box.folder / "damaged", box.folder / "flipped"
    shutil.copytree(box.digits, damaged)
    labels = damaged / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:100])
    shutil.copytree(box.digits, flipped)
    images = flipped / "train-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[5000] ^= 1
    images.write_bytes(content)
    box.store("broken").write_bytes(b"no database" * 100)
    return {
        "digits": str(box.digits),
        "damaged": str(damaged),
        "flipped": str(flipped),
        "broken": str(box.store("broken")),
        "missing": str(box.store("missing")),
        "store": box.uri("refusals"),
    } | _doctored_store(box)


def _doctored_store(box: Sandbox) -> dict[str, str]:
    """Make a store with a whole, a foreign and a bare run; return their ids."""
    places = f"data.root={box.digits} tracking.uri={box.uri('refusals')}"
    words = f"-m book seed=0,1,2 training.iterations=2 sweep.backend=sequential {places}"
    box.must_run("train.py", words.split())
    file = box.store("refusals")
    rows = query(file, "SELECT run_uuid FROM params WHERE key = 'seed' ORDER BY value")
    whole, foreign, bare = (str(row[0]) for row in rows)
    with closing(sqlite3.connect(file)) as connection, connection:
        change = connection.execute
        change("DELETE FROM tags WHERE run_uuid = ? AND key = 'source_hash'", [foreign])
        nowhere = str(box.folder / "nowhere")
        change("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", [nowhere, bare])
    return {"whole": whole, "foreign": foreign, "bare": bare}


def refusal_difference(recorded: Mapping[str, Any], found: Mapping[str, Any], old: bool) -> str:
    """Compare exit code, key and number of lines; the message is for information only."""
    if recorded["exit"] is None:  # the row of files that were written
        return f"recorded none, now {found['message']}" if found["message"] else ""
    if found["exit"] != recorded["exit"]:
        return f"exit code recorded {recorded['exit']}, now {found['exit']}: {found['message']}"
    if not found["has_key"]:
        return f"stderr has to contain {recorded['key']}, now {found['message']!r}"
    lines = recorded["lines"] if old else recorded["wanted_lines"]
    if found["lines"] != lines:
        return f"lines on stderr wanted {lines}, now {found['lines']}: {found['message']!r}"
    if recorded["quiet"] and not found["quiet"]:
        return "stdout has to be empty"
    return ""


def record_refusals(box: Sandbox) -> dict[str, Any]:
    """Return the record of the refusals. Raises RuntimeError if one is not as it has to be."""
    found = measure_refusals(box)
    for name, entry in found.items():
        entry["wanted_lines"] = WANTED_LINES
        wanted = entry | {"exit": None if entry["exit"] is None else EXIT_USAGE}
        difference = refusal_difference(wanted, entry, old=True)
        if difference:
            raise RuntimeError(f"{name}: {difference}")
        entry.pop("has_key", None)
    return found


# --- tables ----------------------------------------------------------------------------------


def measure_tables(box: Sandbox) -> dict[str, str]:
    """Make two small stores and return the text of every CSV file, by name, without run ids."""
    chains = {"sweeps": SWEEP_COMMANDS, "studies": EXPLAIN_COMMANDS}
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(lambda name: _run_chain(box, name, chains[name]), chains))
    tables = {
        f"{path.parent.name}.{path.name}": without_ids(path.read_text())
        for path in sorted((box.project / "experiments").glob("*/*.csv"))
    }
    tables["sweep.page.csv"] = without_ids(_newest_page(box).read_text())
    verdicts = query(box.store("sweeps"), "SELECT value FROM tags WHERE key = 'verdict'")
    tables["rerun.verdicts.csv"] = "verdict\n" + "".join(f"{word}\n" for (word,) in verdicts)
    return tables


def _newest_page(box: Sandbox) -> Path:
    """Return the table beside the page that the first sweep wrote by itself."""
    pages = sorted((box.project / "mlruns" / "reports").glob("*/cells.csv"))
    if len(pages) != 2:
        raise RuntimeError(f"two sweeps made {len(pages)} tables in mlruns/reports")
    return pages[0]


def _run_chain(box: Sandbox, store: str, commands: Iterable[Command]) -> None:
    for script, words, code in commands:
        typed = words.format(digits=box.digits, uri=box.uri(store))
        box.must_run(script, shlex.split(typed), code)


def without_ids(text: str) -> str:
    """Replace each run id by its number, in the order of the rows."""
    ids = list(dict.fromkeys(re.findall(r"\b[0-9a-f]{32}\b", text)))
    for number, run_id in enumerate(ids, 1):
        text = text.replace(run_id, f"run-{number:03}")
    return text


def header(table: str) -> list[str]:
    """Return the columns of a table."""
    return next(csv.reader(table.splitlines()))


def table_difference(recorded: str, found: str) -> str:
    """Return the first line that differs."""
    if recorded == found:
        return ""
    one, other = recorded.splitlines(), found.splitlines()
    if len(one) != len(other):
        return f"lines recorded {len(one)}, now {len(other)}"
    pairs = enumerate(zip(one, other, strict=True), 1)
    different = [(number, a, b) for number, (a, b) in pairs if a != b]
    if not different:
        return "the line endings differ"
    number, a, b = different[0]
    return f"line {number} recorded {a}, now {b} ({len(different)} lines differ)"


# --- comparing -------------------------------------------------------------------------------


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every leaf of nested lists and mappings with its path, as JSON; lists with lengths."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{path}/{key}")
    elif isinstance(value, list):
        yield f"{path}/length".lstrip("/"), str(len(value))
        for number, inner in enumerate(value):
            yield from flat(inner, f"{path}/{number}")
    else:
        yield path.lstrip("/"), json.dumps(value)


def first_difference(recorded: Any, found: Any) -> str:
    """Return the first recorded leaf that differs, with both values; nothing if there is none."""
    one, other = dict(flat(recorded)), dict(flat(found))
    paths = [path for path in one if one[path] != other.get(path)]
    if not paths:
        return ""
    first = paths[0]
    values = f"recorded {one.get(first, 'nothing')}, now {other.get(first, 'nothing')}"
    return f"{first} {values} ({len(paths)} values differ)"


def additions(recorded: Any, found: Any) -> str:
    """Return the first paths that the record does not have."""
    known = dict(flat(recorded))
    new = [path for path, _ in flat(found) if path not in known]
    return ", ".join(new[:4]) + (f" and {len(new) - 4} more" if new[4:] else "")


def compare(
    group: str, recorded: Mapping[str, Any], found: Mapping[str, Any], how: Callable[..., str]
) -> list[Item]:
    """Compare two mappings, item by item."""
    items = []
    for name in [*recorded, *(name for name in found if name not in recorded)]:
        if name not in found or name not in recorded:
            difference = f"recorded {name in recorded}, now {name in found}"
        else:
            difference = how(recorded[name], found[name])
        items.append(Item(f"{group}: {name}", difference))
    return items


def check_numbers(box: Sandbox, old: bool = False) -> list[Item]:
    """Check all runs."""
    recorded = json.loads(NUMBERS.read_text())
    found = json.loads(json.dumps(measure_numbers(box)))
    items = compare("numbers", recorded, found, first_difference)
    added = {f"numbers: {name}": additions(recorded.get(name), found[name]) for name in found}
    return [replace(item, added=added.get(item.name, "")) for item in items]


def check_refusals(box: Sandbox, old: bool = False) -> list[Item]:
    """Check all refusals; old: with as many lines as the recorded code prints."""
    recorded, found = json.loads(REFUSALS.read_text()), measure_refusals(box)
    return compare("refusals", recorded, found, lambda a, b: refusal_difference(a, b, old))


def check_tables(box: Sandbox, old: bool = False) -> list[Item]:
    """Check all tables and their columns."""
    recorded = {path.name: path.read_text() for path in sorted(TABLES.glob("*.csv"))}
    found = measure_tables(box)
    headers = {name: header(text) for name, text in found.items()}
    return [
        *compare("headers", json.loads(HEADERS.read_text()), headers, first_difference),
        *compare("tables", recorded, found, table_difference),
    ]


CHECKS: dict[str, Callable[..., list[Item]]] = {
    "numbers": check_numbers,
    "refusals": check_refusals,
    "tables": check_tables,
}
NEEDS_AVX2 = ("numbers", "tables")


def record_group(group: str, box: Sandbox) -> None:
    """Write the record of a group."""
    if group == "numbers":
        _write_json(NUMBERS, record_numbers(box))
    elif group == "refusals":
        _write_json(REFUSALS, record_refusals(box))
    else:
        tables = measure_tables(box)
        shutil.rmtree(TABLES, ignore_errors=True)
        TABLES.mkdir()
        for name, text in tables.items():
            (TABLES / name).write_text(text)
        _write_json(HEADERS, {name: header(text) for name, text in tables.items()})


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="frozen.py", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("action", choices=["record", "check"])
    add("groups", nargs="*", metavar="GROUP", help=", ".join(CHECKS))
    add("--project", type=Path, default=PROJECT, help="the checkout; default: this one")
    add("--python", type=Path, default=Path(sys.executable), help="its Python; default: this one")
    add(
        "--as-recorded", action="store_true", help="refusals: accept the recorded code's usage text"
    )
    given = parser.parse_intermixed_args(arguments)
    unknown = [group for group in given.groups if group not in CHECKS]
    if unknown:
        parser.error(f"{unknown[0]}: no such group; choose from {', '.join(CHECKS)}")
    return given


def main(arguments: Sequence[str]) -> int:
    """Record or check. Returns 1 if an item differs."""
    given = parse(arguments)
    project, python = given.project.resolve(), given.python.absolute()
    different = 0
    for group in given.groups or CHECKS:
        started = time.perf_counter()
        if group in NEEDS_AVX2 and not has_avx2():
            print(f"skipped    {group}: this processor has no AVX2")
        elif given.action == "record":
            with sandbox(project, python) as box:
                record_group(group, box)
        else:
            with sandbox(project, python) as box:
                items = CHECKS[group](box, given.as_recorded)
            print(*items, sep="\n")
            different += sum(bool(item.difference) for item in items)
        print(f"{group}: {time.perf_counter() - started:.0f} s", flush=True)
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
