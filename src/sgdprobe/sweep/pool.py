"""joblib's worker processes: started early, replaced when killed, ended with their parent."""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from joblib import Parallel, cpu_count, delayed, effective_n_jobs
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import resource_tracker
from joblib.externals.loky.process_executor import TerminatedWorkerError

from sgdprobe import tracking
from sgdprobe.config.settings import Settings, SweepSettings
from sgdprobe.errors import StoreError, WorkersDidNotStart
from sgdprobe.run.build import load_data
from sgdprobe.run.job import Job, Outcome, run
from sgdprobe.sweep.resume import Task, finished_outcomes

MAX_FAILED_STARTS = (
    5  # deaths of workers one after another, with no run begun, until a sweep gives up
)
SIGNALS = re.compile(r"exit codes of the workers are \{(.+)\}")


def start_workers(settings: Settings, jobs: int) -> threading.Thread:
    """Start joblib's processes and let them import and load while this one prepares the store.

    As many as have a processor of their own beside this one are ready when the thread has ended.
    The others would only keep them waiting; they get ready while the first ones train.
    """
    if settings.sweep.backend == "loky":
        # joblib's helper process: started by the thread, while this one imports MLflow, it has
        # been dead at its first use, in about one sweep of a thousand.
        with suppress(OSError):
            resource_tracker.ensure_running()
    thread = threading.Thread(target=_warm_up, args=(settings, jobs), daemon=True)
    thread.start()
    return thread


def _warm_up(settings: Settings, jobs: int) -> None:
    if settings.sweep.backend == "loky":
        processes = min(effective_n_jobs(settings.sweep.n_jobs), jobs, max(1, cpu_count() - 1))
        calls = [delayed(_warm_up_worker)(settings)] * processes
        # What can't be started now is started, or fails, when there is work for it.
        with suppress(OSError, TerminatedWorkerError):
            _parallel(settings.sweep)(calls)


def _parallel(settings: SweepSettings, **options: Any) -> Parallel:
    """A pool of joblib's; the same processes each time, and each ends with this one."""
    if settings.backend == "loky":
        options |= {"initializer": _exit_with_parent, "initargs": (os.getpid(),)}
    return Parallel(
        n_jobs=settings.n_jobs,
        backend=settings.backend,
        batch_size=1,  # joblib would bundle short runs, and show and lose them together
        **options,
    )


def _warm_up_worker(settings: Settings) -> None:

    tracking.import_mlflow(settings.tracking.uri)
    load_data(settings)


def _work(job: Job, store: "tracking.Store") -> Outcome:
    """Run one job.

    Unless it is finished by now: by another sweep, or by a worker that was killed before it could
    tell. Raises StoreError where no run could be recorded, so that the sweep ends.
    """
    tracking.import_mlflow(store.uri)
    with tracking.store_errors(store.uri), tracking.run_lock(store.uri, job.tags["key"]):
        tracking.check_writable(store.uri)
        again = "rerun_of" in job.tags or not job.settings.sweep.resume
        done = {} if again else finished_outcomes([(job, store)])
        found = done.get(job.name)
        outcome = _mark_reused(found, store) if found else run(job, store)
    kind, _, reason = (outcome.failure or "").partition(": ")
    if outcome.run_id is None and kind == StoreError.__name__:
        raise StoreError(reason)
    return outcome


def _mark_reused(found: Outcome, store: "tracking.Store") -> Outcome:
    """What was found, and not as done earlier if this very sweep did it and lost the worker."""
    assert found.run_id is not None
    sweep = tracking.run_tags(store, found.run_id).get("sweep")
    return replace(found, reused=sweep != found.job.tags.get("sweep"))


def _exit_with_parent(parent: int) -> None:
    """End this process, a worker, when its parent is gone.

    The first thing that a worker does: one that waits for its first job would wait for minutes.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)  # nobody is left to tell

    threading.Thread(target=watch, daemon=True).start()


def fan_out(
    tasks: Sequence[Task], settings: SweepSettings, sweep: str, tell: Callable[[str], None]
) -> Iterator[Outcome]:
    """The outcomes of all jobs, in the order in which they end.

    When a worker process dies, joblib gives up; what is left goes to new workers, except for a
    job that was under way at `max_kills` deaths: it is the likely cause, and counts as KILLED.
    tell : is given a line about each death.

    Raises NoWorkers if they die again and again before any job is under way.
    """
    left = {job.name: (job, store) for job, store in tasks}
    kills: Counter[str] = Counter()
    fruitless = 0
    while left:
        calls = [delayed(_work)(job, store) for job, store in left.values()]
        try:
            for outcome in _parallel(settings, return_as="generator_unordered")(calls):
                del left[outcome.job.name]
                fruitless = 0
                yield outcome
        except TerminatedWorkerError as error:
            before, kills = kills, _kills(left, sweep)
            under_way = [name for name in left if kills[name] > before[name]]
            tell(_describe_death(error, under_way))
            fruitless = 0 if under_way else fruitless + 1
            if fruitless == MAX_FAILED_STARTS:
                raise WorkersDidNotStart(
                    f"{MAX_FAILED_STARTS} times workers died before a run began"
                ) from error
            for name in [name for name in left if kills[name] >= settings.max_kills]:
                job, _ = left.pop(name)
                failure = f"under way at {kills[name]} deaths of workers, and given up"
                yield Outcome(job, "KILLED", None, [], 0.0, failure)


def _kills(left: Mapping[str, Task], sweep: str) -> Counter[str]:
    """At how many deaths of workers the jobs of a sweep were under way, by name."""
    kills: Counter[str] = Counter()
    for store in dict.fromkeys(store for _, store in left.values()):
        tracking.mark_dead_runs_killed(store)
        kills.update(tracking.runs_of_sweep(store, sweep, status="KILLED"))
    return kills


def _describe_death(error: TerminatedWorkerError, under_way: Sequence[str]) -> str:
    """For example "a worker died (SIGKILL(-9)), and with it: lr=0.1 seed=3".

    joblib then ends its other workers, too, so that it may be several jobs.
    """
    how = SIGNALS.search(str(error))
    return (
        f"a worker died ({how[1] if how else 'it is not known of what'}), and with it: "
        f"{', '.join(under_way) or 'no run'}"
    )


def stop_workers(stores: Iterable["tracking.Store"]) -> None:
    """End all workers at once and mark their runs KILLED; a broken store's next command does."""
    # Without reuse=True it would wait for workers that were started with other options.
    get_reusable_executor(reuse=True).shutdown(kill_workers=True)
    for store in stores:
        with suppress(StoreError):
            tracking.mark_dead_runs_killed(store)
