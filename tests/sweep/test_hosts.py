"""Two hosts without an engine share a sweep through one PostgreSQL: network and UTS namespaces."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from support import Postgres, wait_until

if TYPE_CHECKING:
    from mlflow.entities import Run

pytest.importorskip("psycopg", reason="psycopg is not installed")
# Names and addresses of this one of pytest-xdist's processes: another may make hosts, too.
NUMBER = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
BRIDGE, NETWORK = f"sgdprobe{NUMBER}", f"10.213.{NUMBER}"
SWEEP = ("-m", "notes", "seed=range(0,4)", "training.iterations=300", "sweep.n_jobs=1")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Host:
    """A host name, a network address and process ids of its own."""

    def __init__(self, number: int) -> None:
        self.name = f"{BRIDGE}-{number}"
        ip("netns", "add", self.name)
        self.link = self.name  # this machine's end of its network cable
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", self.link, "master", BRIDGE, "up")
        ip("-n", self.name, "address", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def start(
        self, script: Path, words: list[str], environment: dict[str, str]
    ) -> "subprocess.Popen[str]":
        inside = f'hostname node && exec "{sys.executable}" {script} "$@"'
        return subprocess.Popen(
            [
                *("ip", "netns", "exec", self.name),
                *("unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"),
                *("sh", "-c", inside, "sh", *words),
            ],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip


def remove_hosts() -> None:
    for number in (1, 2):  # a namespace may outlive its name, and would keep its cable
        for words in (("link", "delete"), ("netns", "delete")):
            with suppress(OSError, subprocess.CalledProcessError):
                ip(*words, f"{BRIDGE}-{number}")
    with suppress(OSError, subprocess.CalledProcessError):
        ip("link", "delete", BRIDGE)


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    """Two hosts on a bridge, at which this machine has an address, too."""
    remove_hosts()  # of a test that was killed
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces can be made: {error}")
    try:
        ip("address", "add", f"{NETWORK}.254/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        yield [Host(1), Host(2)]
    finally:
        remove_hosts()


@pytest.fixture
def database(hosts: list[Host]) -> Iterator[Postgres]:
    running = Postgres(f"{NETWORK}.254")
    if running.programs is None:
        pytest.skip("PostgreSQL is not installed")
    running.create()
    yield running
    running.remove()


def test_what_a_dead_host_leaves_is_made_by_the_other(
    hosts: list[Host],
    database: Postgres,
    project: Path,
    environment: dict[str, str],
    runs: "Callable[[str], list[Run]]",
) -> None:
    """Their names, process ids and boots are equal, so only the lease tells that one is dead."""
    words = [*SWEEP, f"tracking.uri={database.uri}", "tracking.lease=10"]
    script = project / "src" / "train.py"
    one, two = (host.start(script, words, environment) for host in hosts)
    try:
        wait_until(lambda: hosts_with_runs(database.uri) == 2, "a run of each host", 60)
        os.killpg(one.pid, signal.SIGKILL)
        began = time.monotonic()
        output, _ = two.communicate(timeout=120)
    finally:
        for process in (one, two):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert two.returncode == 0, output
    found = runs(database.uri)
    finished = [run for run in found if run.info.status == "FINISHED"]
    assert sorted(run.data.tags["seed"] for run in finished) == [*"0123"]
    assert {run.info.status for run in found} <= {"FINISHED", "KILLED"}
    killed = [run.data.tags["failure"] for run in found if run.info.status == "KILLED"]
    assert killed == ["its process, on node, gave no sign of life for 10 s"]
    assert time.monotonic() - began > 5, "it waited for the lease"


@pytest.mark.parametrize("how", ["suspended", "cut off"])
def test_a_host_that_comes_back_leaves_its_run_to_the_other(
    how: str,
    hosts: list[Host],
    database: Postgres,
    project: Path,
    environment: dict[str, str],
    runs: "Callable[[str], list[Run]]",
) -> None:
    """It is away for longer than its lease, in the middle of a run of many epochs."""
    words = [*SWEEP[:2], "seed=0", "training.iterations=3000", "sweep.n_jobs=1"]
    words += [f"tracking.uri={database.uri}", "tracking.lease=10"]
    script = project / "src" / "train.py"
    one = hosts[0].start(script, words, environment)
    two = None
    try:
        wait_until(lambda: epochs_recorded(database.uri), "an epoch of the first host", 60)
        two = hosts[1].start(script, words, environment)
        if how == "suspended":
            os.killpg(one.pid, signal.SIGSTOP)
        else:
            ip("link", "set", hosts[0].link, "down")
        wait_until(lambda: hosts_with_runs(database.uri) == 2, "the other's run", 60)
        if how == "suspended":
            os.killpg(one.pid, signal.SIGCONT)
        else:
            ip("link", "set", hosts[0].link, "up")
        output, _ = two.communicate(timeout=120)
        away, _ = one.communicate(timeout=120)
    finally:
        for process in filter(None, (one, two)):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert two.returncode == 0, output
    first, second = runs(database.uri)
    assert (first.info.status, second.info.status) == ("KILLED", "FINISHED"), away + output


def hosts_with_runs(uri: str) -> int:
    """The number of hosts that have begun a run."""
    return answer(uri, "SELECT count(DISTINCT value) FROM tags WHERE key = 'pid_namespace'")


def epochs_recorded(uri: str) -> bool:
    """Return whether an epoch is recorded: its run has then got the claim on its key."""
    return answer(uri, "SELECT count(*) FROM metrics") > 0


def answer(uri: str, question: str) -> int:
    """A number from a database, asked without MLflow: it would make the tables."""
    try:
        with create_engine(uri, poolclass=NullPool).connect() as connection:
            return int(connection.execute(text(question)).scalar_one())
    except SQLAlchemyError:
        return 0  # no tables yet
