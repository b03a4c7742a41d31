"""joblib's worker processes: started early, replaced when killed, ended with their parent."""

import multiprocessing.resource_tracker
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from joblib import Parallel, cpu_count, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import resource_tracker
from joblib.externals.loky.process_executor import TerminatedWorkerError

from sgdprobe import tracking
from sgdprobe.config.settings import Settings, SweepSettings
from sgdprobe.errors import RunClaimed, SettingsError, StoreError, WorkersDidNotStart
from sgdprobe.run.build import load_data
from sgdprobe.run.job import Job, Outcome, run_job
from sgdprobe.sweep.resume import Task, finished_outcomes

# Deaths of workers in a row, without a run having started, after which a sweep stops.
MAX_FAILED_STARTS = 5
# Other sweeps are waited for so long without a word, and asked at least so often.
SILENT_S = 5
MAX_PAUSE_S = 2
SIGNALS = re.compile(r"exit codes of the workers are \{(.+)\}")

# joblib says so after Ctrl-C; its helper process then deletes the folder.
warnings.filterwarnings("ignore", "Failed to delete temporary folder", module="joblib")


def cluster() -> Any:
    """Return the module that knows Dask, loaded on first use. Raises SettingsError without Dask."""
    try:
        return import_module("sgdprobe.sweep.cluster")
    except ModuleNotFoundError as error:
        message = (
            f"sweep.backend must be loky or sequential where {error.name} is not installed; got "
            "dask: docs/how-to/many-machines.md says what to install"
        )
        raise SettingsError(message) from error


def process_count(settings: SweepSettings, runs: int) -> int:
    """Return the number of processes for so many runs: never more than there are runs.

    But two for one run, where more than one is allowed: joblib takes one as this very process,
    which a run must not be able to kill. Raises SettingsError.
    """
    if settings.backend == "sequential":
        return 1
    if settings.scheduler:
        return len(cluster().client_of(settings.scheduler, 0).nthreads())
    try:
        return int(min(effective_n_jobs(settings.n_jobs), max(2, runs)))
    except ValueError:  # joblib reads the variable whenever it counts processors
        given = os.environ.get("LOKY_MAX_CPU_COUNT", "")
        message = f"LOKY_MAX_CPU_COUNT must be an integer of at least 1; got {given!r}"
        raise SettingsError(message) from None


@contextmanager
def starting_workers(settings: Settings, jobs: int) -> Iterator[threading.Thread]:
    """Start joblib's processes, so that they import and load while this one opens the store.

    As many as have a processor of their own beside this one are ready when the thread has ended.
    The others would only keep them waiting; they get ready while the first ones train. If the
    block fails, none stays. Raises SettingsError.
    """
    processes = process_count(settings.sweep, jobs)
    _typed[:] = [str(Path.cwd())]
    thread = threading.Thread(target=_warm_up, args=(settings, processes), daemon=True)
    try:
        if settings.sweep.backend == "dask":
            cluster().check_workers(_dask(settings.sweep, processes), settings)
        if processes > 1:
            _start_trackers()
            thread.start()
        yield thread
    except BaseException:
        _stop_workers()
        raise


def _dask(settings: SweepSettings, processes: int) -> Any:
    """Return the connection to Dask."""
    _start_trackers()
    with _out_of_reach_of_ctrl_c():
        return cluster().client_of(settings.scheduler, processes)


def dashboard(settings: SweepSettings) -> str | None:
    """Return the address of Dask's page about its workers, while a sweep uses them."""
    return str(_dask(settings, 0).dashboard_link) if settings.backend == "dask" else None


def _start_trackers() -> None:
    """Start joblib's helper process and Python's, without their tracebacks after Ctrl-C.

    Started by the thread, while this process imports MLflow, one was dead at its first use, in
    about one sweep of a thousand. Python's, when it starts, unblocks Ctrl-C in its thread.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        for tracker in (resource_tracker, multiprocessing.resource_tracker):
            with suppress(OSError):
                tracker.ensure_running()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _warm_up(settings: Settings, processes: int) -> None:
    calls = [delayed(_warm_up_worker)(settings)] * min(processes, max(1, cpu_count() - 1))
    # A worker that can't start now starts, or fails, when there is work for it.
    with suppress(Exception), _out_of_reach_of_ctrl_c():
        if settings.sweep.backend == "dask":
            _dask(settings.sweep, processes).run(_warm_up_worker, settings)
        else:
            _parallel(settings.sweep, processes)(calls)


@contextmanager
def _out_of_reach_of_ctrl_c() -> Iterator[None]:
    """Give the processes that are started here a signal mask without Ctrl-C.

    A terminal sends it to all of them, and each would print a traceback; this one ends them.
    """
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _parallel(settings: SweepSettings, processes: int, **options: Any) -> Parallel:
    """Return joblib's pool: the same processes each time, and each ends with this one."""
    which: dict[str, Any] = {"backend": settings.backend}
    if settings.backend == "loky":
        options |= {"initializer": _exit_with_parent, "initargs": (os.getpid(), _typed_in())}
    if settings.backend == "dask":
        which["backend"] = cluster().Backend(client=_dask(settings, processes))
    with parallel_config(**which):
        # joblib would bundle short runs, and report and lose them together.
        return Parallel(n_jobs=processes, batch_size=1, **options)


def _warm_up_worker(settings: Settings) -> None:
    tracking.import_mlflow(settings.tracking.uri)
    load_data(settings)


@dataclass(frozen=True)
class Busy:
    """A job whose run another sweep is making; `run` says which run and process that is."""

    job: Job
    run: str


def _work(job: Job, store: "tracking.Store") -> Outcome | Busy:
    """Run one job, unless it is finished by now.

    Another sweep may have run it, or a worker that was killed before it could report. Raises
    StoreError where no run can be recorded, so that the sweep ends.
    """
    tracking.import_mlflow(store.uri)
    sweep = job.settings.sweep
    may_reuse = sweep.resume and job.rerun_of is None
    with tracking.store_errors(store.uri):
        tracking.check_writable(store.uri)
        if sweep.backend == "dask":
            cluster().check_same_as_here(job)  # it may have joined after the sweep began
            kills = tracking.count_deaths(store, job.tags)  # Dask tries again by itself
            if kills >= sweep.max_kills:
                return _abandoned(job, kills)
        try:
            return run_job(replace(job, exclusive=may_reuse), store)
        except RunClaimed as claim:
            done, _ = finished_outcomes([(job, store)])
            return done.get(job.name) or Busy(job, str(claim))


# Where the command was typed. While workers start, the store is opened in another directory.
_typed: list[str] = []


def _typed_in() -> str:
    """Return the working directory of the command: files of the user's are named from there."""
    return _typed[0] if _typed else str(Path.cwd())


def _exit_with_parent(parent: int, typed_in: str) -> None:
    """End this process, a worker, when its parent has died; work where the command was typed.

    Called first in each worker: one that waits for its first job would wait for minutes.
    """
    with suppress(OSError):  # a directory that is gone since
        os.chdir(typed_in)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def fan_out(
    tasks: Sequence[Task],
    settings: SweepSettings,
    sweep: str,
    tell: Callable[[str], None],
) -> Generator[Outcome, None, None]:
    """Yield the outcomes of all jobs, in the order in which they end.

    Jobs that another sweep is running come last: they are tried again until it has the result, or
    has died. When a worker process dies, joblib stops; the pending jobs go to new workers, except
    for one that was running at `max_kills` deaths: it is the likely cause, and counts as KILLED.
    tell : called with a line about each death, and about waiting.

    Raises WorkersDidNotStart if none can start, or if they keep dying before any job starts.
    However it ends early, also when the caller closes it, it stops the workers and marks their
    runs KILLED.
    """
    pending = {job.name: (job, store) for job, store in tasks}
    kills: Counter[str] = Counter()
    failed_starts = 0
    processes = process_count(settings, len(pending))
    waiting = Waiting(tell)
    try:
        while pending:
            busy: list[Busy] = []
            calls = [delayed(_work)(job, store) for job, store in pending.values()]
            try:
                for outcome in _dispatch(calls, settings, processes):
                    if isinstance(outcome, Busy):
                        busy.append(outcome)
                        continue
                    del pending[outcome.job.name]
                    failed_starts = 0
                    yield outcome
            except TerminatedWorkerError as error:
                before, kills = kills, _kills(pending, sweep)
                running = [name for name in pending if kills[name] > before[name]]
                tell(_describe_death(error, running))
                failed_starts = 0 if running else failed_starts + 1
                if failed_starts == MAX_FAILED_STARTS:
                    message = f"workers died {failed_starts} times before starting any run"
                    raise WorkersDidNotStart(message) from error
                for name in [name for name in pending if kills[name] >= settings.max_kills]:
                    yield _abandoned(pending.pop(name)[0], kills[name])
            waiting.pause(busy)
    except BaseException:
        _stop_workers()
        for store in dict.fromkeys(store for _, store in tasks):
            with suppress(StoreError):  # a broken store's next command does it
                tracking.mark_dead_runs_killed(store)
        raise


def _dispatch(
    calls: Sequence[Any], settings: SweepSettings, processes: int
) -> Iterator[Outcome | Busy]:
    """Yield the outcomes of joblib's calls, as they end. Raises WorkersDidNotStart."""
    pool = _parallel(settings, processes, return_as="generator_unordered")
    if settings.backend == "dask":
        with cluster().errors():
            yield from pool(calls)
        return
    if processes > 1:
        _start_trackers()
    try:
        with _out_of_reach_of_ctrl_c():
            outcomes: Iterator[Outcome | Busy] = pool(calls)
    except OSError as error:  # such as a /dev/shm without space
        message = f"worker processes cannot start: {error}; sweep=sequential needs none"
        raise WorkersDidNotStart(message) from error
    yield from outcomes


class Waiting:
    """Pauses between two tries of jobs that other sweeps are running."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._since = time.monotonic()
        self._told: set[str] = set()

    def pause(self, busy: Sequence[Busy]) -> None:
        """Wait a little, and tell what for when it takes long."""
        if not busy:
            self._since = time.monotonic()
            return
        waited = time.monotonic() - self._since
        for each in busy if waited > SILENT_S else ():
            if each.run not in self._told:
                self._told.add(each.run)
                self._tell(f"{each.job.name}: waiting for {each.run}")
        time.sleep(min(MAX_PAUSE_S, max(0.05, waited / 4)))


def _abandoned(job: Job, kills: int) -> Outcome:
    failure = tracking.Failure("killed", f"abandoned: its worker was killed {kills} times")
    return Outcome(job, "KILLED", None, 0.0, failure=failure)


def _kills(pending: Mapping[str, Task], sweep: str) -> Counter[str]:
    """Count the deaths of workers at which each job of a sweep was running, by name."""
    stores = dict.fromkeys(store for _, store in pending.values())
    for store in stores:
        tracking.mark_dead_runs_killed(store)
    runs = (
        run
        for uri in {store.uri for store in stores}
        for run in tracking.reader(uri).with_tag("sweep", [sweep])
    )
    return Counter(run.name for run in runs if run.status == "KILLED")


def _describe_death(error: TerminatedWorkerError, running: Sequence[str]) -> str:
    """Return a line such as "a worker died (SIGKILL(-9)), running: lr=0.1 seed=3".

    joblib then ends its other workers, too, so it may be several jobs.
    """
    signals = SIGNALS.search(str(error))
    cause = signals[1] if signals else "unknown cause"
    return f"a worker died ({cause}), running: {', '.join(running) or 'none'}"


def _stop_workers() -> None:
    """End all workers at once."""
    if "sgdprobe.sweep.cluster" in sys.modules:
        cluster().stop()
    with suppress(OSError):
        # Without reuse=True it would wait for workers that were started with other options.
        get_reusable_executor(reuse=True).shutdown(kill_workers=True)
