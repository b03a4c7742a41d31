"""Dead runs are marked, live ones are not; a run is the claim on its key, and is created once."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.exceptions import MlflowException

from sgdprobe import tracking
from sgdprobe.config.settings import Settings
from sgdprobe.errors import RunClaimed, StoreError
from sgdprobe.nn import EpochMetrics
from sgdprobe.provenance.processes import awake_s, heartbeat, process_tags
from sgdprobe.run.build import load_data
from sgdprobe.run.job import Job, identity
from sgdprobe.sweep.pool import fan_out
from sgdprobe.tracking import RecordedRun, RunRecorder, Store, file_recorder, liveness, recorder

US = process_tags()
# A live process of another container of this machine, and one whose heart has stopped.
OTHER = US | {"pid_namespace": "pid:[1]", "pid": "7"}
ALIVE, STOPPED = heartbeat(0, lease=100_000), "0 -1000 600"  # a suite may take long
NO_PROCESS = {"pid": str(2**22 + 1)}  # above the largest process id


@pytest.fixture
def store(new_store: Callable[[], str]) -> Store:
    return tracking.open_experiment(new_store(), "any")


def create(store: Store, name: str, tags: dict[str, str], **options: Any) -> str:
    run = store.client().create_run(store.experiment_id, run_name=name, tags=tags, **options)
    return str(run.info.run_id)


def recorded(store: Store) -> dict[str, RecordedRun]:
    found = tracking.reader(store.uri).find(experiment_id=store.experiment_id)
    return {run.name: run for run in found}


def test_only_dead_runs_are_marked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"ours": "RUNNING", "alive": "RUNNING", "another tool's": "RUNNING"}
    wanted |= {"gone": "KILLED", "renamed": "KILLED", "stopped": "KILLED", "finished": "FINISHED"}
    create(store, "ours", US)
    create(store, "alive", OTHER | {"heartbeat": ALIVE})
    create(store, "another tool's", {})
    create(store, "gone", US | NO_PROCESS | {"heartbeat": ALIVE})
    create(store, "renamed", US | NO_PROCESS | {"host": "before"})
    create(store, "stopped", OTHER | {"heartbeat": STOPPED, "host": "node7"})
    finished = create(store, "finished", US | NO_PROCESS)

    def ends_now(uri: str, tags: Mapping[str, str]) -> bool | None:
        """One ends between the question for those that run and the look at its process."""
        store.client().set_terminated(finished, "FINISHED")
        return is_dead(uri, tags)

    is_dead = liveness.is_dead
    monkeypatch.setattr(liveness, "is_dead", ends_now)
    # The clock is set forward by an hour, and the time of the boot with it.
    now, booted = time.time, psutil.boot_time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + 3600)
    tracking.mark_dead_runs_killed(store)
    runs = recorded(store)
    assert {name: run.status for name, run in runs.items()} == wanted
    assert runs["gone"].failure == tracking.Failure("killed", "its process is gone")
    silent = "its process, on node7, gave no sign of life for 600 s"
    assert runs["stopped"].failure == tracking.Failure("killed", silent)


@pytest.fixture
def job(digits: Path) -> Job:
    settings = Settings.from_dict(
        {"data": {"root": str(digits)}, "training": {"iterations": 3}, "sweep": {"n_jobs": 1}}
    )
    tags = {"recipe": "notes", "sweep": "one", "seed": "0"}
    return Job(settings, "notes", "mine", tags | identity(settings, load_data(settings)))


def record(job: Job, store: Store, exclusive: bool = True) -> RunRecorder:
    data = load_data(job.settings)
    return RunRecorder(store, job.name, job.settings, data, job.tags, exclusive=exclusive)


LATER = {"start_time": 10**14}


@pytest.mark.parametrize(
    ("tags", "options", "claimed"),
    [
        ({"claim": "wanted", "heartbeat": ALIVE}, {"start_time": 1}, True),
        # It looked before this run was there; the clocks of two machines may differ.
        ({"claim": "held", "heartbeat": ALIVE}, LATER, True),
        ({"heartbeat": ALIVE}, LATER, True),  # a single run, which takes no claims
        ({"claim": "held", "heartbeat": STOPPED}, {}, False),
        ({"claim": "held", "heartbeat": ALIVE, "rerun_of": "x"}, {}, False),
        ({"claim": "held"} | US, {}, False),  # this process has no run: a lost answer made it
    ],
    ids=["earlier", "held", "single", "dead", "rerun", "ghost"],
)
@pytest.mark.parametrize("seen", ["before", "after"])
def test_a_live_run_is_the_claim_on_its_key(
    tags: dict[str, str],
    options: dict[str, int],
    claimed: bool,
    seen: str,
    store: Store,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create(store, "other", OTHER | {"key": job.tags["key"]} | tags, **options)
    if seen == "after":  # as if it had been created just after the first look
        monkeypatch.setattr(recorder, "check_unclaimed", lambda *_: None)
    if claimed:
        message = r"run [0-9a-f]{32} \(other\), of process 7 on "
        with pytest.raises(RunClaimed, match=message), record(job, store):
            pytest.fail("the run is made twice")
        assert [*recorded(store)] == ["other"], "nothing is left of the one that lost"
    else:
        with record(job, store):
            assert recorded(store)["mine"].tags["claim"] == "held"


def test_of_two_at_the_same_moment_the_earlier_waits_for_the_other_to_see_it(
    store: Store, job: Job
) -> None:
    tags = OTHER | {"key": job.tags["key"], "claim": "wanted", "heartbeat": ALIVE}
    created = record(job, store)._client.create_run
    other: list[str] = []

    def both(*args: Any, **kwargs: Any) -> Any:
        run = created(*args, **kwargs)
        other.append(create(store, "other", tags, **LATER))
        threading.Timer(0.5, lambda: store.client().delete_run(other[0])).start()
        return run

    mine = record(job, store)
    mine._client.create_run = both  # type: ignore[method-assign]
    with mine:
        assert [*recorded(store)] == ["mine"], "the other one is withdrawn by then"


def test_a_job_of_another_sweep_comes_last_and_is_reused(
    store: Store, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sgdprobe.sweep.pool.SILENT_S", 0)
    tags = job.tags | OTHER | {"claim": "held", "heartbeat": ALIVE, "sweep": "two"}
    other = create(store, "other", tags)
    free = job.settings.replace({"seed": 1})
    tasks = [(job, store), (Job(free, "notes", "free", {**job.tags, "key": "free"}), store)]
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        store.client().log_metric(other, "test_accuracy", 0.5)
        store.client().set_terminated(other, "FINISHED")

    outcomes = fan_out(tasks, job.settings.sweep, "one", tell)
    assert [(o.job.name, o.reused) for o in outcomes] == [("free", False), ("mine", True)]
    assert said == [f"mine: waiting for run {other} (other), of process 7 on {US['host']}"]


@pytest.mark.parametrize("answers", ["lost", "lost, and asked again", "only late"])
def test_a_run_whose_creation_is_not_answered_is_there_once(
    answers: str, store: Store, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = record(job, store, exclusive=False)
    original = mine._client.create_run

    def create_run(*args: Any, **kwargs: Any) -> Any:
        original(*args, **kwargs)
        if answers != "lost":
            run = original(*args, **kwargs)  # MLflow asks again by itself
        if answers == "only late":
            return run
        raise MlflowException("Connection aborted")

    monkeypatch.setattr(mine._client, "create_run", create_run)
    monkeypatch.setattr(recorder, "is_server", lambda _: True)
    with mine:
        (run,) = tracking.reader(store.uri).find(experiment_id=store.experiment_id)
        assert (run.run_id, run.status) == (mine.run_id, "RUNNING")


def test_a_creation_that_failed_is_reported(
    store: Store, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_run(*_args: Any, **_kwargs: Any) -> Any:
        raise MlflowException("503")

    mine = record(job, store)
    monkeypatch.setattr(mine._client, "create_run", create_run)
    with pytest.raises(StoreError, match="503"), mine:
        pytest.fail("there is no run")
    assert recorded(store) == {}


def test_a_run_that_was_taken_for_dead_and_finishes_is_no_failure(store: Store, job: Job) -> None:
    with record(job, store) as mine:
        for tag in tracking.Failure("killed", "its process is gone").tags.items():
            store.client().set_tag(mine.run_id, *tag)
        store.client().set_terminated(mine.run_id, "KILLED")
    (run,) = recorded(store).values()
    assert (run.status, run.failure) == ("FINISHED", None)
    assert not {"failure", "failure_reason"} & run.tags.keys()


def test_the_heart_beats_while_the_run_is_made(
    store: Store, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "HEARTBEAT_S", 0.01)
    beats: list[str] = []
    beat = threading.Event()
    with record(job, store) as mine:

        def set_tag(run_id: str, key: str, value: str) -> None:
            beats.append(f"{key} {value}")
            beat.set()

        monkeypatch.setattr(mine._client, "set_tag", set_tag)
        assert beat.wait(20)
    count = len(beats)
    assert beats[0].startswith("heartbeat ")
    assert beats[0].endswith(" 600")
    mine._ended.wait()
    assert len(beats) <= count + 1, "it stops with the run"


def test_a_full_folder_for_temporary_files_is_no_broken_store(
    store: Store, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with record(job, store) as mine:
        mine.text("here.txt", "no other folder is needed")
        monkeypatch.setattr(file_recorder, "local_folder", lambda *_: None)
        with pytest.raises(StoreError) as error:
            mine.text("there.txt", "sent to a server from a file")
    assert str(error.value) == (
        "no temporary file can be written: No such file or directory; TMPDIR names their folder"
    )


def taken_over(store: Store, job: Job, mine: RunRecorder, **tags: str) -> str:
    """Do as another machine that takes the run for dead; return the id of its own run."""
    liveness.end_as(store, mine.run_id, tracking.Failure("killed", "no sign of life"))
    return create(store, "other", OTHER | {"key": job.tags["key"], "heartbeat": ALIVE} | tags)


@pytest.mark.parametrize("wakes", ["in an epoch", "at the end"])
def test_a_host_that_wakes_and_finds_its_run_taken_stops(
    wakes: str, store: Store, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunClaimed), record(job, store) as mine:  # noqa: PT012
        other = taken_over(store, job, mine, claim="held")
        if wakes == "in an epoch":
            now = awake_s()
            monkeypatch.setattr("sgdprobe.tracking.recorder.awake_s", lambda: now + 601)
            mine.epoch(EpochMetrics(1, 5, 2.3, 0.1, 0.1))
            pytest.fail("it goes on")
    run = recorded(store)["mine"]
    assert (run.status, run.tags["duplicate_of"]) == ("KILLED", other)


def test_a_host_that_wakes_and_finds_its_run_free_goes_on(
    store: Store, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with record(job, store) as mine:
        taken_over(store, job, mine, claim="wanted")  # it will see that this one is alive
        now = awake_s()
        monkeypatch.setattr("sgdprobe.tracking.recorder.awake_s", lambda: now + 601)
        mine.epoch(EpochMetrics(1, 5, 2.3, 0.1, 0.1))
        assert recorded(store)["mine"].status == "RUNNING"
    run = recorded(store)["mine"]
    assert (run.status, run.failure, run.metrics["loss"]) == ("FINISHED", None, 2.3)


def test_of_two_runs_that_finish_all_the_same_the_older_counts(store: Store, job: Job) -> None:
    with pytest.raises(RunClaimed), record(job, store):  # noqa: PT012
        tags = OTHER | {"key": job.tags["key"], "claim": "held"}
        other = create(store, "other", tags, start_time=1)
        store.client().set_terminated(other, "FINISHED")
    runs = recorded(store)
    assert {name: run.status for name, run in runs.items()} == {
        "other": "FINISHED",
        "mine": "KILLED",
    }
    assert runs["mine"].tags["duplicate_of"] == other
