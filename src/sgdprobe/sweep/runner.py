"""Runs a plan: joblib fans the jobs out, what comes back is shown as it comes."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from sgdprobe.assembly import load_data
from sgdprobe.bits import pin
from sgdprobe.console import plain_console, where_to_look
from sgdprobe.run import Job, Outcome, run
from sgdprobe.settings import Settings, SweepSettings
from sgdprobe.sweep.plan import Plan
from sgdprobe.sweep.progress import SweepProgress, result_table

if TYPE_CHECKING:
    from sgdprobe.tracking import Store

# A job that was under way this often when a worker process died is not tried again.
MAX_KILLS = 2


def run_sweep(plan: Plan, known: Mapping[str, Settings]) -> int:
    """Run all jobs and show a table; 0 if every run finished, else 1.

    known : recipes by name, to mark the runs that are one of them.
    """
    first = plan.jobs[0].settings
    pin(first.bits)
    warm_up = threading.Thread(target=start_workers, args=(first, len(plan.jobs)))
    warm_up.start()
    from sgdprobe.tracking import open_store, origin, provenance_tags

    console = plain_console()
    names = dict.fromkeys(first.tracking.experiment or job.recipe for job in plan.jobs)
    stores = {name: open_store(first.tracking.uri, name) for name in names}
    if plan.merged:
        console.print(f"{plan.merged} duplicates merged")
    provenance = provenance_tags()
    tasks = [
        (
            Job(job.settings, job.recipe, job.name, provenance | job.tags, origin()),
            stores[first.tracking.experiment or job.recipe],
        )
        for job in plan.jobs
    ]
    warm_up.join()
    started = time.perf_counter()
    with tidy(stores.values()), SweepProgress(len(plan.jobs), console) as progress:
        for outcome in fan_out(tasks, first.sweep, plan.sweep):
            progress.add(outcome)
    console.print(result_table(plan, progress.outcomes, known))
    done = len(plan.jobs) - progress.failed
    took = f"in {time.perf_counter() - started:.1f} s"
    console.print(f"sweep {plan.sweep}: {done} done, {progress.failed} failed, {took}")
    for store in stores.values():
        console.print(where_to_look(store.page()), soft_wrap=True)
    return 1 if progress.failed else 0


@contextmanager
def tidy(stores: Iterable["Store"]) -> Iterator[None]:
    """When the sweep is stopped, stop its workers and mark their runs KILLED."""
    from sgdprobe.tracking import open_store

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        get_reusable_executor().shutdown(kill_workers=True)
        for store in stores:
            open_store(store.uri, store.experiment)
        raise


def start_workers(settings: Settings, jobs: int) -> None:
    """Start joblib's processes and let them import and load while this one prepares the store."""
    n_jobs = settings.sweep.n_jobs
    if settings.sweep.backend == "loky":
        calls = [delayed(_prepare)(settings, os.getpid())] * min(effective_n_jobs(n_jobs), jobs)
        Parallel(n_jobs=n_jobs, backend="loky", batch_size=1)(calls)


def _prepare(settings: Settings, parent: int) -> None:
    _end_with(parent)
    import sgdprobe.tracking  # noqa: F401 (takes seconds, once in each process)

    load_data(settings)


def _work(job: Job, store: "Store", parent: int) -> Outcome:
    """Run one job in a worker that ends with the process that started it."""
    _end_with(parent)
    return run(job, store)


@cache  # one watch for each worker, however many jobs it runs
def _end_with(parent: int) -> None:
    if os.getpid() == parent:  # no worker: joblib runs a single process's jobs in this one
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)  # nobody is left to tell

    threading.Thread(target=watch, daemon=True).start()


def fan_out(
    tasks: Sequence[tuple[Job, "Store"]], settings: SweepSettings, sweep: str
) -> Iterator[Outcome]:
    """The outcomes of all jobs, in the order in which they end.

    When a worker process dies, joblib gives up; what is left goes to new workers, except for a
    job that was under way at MAX_KILLS deaths: it is the likely cause, and counts as KILLED.
    """
    left = {job.name: (job, store) for job, store in tasks}
    while left:
        parallel = Parallel(
            n_jobs=settings.n_jobs,
            backend=settings.backend,
            return_as="generator_unordered",
            batch_size=1,  # joblib would bundle short runs, and show and lose them together
        )
        calls = [delayed(_work)(job, store, os.getpid()) for job, store in left.values()]
        try:
            for outcome in parallel(calls):
                del left[outcome.job.name]
                yield outcome
        except TerminatedWorkerError as error:
            for name in _repeatedly_killed(left, sweep):
                job, _ = left.pop(name)
                yield Outcome(job, "KILLED", None, [], 0.0, str(error).splitlines()[0])


def _repeatedly_killed(left: Mapping[str, tuple[Job, "Store"]], sweep: str) -> list[str]:
    """Jobs still to be done that were under way at MAX_KILLS deaths of workers."""
    from sgdprobe.tracking import open_store, runs_of_sweep

    kills: Counter[str] = Counter()
    for store in dict.fromkeys(store for _, store in left.values()):
        open_store(store.uri, store.experiment)  # marks what dead workers left RUNNING
        kills.update(runs_of_sweep(store, sweep, status="KILLED"))
    return [name for name in left if kills[name] >= MAX_KILLS]
