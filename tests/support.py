"""Helpers of the tests: a small data set, a copy of the project, commands as processes, stores."""

import json
import os
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import OK, SERVICE_UNAVAILABLE, UNAUTHORIZED, HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data import load

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 240.0  # for a command; the machine may be busy

Answer = CompletedProcess[str]
Points = dict[str, list[tuple[int, float]]]


# --- A small data set, and a copy of the project that reads it.


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes())


def few_digits(folder: Path) -> Path:
    """The first 600 training and 200 test images of MNIST, as a folder for data.root."""
    data = load("mnist", None)
    for part, images, labels, n in (
        ("train", data.train_images, data.train_labels, 600),
        ("t10k", data.test_images, data.test_labels, 200),
    ):
        assert len(set(labels[:n].tolist())) == 10, "every class is needed"
        write_idx(folder / f"{part}-images-idx3-ubyte", images[:n].reshape(n, 28, 28))
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels[:n])
    return folder


def small_project(root: Path, digits: Path) -> Path:
    """A copy of the project, committed, in which the commands of the README take milliseconds.

    Four of its defaults differ: the small data; batches of 128, at which one BLAS thread and
    two give different bits; 12 updates, which are epochs of 5, 5 and 2; runs in the command's own
    process, since each other one imports for two seconds. Tests of processes ask for them.
    """
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("*-ubyte.gz"))
    shutil.copytree(ROOT / "conf", root / "conf")
    shutil.copy(ROOT / ".gitignore", root)
    edit(root / "conf/data/mnist.yaml", "root: null", f"root: {digits}")
    edit(root / "conf/training/sgd.yaml", "batch_size: 100", "batch_size: 128")
    edit(root / "conf/training/sgd.yaml", "iterations: 10000", "iterations: 12")
    edit(root / "conf/sweep/loky.yaml", "n_jobs: -1 ", "n_jobs: 1 ")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Add the project")
    return root


def build_wheel(folder: Path) -> Path:
    """Build the wheel in a folder; from a copy of the project, since it leaves a build/."""
    copy = folder / "project"
    for name in ("src", "conf"):
        unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", *options, str(copy)], check=True)
    shutil.rmtree(copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def install_wheel(folder: Path) -> None:
    """Build the wheel, and install it into a folder: PYTHONPATH=FOLDER FOLDER/bin/sgdprobe."""
    with tempfile.TemporaryDirectory() as draft:
        wheel = build_wheel(Path(draft))
        options = ["--no-deps", "--no-index", "--target", str(folder), str(wheel)]
        subprocess.run([*PIP, "install", *options], check=True)


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that occurs once in a file."""
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
    file.write_text(text.replace(old, new))


def git(root: Path, *words: str) -> str:
    """The output of a git command in a repository."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", "-C", str(root), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# --- Commands as processes.


class Process(ABC):
    """A started command. Its output goes to files, so that it never waits for a reader."""

    def __init__(self, command: Sequence[str], pid: int, folder: Path) -> None:
        self.command = [*command]
        self.pid = pid  # also of its session and its process group
        self._folder = folder

    @abstractmethod
    def poll(self) -> int | None:
        """The exit code, or None while it runs."""

    @property
    def stdout(self) -> str:
        """What it has written so far."""
        return (self._folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self._folder / "stderr").read_text()

    def wait(self, timeout: float = TIMEOUT_S) -> int:
        """The exit code, once it has ended."""
        wait_until(lambda: self.poll() is not None, f"the end of {self}", timeout, every=0.02)
        code = self.poll()
        assert code is not None
        return code

    def answer(self, timeout: float = TIMEOUT_S) -> Answer:
        """The exit code and all output, once it has ended."""
        return CompletedProcess(self.command, self.wait(timeout), self.stdout, self.stderr)

    def wait_for(self, text: str) -> None:
        """Wait until it has written this to stdout."""
        self.wait_until(lambda: text in self.stdout, f"{text!r} in its output", every=0.02)

    def wait_until(self, condition: Callable[[], bool], what: str, every: float = 0.1) -> None:
        """Wait for something that it does; an error if it ends before."""

        def holds() -> bool:
            alive = self.poll() is None  # asked first: it may do it and end
            found = condition()
            assert found or alive, f"ended before {what}: {self.answer()}"
            return found

        wait_until(holds, what, every=every)

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def send_to_group(self, number: int) -> None:
        """As a terminal does: to the command and to all processes that it started."""
        os.killpg(self.pid, number)

    def __str__(self) -> str:
        return shlex.join(self.command)


class InterpreterProcess(Process):
    """A command in a Python interpreter of its own."""

    def __init__(
        self,
        script: Path,
        arguments: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        folder: Path,
    ) -> None:
        command = [sys.executable, str(script), *arguments]
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            self._popen = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=restore_sigint,
            )
        super().__init__(command, self._popen.pid, folder)

    def poll(self) -> int | None:
        return self._popen.poll()


class ForkedProcess(Process):
    """A command in a fork of a process that has imported the libraries: see fork_server.py."""

    def __init__(self, command: Sequence[str], status: int, folder: Path) -> None:
        self._status = os.fdopen(status, "rb", buffering=0)
        self._code: int | None = None
        super().__init__(command, self._number(), folder)

    def _number(self) -> int:
        line = self._status.readline()
        assert line, "the fork server is gone"
        return int(line)

    def poll(self) -> int | None:
        if self._code is not None:
            return self._code
        ready = select.poll()  # select() can't watch more than 1,024 files
        ready.register(self._status, select.POLLIN)
        if ready.poll(0):
            self._code = self._number()
            self._status.close()
        return self._code


class ForkServer:
    """Client of fork_server.py, which it starts at the first command."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process: subprocess.Popen[bytes] | None = None
        self._control, self._served = socket.socketpair()
        self._lock = threading.Lock()  # the next command only after the last has its process

    def start(
        self,
        script: Path,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        folder: Path,
    ) -> Process:
        command = {
            "script": str(script),
            "arguments": [*arguments],
            "cwd": str(cwd),
            "environment": {**environment},
        }
        status, its_status = os.pipe()
        with (
            self._lock,
            (folder / "stdout").open("wb") as out,
            (folder / "stderr").open("wb") as err,
        ):
            if self._process is None:
                self._process = self._launch()
            descriptors = [out.fileno(), err.fileno(), its_status]
            socket.send_fds(self._control, [json.dumps(command).encode()], descriptors)
            os.close(its_status)
            return ForkedProcess([sys.executable, str(script), *arguments], status, folder)

    def _launch(self) -> "subprocess.Popen[bytes]":
        number = self._served.fileno()
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "fork_server.py"), str(number)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[number],
        )
        self._served.close()
        return process

    def close(self) -> None:
        """End it, and all commands that still run."""
        self._control.close()
        if self._process is not None:
            self._process.wait(60)
        else:
            self._served.close()


def restore_sigint() -> None:
    """A shell that starts pytest in the background makes it, and all it starts, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until(
    condition: Callable[[], bool], what: str, timeout: float = TIMEOUT_S, every: float = 0.1
) -> None:
    """Ask every so many seconds; to ask a store takes a hundredth of one."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout:.0f} s for {what}"
        time.sleep(every)


# --- Stores.


def path_of(uri: str) -> Path:
    """The file of a sqlite store."""
    return Path(uri.removeprefix("sqlite:///"))


def client_of(uri: str) -> "MlflowClient":
    """MLflow's own client of a store."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def load_model(uri: str) -> Any:
    """A run's MLflow model, from its folder or from runs:/ID/model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of type hints of its own
        from mlflow.pyfunc import load_model as load
    return load(uri)


def runs_in(uri: str, search: str = "tags.kind IS NULL") -> "list[Run]":
    """All runs in a store, oldest first; bands over the seeds are none."""
    client = client_of(uri)
    experiments = [found.experiment_id for found in client.search_experiments()]
    return list(client.search_runs(experiments, search, order_by=["attributes.start_time ASC"]))


def points_of(uri: str, run: "Run") -> Points:
    """All metrics of a run: {"loss": [(1, 2.30), (2, 2.21)], …}, (step, value)."""
    client = client_of(uri)
    return {
        name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def artifacts_of(project: Path, run: "Run") -> Path:
    """The folder of a run's artifacts; in the project's own store its place is relative."""
    return project / unquote(urlsplit(run.info.artifact_uri).path)


def weights_of(folder: Path) -> dict[str, NDArray[Any]]:
    """The final weights among a run's artifacts."""
    with np.load(folder / "weights.npz") as content:
        return dict(content)


# --- Servers.


@dataclass
class Server:
    """`mlflow server` on a folder of its own; it may be killed and started again."""

    folder: Path
    port: int
    environment: dict[str, str]
    store: str = ""  # where it keeps the runs; in its folder if not given
    process: "Popen[bytes] | None" = field(default=None, init=False)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        store = f"--backend-store-uri={self.store or f'sqlite:///{self.folder}/mlflow.db'}"
        artifacts = f"--artifacts-destination={self.folder}/artifacts"
        self.process = Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", store, artifacts),
                *(f"--port={self.port}", "--workers=1"),
            ],
            env=self.environment | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + 120
        while not self.answers():
            assert time.monotonic() < end, "the server does not answer"
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
                connection.request("GET", "/health")
                return connection.getresponse().status == OK
        except (OSError, HTTPException):
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class Postgres:
    """A PostgreSQL server on loopback with a folder of its own; it may be killed and started again.

    It refuses to run as root, and its user cannot enter pytest's folders.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        on_path = shutil.which("initdb")
        self.programs = Path(on_path).parent if on_path else found[-1] if found else None
        self.port = free_port()
        self.uri = f"postgresql://postgres@{host}:{self.port}/postgres"

    def create(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sgdprobe-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "-N")
        with (self.folder / "data/pg_hba.conf").open("a") as file:
            file.write(f"host all all {self.host}/24 trust\n")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -h {self.host} -k {self.folder} -F"
        log = f"{self.folder}/log"
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", log, "-w", "start", "-o", options)

    def kill(self) -> None:
        """As by SIGKILL: connections break, and the next start recovers."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "stop")

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *words: str) -> None:
        assert self.programs is not None
        who: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []}
        subprocess.run(
            [str(self.programs / program), *words], check=True, cwd="/", stdin=DEVNULL,
            stdout=DEVNULL, stderr=DEVNULL, **(who if os.geteuid() == 0 else {}),
        )  # fmt: skip


@dataclass
class Cluster:
    """A Dask scheduler and workers, each a process, which import sgdprobe from `root`/src."""

    root: Path
    environment: dict[str, str]
    protocol: str = "tcp"
    port: int = field(default_factory=lambda: free_port())
    processes: "list[Popen[bytes]]" = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.protocol}://127.0.0.1:{self.port}"

    def start_scheduler(self) -> "Popen[bytes]":
        where = (f"--protocol={self.protocol}", f"--port={self.port}")
        return self._start("scheduler", *where, "--dashboard-address=127.0.0.1:0")

    def start_worker(self, *options: str) -> "Popen[bytes]":
        return self._start("worker", self.address, "--nthreads=1", "--memory-limit=0", *options)

    def _start(self, what: str, *options: str) -> "Popen[bytes]":
        process = Popen(
            [sys.executable, "-m", "dask", what, *options, "--host=127.0.0.1"],
            env=self.environment | {"PYTHONPATH": str(self.root / "src")},
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def kill(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificates(folder: Path) -> dict[str, str]:
    """Dask's variables for `tls://`, with one certificate, made anew, for everybody."""
    from distributed.security import Security

    made = Security.temporary()
    (folder / "key.pem").write_text(made.tls_client_key)
    (folder / "certificate.pem").write_text(made.tls_client_cert)
    prefix = "DASK_DISTRIBUTED__COMM__TLS__"
    variables = {f"{prefix}CA_FILE": f"{folder}/certificate.pem"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        variables[f"{prefix}{role}__KEY"] = f"{folder}/key.pem"
        variables[f"{prefix}{role}__CERT"] = f"{folder}/certificate.pem"
    return variables


class LossyProxy:
    """A proxy before a server, which loses answers, says that it is busy, or asks for a password.

    loses : of so many requests that create runs, the answers; the server carries them out. busy :
    each request of this number in turn is answered with 503, and does not reach the server.
    password : "NAME:WORD", without which a request is answered with 401.
    Entered, it listens; `lost` and `refused` count.
    """

    def __init__(self, server: Server, loses: int = 0, busy: int = 0, password: str = "") -> None:
        self.lost = self.refused = self._requests = 0
        proxy = self
        wanted = f"Basic {b64encode(password.encode()).decode()}"

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy._requests += 1
                closed = bool(password) and self.headers.get("Authorization") != wanted
                if closed or (busy and proxy._requests % busy == 0):
                    proxy.refused += 1
                    self.send_response(UNAUTHORIZED if closed else SERVICE_UNAVAILABLE)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                with closing(HTTPConnection("127.0.0.1", server.port)) as connection:
                    connection.request(self.command, self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    content = answer.read()
                if self.path.endswith("runs/create") and proxy.lost < loses:
                    proxy.lost += 1
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name in ("Content-Type", "Date"):
                    self.send_header(name, answer.headers.get(name, ""))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "LossyProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
