"""Runs a plan: joblib fans the jobs out, what comes back is shown as it comes."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from rich.console import Console

from sgdprobe.console import where_to_look
from sgdprobe.run import Job, Outcome, run
from sgdprobe.settings import Settings, SweepSettings
from sgdprobe.sweep.plan import Plan
from sgdprobe.sweep.progress import SweepProgress, result_table
from sgdprobe.tracking import Store, open_store, provenance_tags, runs_of_sweep

# A job that was under way this often when a worker process died is not tried again.
MAX_KILLS = 2


def run_sweep(plan: Plan, known: Mapping[str, Settings]) -> int:
    """Run all jobs and show a table; 0 if every run finished, else 1.

    known : recipes by name, to mark the runs that are one of them.
    """
    console = Console(highlight=False)
    first = plan.jobs[0].settings
    names = dict.fromkeys(first.tracking.experiment or job.recipe for job in plan.jobs)
    stores = {name: open_store(first.tracking.uri, name) for name in names}
    if plan.merged:
        console.print(f"{plan.merged} duplicates merged")
    started = time.perf_counter()
    provenance = provenance_tags()
    with SweepProgress(len(plan.jobs), console) as progress:
        tasks = []
        for job in plan.jobs:
            store = stores[first.tracking.experiment or job.recipe]
            tasks.append((Job(job.settings, job.recipe, job.name, provenance | job.tags), store))
        for outcome in fan_out(tasks, first.sweep, plan.sweep):
            progress.add(outcome)
    console.print(result_table(plan, progress.outcomes, known))
    done = len(plan.jobs) - progress.failed
    took = f"in {time.perf_counter() - started:.1f} s"
    console.print(f"sweep {plan.sweep}: {done} done, {progress.failed} failed, {took}")
    for store in stores.values():
        console.print(where_to_look(store.page()), soft_wrap=True)
    return 1 if progress.failed else 0


def fan_out(
    tasks: Sequence[tuple[Job, Store]], settings: SweepSettings, sweep: str
) -> Iterator[Outcome]:
    """The outcomes of all jobs, in the order in which they end.

    When a worker process dies, joblib gives up; what is left goes to new workers, except for a
    job that was under way at MAX_KILLS deaths: it is the likely cause, and counts as KILLED.
    """
    left = {job.name: (job, store) for job, store in tasks}
    kills: Counter[str] = Counter()
    with parallel_config(backend=settings.backend, n_jobs=settings.n_jobs):
        while left:
            parallel = Parallel(return_as="generator_unordered", batch_size=1)
            calls = [delayed(run)(job, store) for job, store in left.values()]
            try:
                for outcome in parallel(calls):
                    del left[outcome.job.name]
                    yield outcome
            except TerminatedWorkerError as error:
                reason = str(error).splitlines()[0]
                killed = _bury(left, sweep)
                kills.update(killed)
                for name in [name for name in killed if kills[name] >= MAX_KILLS]:
                    job, _ = left.pop(name)
                    yield Outcome(job, "KILLED", None, [], 0.0, reason)


def _bury(left: Mapping[str, tuple[Job, Store]], sweep: str) -> list[str]:
    """Mark what dead workers left RUNNING as KILLED; the names of those jobs."""
    stores = dict.fromkeys(store for _, store in left.values())
    for store in stores:
        open_store(store.uri, store.experiment)
    names = [name for store in stores for name in runs_of_sweep(store, sweep, status="KILLED")]
    return [name for name in set(names) if name in left]
