"""Fixtures: the small project, its commands as processes, empty stores. Helpers: support.py."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from support import (
    Answer,
    ForkServer,
    InterpreterProcess,
    Points,
    Process,
    artifacts_of,
    client_of,
    few_digits,
    install_wheel,
    points_of,
    runs_in,
    small_project,
)
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from mlflow.entities import Run

# Tests that use one of these start commands or make stores, which takes seconds.
SLOW_FIXTURES = {"installed", "new_store", "recorded", "run_commands", "start", "train"}

# Tests that `make test-all` adds to those of `make test`: they take half a minute, and another test
# of `make test` does the same on a smaller scale. By file or by name.
LONG = (
    "test_stress.py",
    "test_wheel.py",
    "test_nothing_differs_from_the_record[tables]",
    "test_nothing_differs_from_the_record[refusals]",
    "test_a_host_that_comes_back_leaves_its_run_to_the_other[cut off]",
    "test_a_server_and_a_database_that_restart_are_waited_for",
    "test_an_epoch_is_timed_with_its_evaluation",
    "test_twenty_runs_of_different_settings_are_repeated_to_the_last_bit",
    "test_the_same_study_elsewhere_runs_with_few_updates_and_seeds",
    "test_every_command_with_an_output_works",
    "test_outputs_have_the_form_of_today",
)

# Read by an interpreter, or by the libraries, when they start: too late in a fork.
INTERPRETER_VARIABLES = ("PYTHON", "OPENBLAS", "NPY")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow and long tests, and put the slow ones first: all workers then end together."""
    for item in items:
        assert isinstance(item, pytest.Function)
        if SLOW_FIXTURES.intersection(item.fixturenames):
            item.add_marker("slow")
        if item.path.name in LONG or item.name.partition("[")[0] in LONG or item.name in LONG:
            item.add_marker("long")
    items.sort(key=lambda item: (not item.get_closest_marker("slow"), not shares(str(item.path))))


@cache
def shares(file: str) -> bool:
    """Whether tests of a file share what a fixture has made once for all of them."""
    return 'scope="module"' in Path(file).read_text()


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Send the tests of a file to one of pytest-xdist's workers if they share a fixture."""

    def _split_scope(self, nodeid: str) -> str:
        file, *_ = nodeid.split("::")
        return file if shares(str(self.config.rootpath / file)) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    return Scheduler(config, log)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a folder once in a session, whichever of pytest-xdist's workers needs it first."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = root / f"shared-{name}"
        with FileLock(root / f"{name}.lock"):
            if not folder.exists():
                draft = root / f"draft-{name}"
                draft.mkdir(exist_ok=True)  # a first try may have been interrupted
                fill(draft)
                draft.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def digits(made_once: Callable[..., Path]) -> Path:
    """The first 600 training and 200 test images of MNIST, as a folder for data.root."""
    return made_once("digits", few_digits)


@pytest.fixture(scope="session")
def installed(made_once: Callable[..., Path]) -> Path:
    """The folder of an installed wheel, as site-packages are one."""
    return made_once("installed", install_wheel)


@pytest.fixture(scope="session")
def project(
    made_once: Callable[..., Path], digits: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A copy of the project, committed, where the commands of the README take milliseconds."""
    original = made_once("project", lambda root: small_project(root, digits))
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(original, root, dirs_exist_ok=True)
    return root


@pytest.fixture(scope="session")
def other_cwd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory that has nothing to do with the project."""
    return tmp_path_factory.mktemp("other_cwd")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a process in these tests: none that would change what it does."""
    temporary = {"TMPDIR": str(tmp_path_factory.mktemp("tmp"))}
    return {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | temporary


Servers = Callable[[dict[str, str]], ForkServer]


@pytest.fixture(scope="session")
def fork_servers(environment: dict[str, str]) -> Iterator[Servers]:
    """The fork server whose interpreter was started with these variables."""
    servers: dict[frozenset[tuple[str, str]], ForkServer] = {}

    def server(variables: dict[str, str]) -> ForkServer:
        key = frozenset(variables.items())
        if key not in servers:
            servers[key] = ForkServer(environment | variables)
        return servers[key]

    yield server
    for server_ in servers.values():
        server_.close()


def read_at_start(variables: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in variables.items() if k.startswith(INTERPRETER_VARIABLES)}


@pytest.fixture(scope="session")
def start(
    project: Path,
    other_cwd: Path,
    environment: dict[str, str],
    fork_servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Process]]:
    """Start `python src/train.py …` or another script of the project, or of a copy (root=).

    Keywords in capitals are environment variables. It is a fork of a process that has imported the
    libraries, or an interpreter of its own where the start is the point (new_interpreter=True).
    """
    started: list[Process] = []
    folder = tmp_path_factory.mktemp("processes")

    def begin(
        *arguments: str,
        script: str = "src/train.py",
        root: Path = project,
        cwd: Path = other_cwd,
        new_interpreter: bool = False,
        server: ForkServer | None = None,
        **variables: str,
    ) -> Process:
        own = folder / str(len(started))
        own.mkdir()
        file = root / script
        all_variables = environment | variables
        process: Process
        if server is None and (new_interpreter or read_at_start(variables)):
            process = InterpreterProcess(file, arguments, cwd, all_variables, own)
        else:
            server = server or fork_servers({})
            process = server.start(file, arguments, cwd=cwd, environment=all_variables, folder=own)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                process.send_to_group(signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def train(start: Callable[..., Process]) -> Callable[..., Answer]:
    """Run `python src/train.py …` to its end: the options are those of `start`."""
    return lambda *arguments, **options: start(*arguments, **options).answer()


@pytest.fixture(scope="session")
def run_commands(
    start: Callable[..., Process], fork_servers: Servers
) -> Callable[..., list[Answer]]:
    """Run many commands, one after another: the options are those of `start`."""

    def run(commands: list[list[str]], **options: Any) -> list[Answer]:
        variables = {name: value for name, value in options.items() if name.isupper()}
        server = fork_servers(read_at_start(variables))
        return [start(*words, server=server, **options).answer() for words in commands]

    return run


@pytest.fixture(scope="session")
def recorded(project: Path, train: Callable[..., Answer]) -> "tuple[Answer, Run]":
    """`python src/train.py notes`, typed in another folder, and its record in the default store."""
    answer = train("notes", new_interpreter=True)
    assert answer.returncode == 0, answer.stderr
    runs = runs_in(f"sqlite:///{project / 'mlflow.db'}")
    (run,) = (run for run in runs if f"run {run.info.run_id} in" in answer.stdout)
    return answer, run


@pytest.fixture(scope="session")
def new_store(
    made_once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """The URI of a new, empty store: a copy, since MLflow takes seconds to make one."""

    def make(folder: Path) -> None:
        client_of(f"sqlite:///{folder}/0.db").search_experiments()

    original = made_once("store", make) / "0.db"
    folder = tmp_path_factory.mktemp("stores")
    numbers = count(1)

    def copy() -> str:
        file = shutil.copy(original, folder / f"{next(numbers)}.db")
        return f"sqlite:///{file}"

    return copy


@pytest.fixture(scope="session")
def runs() -> "Callable[[str], list[Run]]":
    """All runs in a store, oldest first."""
    return runs_in


@pytest.fixture(scope="session")
def points() -> "Callable[[str, Run], Points]":
    """All metrics of a run in a store."""
    return points_of


@pytest.fixture(scope="session")
def artifacts(project: Path) -> "Callable[[Run], Path]":
    """The folder of a run's artifacts."""
    return lambda run: artifacts_of(project, run)
