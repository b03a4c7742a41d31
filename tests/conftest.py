"""What the tests share: a small dataset, a copy of the project, its door as a process, records."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from sgdprobe.data import load

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROOT = Path(__file__).parents[1]

# Commands, one a line on stdin as a JSON list; what each answered, one a line on stdout.
IN_TURN = """
import contextlib, io, json, runpy, sys, traceback
from pathlib import Path
for line in sys.stdin:
    sys.argv = json.loads(line)
    sys.path[0] = str(Path(sys.argv[0]).parent)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes())


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 600 training and 200 test images of MNIST, as a folder for data.root."""
    return few_digits(tmp_path_factory.mktemp("digits"))


def few_digits(folder: Path) -> Path:
    data = load("mnist", None)
    for part, images, labels, n in (
        ("train", data.train_images, data.train_labels, 600),
        ("t10k", data.test_images, data.test_labels, 200),
    ):
        assert len(set(labels[:n].tolist())) == 10, "every class is needed"
        write_idx(folder / f"{part}-images-idx3-ubyte", images[:n].reshape(n, 28, 28))
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels[:n])
    return folder


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """A copy of the project, committed, where the commands of the README take milliseconds."""
    return small_project(tmp_path_factory.mktemp("project"), digits)


def small_project(root: Path, digits: Path) -> Path:
    """Three of its defaults differ: the small data; batches of 128, at which one BLAS thread and
    two give different bits; 12 updates, which are epochs of 5, 5 and 2.
    """
    heavy = shutil.ignore_patterns("__pycache__", "*-ubyte.gz")
    shutil.copytree(ROOT / "src", root / "src", ignore=heavy)
    shutil.copytree(ROOT / "conf", root / "conf")
    shutil.copy(ROOT / ".gitignore", root)
    for file, default, ours in (
        ("data/mnist.yaml", "root: null", f"root: {digits}"),
        ("training/sgd.yaml", "batch_size: 100", "batch_size: 128"),
        ("training/sgd.yaml", "iterations: 10000", "iterations: 12"),
    ):
        text = (root / "conf" / file).read_text()
        assert text.count(default) == 1, f"conf/{file} has another default than {default!r}"
        (root / "conf" / file).write_text(text.replace(default, ours))
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "as it stands"]):
        subprocess.run([*git, *words], check=True)
    return root


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory that has nothing to do with the project."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a process in these tests: none that would change what it does."""
    temporary = {"TMPDIR": str(tmp_path_factory.mktemp("tmp"))}
    return {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | temporary


def restore_sigint() -> None:
    """A shell that starts pytest in the background makes it, and all it starts, deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def start(
    project: Path, elsewhere: Path, environment: dict[str, str]
) -> Iterator[Callable[..., Popen[str]]]:
    """Start `python src/train.py …`; keywords in capitals are environment variables."""
    begun: list[Popen[str]] = []

    def begin(
        *arguments: str,
        cwd: Path = elsewhere,
        stdout: int = PIPE,
        stderr: int = PIPE,
        **variables: str,
    ) -> Popen[str]:
        process = Popen(
            [sys.executable, str(project / "src" / "train.py"), *arguments],
            cwd=cwd,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            preexec_fn=restore_sigint,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        with process:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def train(start: Callable[..., Popen[str]]) -> Callable[..., CompletedProcess[str]]:
    """Run `python src/train.py …` to its end, in a process of its own."""

    def run(*arguments: str, **options: Any) -> CompletedProcess[str]:
        return ended(start(*arguments, **options))

    return run


def ended(process: Popen[str]) -> CompletedProcess[str]:
    out, err = process.communicate(timeout=600)  # the machine may be busy
    return CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="session")
def run_commands(
    project: Path, elsewhere: Path, environment: dict[str, str]
) -> Callable[..., list[CompletedProcess[str]]]:
    """Run many commands of a door in one process: Hydra and MLflow are imported once."""

    def run(
        commands: Sequence[Sequence[str]], door: str | Path = "train.py", **variables: str
    ) -> list[CompletedProcess[str]]:
        lines = [[str(project / "src" / door), *arguments] for arguments in commands]
        process = subprocess.run(
            [sys.executable, "-c", IN_TURN],
            input="\n".join(map(json.dumps, lines)),
            cwd=elsewhere,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert process.returncode == 0, process.stderr
        answers = map(json.loads, process.stdout.splitlines())
        return [
            CompletedProcess(line, *answer) for line, answer in zip(lines, answers, strict=True)
        ]

    return run


@pytest.fixture(scope="session")
def recorded(
    project: Path, train: Callable[..., CompletedProcess[str]]
) -> tuple[CompletedProcess[str], "Run"]:
    """`python src/train.py notes`, typed in another folder, and its record in the default store."""
    answer = train("notes")
    assert answer.returncode == 0, answer.stderr
    (run,) = runs_in(f"sqlite:///{project / 'mlflow.db'}")
    return answer, run


def client_of(uri: str) -> "MlflowClient":
    """MLflow's own client of a store."""
    from sgdprobe.tracking import Store  # turns MLflow's telemetry off before it is imported

    return Store(uri, experiment="any", experiment_id="0").client()


def runs_in(uri: str) -> "list[Run]":
    client = client_of(uri)
    experiments = [found.experiment_id for found in client.search_experiments()]
    return list(client.search_runs(experiments, order_by=["attributes.start_time ASC"]))


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """The URI of a new, empty store: a copy, since MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("stores")
    client_of(f"sqlite:///{folder}/0.db").search_experiments()
    numbers = count(1)

    def copy() -> str:
        file = shutil.copy(folder / "0.db", folder / f"{next(numbers)}.db")
        return f"sqlite:///{file}"

    return copy


@pytest.fixture(scope="session")
def runs() -> "Callable[[str], list[Run]]":
    """All runs in a store, oldest first."""
    return runs_in


@pytest.fixture(scope="session")
def points() -> "Callable[[str, Run], dict[str, list[tuple[int, float]]]]":
    """All metrics of a run in a store: {"loss": [(1, 2.30), (2, 2.21)], …}, (step, value)."""

    def read(uri: str, run: "Run") -> dict[str, list[tuple[int, float]]]:
        client = client_of(uri)
        return {
            name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }

    return read


@pytest.fixture(scope="session")
def artifacts(project: Path) -> "Callable[[Run], Path]":
    """The folder of a run's artifacts; in the project's own store its place is relative."""
    return lambda run: project / unquote(urlsplit(run.info.artifact_uri).path)
