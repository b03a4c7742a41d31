"""Dead and live processes are distinguished, also if the clock or the host name changes."""

import os
import socket
import subprocess
import time

import psutil
import pytest

from sgdprobe.provenance.processes import (
    heart_has_stopped,
    heartbeat,
    process_is_gone,
    process_tags,
)

HOUR = 3600.0
OURS = process_tags()


@pytest.fixture
def clock_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is set forward by an hour; the kernel moves the time of its boot with it."""
    now, booted, started = time.time, psutil.boot_time, psutil.Process.create_time
    monkeypatch.setattr(time, "time", lambda: now() + HOUR)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + HOUR)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: started(self) + HOUR)


@pytest.mark.usefixtures("clock_step")
def test_a_step_of_the_clock_kills_no_process() -> None:
    assert process_is_gone(OURS) is False


@pytest.mark.parametrize(
    ("other", "gone"),
    [
        ({}, False),
        ({"host": "renamed"}, False),
        ({"pid_started": "1"}, True),  # the id now belongs to another process
        ({"pid_started": "1", "host": "renamed"}, True),
        ({"pid_namespace": "pid:[1]"}, None),  # a container with the same name
        ({"boot_id": "another"}, None),
    ],
)
def test_what_differs_decides(other: dict[str, str], gone: bool | None) -> None:
    assert process_is_gone(OURS | other) is gone


def test_a_process_that_has_ended_is_gone_also_before_its_parent_has_asked() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        zombie = process_is_gone(OURS | {"pid": str(process.pid)})
    assert (zombie, process_is_gone(OURS | {"pid": str(process.pid)})) == (True, True)


@pytest.mark.parametrize(
    ("moved", "host", "gone"),
    [(0, "", False), (30, "", False), (HOUR, "", True), (0, "elsewhere", None)],
)
def test_runs_of_version_0_2_0_are_judged_by_the_clock(
    moved: float, host: str, gone: bool | None
) -> None:
    started = psutil.Process().create_time() + moved
    tags = {"host": host or socket.gethostname(), "pid": OURS["pid"], "pid_started": repr(started)}
    assert process_is_gone(tags) is gone
    assert process_is_gone({"mlflow.user": "another tool"}) is None


NOW = 1.8e9  # by the store's clock


@pytest.mark.parametrize(
    ("boot_id", "host", "age", "stopped"),
    [
        ("another", "elsewhere", 590, False),
        ("another", "elsewhere", 610, True),
        ("another", socket.gethostname(), 590, False),  # another machine of this name
    ],
)
def test_where_nobody_can_look_the_heartbeat_decides(
    boot_id: str, host: str, age: float, stopped: bool
) -> None:
    tags = {"boot_id": boot_id, "host": host, "heartbeat": heartbeat(NOW - age, lease=600)}
    assert heart_has_stopped(tags, lambda: NOW) is stopped


def test_within_one_boot_no_clock_is_asked_that_can_be_set() -> None:
    tags = OURS | {"pid_namespace": "pid:[1]", "heartbeat": heartbeat(NOW, lease=600)}
    assert heart_has_stopped(tags, lambda: NOW + HOUR) is False
    beat, monotonic, lease = tags["heartbeat"].split()
    tags["heartbeat"] = f"{beat} {float(monotonic) - 610:.0f} {lease}"
    assert heart_has_stopped(tags, lambda: NOW) is True


def test_without_a_heartbeat_nothing_is_known() -> None:
    assert heart_has_stopped({"boot_id": "another"}, lambda: NOW) is None
