"""Dask's workers in place of joblib's own: those of a scheduler, or some that are started here."""

import logging
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from socket import gethostname
from typing import Any

import dask
from dask.distributed import Client, KilledWorker, LocalCluster
from joblib._dask import DaskDistributedBackend
from joblib.externals.loky.process_executor import TerminatedWorkerError

import sgdprobe
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError, WorkersDidNotStart
from sgdprobe.provenance.environment import Environment
from sgdprobe.provenance.source import source_hash
from sgdprobe.run.build import load_data
from sgdprobe.run.job import Job

CONNECT_S = 10  # to wait for a scheduler, and then for its first worker

# A worker that dies, and a scheduler that is lost are reported in one line, from the exception.
for name in ("distributed", "distributed.client"):
    logging.getLogger(name).setLevel(logging.CRITICAL)


class Backend(DaskDistributedBackend):  # type: ignore[misc]  # it has no types
    """joblib's own, which would wait for ever for a task whose workers were killed."""

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return the number of workers, but two for one: joblib would make its runs here."""
        return max(2, int(super().effective_n_jobs(n_jobs)))

    def submit(self, func: Any, callback: Any = None) -> "Future[Any]":
        """Submit a batch of one task, and report also its failure."""
        future: Future[Any] = super().submit(func, callback)

        def report(ended: "Future[Any]") -> None:
            if error := ended.exception():
                callback(error)

        future.add_done_callback(report)
        return future


# Connections of this process, by the scheduler's address; None is this machine.
_clients: dict[str | None, Client] = {}


def client_of(scheduler: str | None, processes: int) -> Client:
    """Return the connection to a scheduler, or to so many workers, started here at first.

    Raises SettingsError for a scheduler that cannot be reached, or has no workers.
    """
    if scheduler not in _clients:
        _clients[scheduler] = _connect(scheduler) if scheduler else _start(processes)
    return _clients[scheduler]


def _connect(scheduler: str) -> Client:
    client: Client | None = None
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        client.wait_for_workers(1, timeout=CONNECT_S)
    except Exception as error:  # of many kinds: names, ports, certificates
        reason = "it has no worker" if client else f"it does not answer ({type(error).__name__})"
        if client:
            client.close()
        message = "sweep.scheduler must be the address of a Dask scheduler with workers; got"
        raise SettingsError(f"{message} {scheduler}: {reason}") from error
    return client


def _start(processes: int) -> Client:
    """Start workers that listen on loopback only.

    A death ends joblib's call at once, so that it is counted and told by the sweep.
    """
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            memory_limit=0,  # results are small; a run needs what it needs
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        )
    return Client(cluster, set_as_default=False)


def check_workers(client: Client, settings: Settings) -> None:
    """Raise SettingsError, with both values, if a worker would compute something else."""
    for worker, threads in client.nthreads().items():
        if threads != 1:
            message = f"a Dask worker must have one thread (--nthreads 1); {worker} has {threads}"
            raise SettingsError(message)
    try:
        answers = client.run(identify, settings)
    except ImportError as error:
        message = f"a Dask worker cannot import sgdprobe ({error}): install it there, too"
        raise SettingsError(message) from error
    for worker, theirs in answers.items():
        check_same(theirs, identify(settings), f"the Dask worker {worker}")


def identify(settings: Settings) -> dict[str, str]:
    """Return what decides the bits, in this process. Raises DataError."""
    found = {
        "version": sgdprobe.__version__,
        "source hash": source_hash(),
        "data hash": load_data(settings).digest,
    }
    if settings.bits != "native":  # a worker's kernels are those of the variables at its start
        described = Environment().describe()
        found["kernels"] = f"{described['blas']['kernel']} {' '.join(described['simd'])}"
    return found


def check_same(theirs: Mapping[str, str], ours: Mapping[str, str], who: str) -> None:
    """Raise SettingsError, with both values, for the first difference."""
    for name, value in ours.items():
        if theirs[name] != value:
            message = f"{who} must have the {name} of this command, {value}; got {theirs[name]}"
            raise SettingsError(message)


def check_same_as_here(job: Job) -> None:
    """Raise SettingsError if this worker has another source or other data than the command."""
    ours = {name: job.tags[name.replace(" ", "_")] for name in ("source hash", "data hash")}
    check_same(identify(job.settings), ours, f"the Dask worker on {gethostname()}")


@contextmanager
def errors() -> Iterator[None]:
    """Turn Dask's errors into those of joblib's own workers, and of a sweep that must stop."""
    try:
        yield
    except KilledWorker as error:
        worker = error.last_worker.address
        raise TerminatedWorkerError(f"exit codes of the workers are {{{worker}}}") from error
    except (CancelledError, OSError) as error:
        message = "the Dask scheduler is lost; the same command resumes with the runs that are left"
        raise WorkersDidNotStart(message) from error


def stop() -> None:
    """Cancel what has not started, and end the workers that were started here at once."""
    while _clients:
        _, client = _clients.popitem()
        cluster: Any = client.cluster
        with suppress(Exception):
            for nanny in cluster.workers.values() if cluster else ():
                nanny.auto_restart = False
                os.kill(nanny.pid, signal.SIGKILL)
            client.close(timeout=1)
            if cluster:
                cluster.close(timeout=1)
