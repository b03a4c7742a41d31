"""A run ends in the store on every path, and why it failed is data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgdprobe import tracking
from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.errors import StoreError
from sgdprobe.nn import DivergedError
from sgdprobe.run.build import load_data
from sgdprobe.tracking.runs import Failure


@pytest.fixture
def store(new_store: Callable[[], str]) -> "tracking.Store":
    return tracking.open_experiment(new_store(), "any")


@pytest.fixture
def recorder(store: "tracking.Store", digits: Path) -> "tracking.RunRecorder":
    settings = Settings.from_dict({"data": {"root": str(digits)}})
    data: Dataset = load_data(settings)
    return tracking.RunRecorder(store, "one run", settings, data, {"key": "1"})


def recorded(store: "tracking.Store") -> "list[tracking.RecordedRun]":
    return tracking.reader(store.uri).find(experiment_id=store.experiment_id)


def test_the_constructor_writes_nothing(
    store: "tracking.Store", recorder: "tracking.RunRecorder"
) -> None:
    assert recorder.run_id == ""
    assert recorded(store) == []
    with recorder:
        (run,) = recorded(store)
        assert (run.run_id, run.name, run.status) == (recorder.run_id, "one run", "RUNNING")
    (run,) = recorded(store)
    assert (run.status, run.failure) == ("FINISHED", None)
    assert run.params["training.learning_rate"] == "0.1"


@pytest.mark.parametrize(
    ("error", "status", "failure", "message"),
    [
        (
            DivergedError("the loss became nan"),
            "FAILED",
            "diverged",
            "DivergedError: the loss became nan",
        ),
        (StoreError("the disk is full"), "FAILED", "store", "StoreError: the disk is full"),
        (ValueError("no\nvalue"), "FAILED", "error", "ValueError: no value"),
        (KeyboardInterrupt(), "KILLED", "killed", "KeyboardInterrupt"),
    ],
)
def test_a_failure_has_a_reason(
    error: BaseException,
    status: str,
    failure: str,
    message: str,
    store: "tracking.Store",
    recorder: "tracking.RunRecorder",
) -> None:
    with pytest.raises(type(error)), recorder:
        raise error
    (run,) = recorded(store)
    assert run.status == status
    assert run.failure == Failure(failure, message)  # type: ignore[arg-type]
    assert run.has_result == (failure == "diverged")


@pytest.mark.parametrize("method", ["log_batch", "log_inputs"])
def test_a_store_that_breaks_after_a_run_is_created_leaves_it_failed(
    method: str,
    store: "tracking.Store",
    recorder: "tracking.RunRecorder",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(recorder._client, method, broken)
    with pytest.raises(StoreError, match="can't be used: no space left"), recorder:
        pytest.fail("the run is not described")
    (run,) = recorded(store)
    assert run.status == "FAILED", "nobody else would ever end it while this process lives"


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        ("FAILED", "DivergedError: the loss became nan at update 2, in epoch 2", "diverged"),
        ("FAILED", "StoreError: the store x can't be used", "store"),
        ("FAILED", "KeyError: 'DivergedError'", "error"),
        ("KILLED", "its process is gone", "killed"),
    ],
)
def test_failures_that_version_0_1_0_recorded_are_understood(
    status: str, message: str, reason: str
) -> None:
    run = tracking.RecordedRun("1", status, tags={"failure": message})
    assert run.failure is not None
    assert (run.failure.reason, run.failure.message) == (reason, message)
    assert run.state == ("diverged" if reason == "diverged" else status.lower())
