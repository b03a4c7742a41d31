"""The processes of a sweep, joblib's or Dask's: started early, and ended with their parent."""

import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from joblib import Parallel, cpu_count, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import resource_tracker

from sgdprobe import tracking
from sgdprobe.config.settings import Settings, SweepSettings
from sgdprobe.errors import SettingsError, WorkersDidNotStart
from sgdprobe.run.build import load_data

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
        stop_workers()
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


def dispatch(calls: Sequence[Any], settings: SweepSettings, processes: int) -> Iterator[Any]:
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
            outcomes = pool(calls)
    except OSError as error:  # such as a /dev/shm without space
        message = f"worker processes cannot start: {error}; sweep=sequential needs none"
        raise WorkersDidNotStart(message) from error
    yield from outcomes


def stop_workers() -> None:
    """End all workers at once."""
    if "sgdprobe.sweep.cluster" in sys.modules:
        cluster().stop()
    with suppress(OSError):
        # Without reuse=True it would wait for workers that were started with other options.
        get_reusable_executor(reuse=True).shutdown(kill_workers=True)
