"""Runs a plan and tells about it: what is done already, each run as it ends, a table of all."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from joblib import effective_n_jobs
from rich.console import Console

from sgdprobe import tracking
from sgdprobe.commands.console import plain_console, where_to_look
from sgdprobe.commands.progress import SweepProgress, result_table
from sgdprobe.config.formatting import duration
from sgdprobe.config.settings import Settings
from sgdprobe.errors import StoreError, UserError
from sgdprobe.provenance.command import command_provenance, provenance_tags
from sgdprobe.provenance.environment import pin_cpu_kernels
from sgdprobe.run.build import load_data
from sgdprobe.run.job import Job, Outcome, identity
from sgdprobe.sweep.plan import Plan
from sgdprobe.sweep.pool import fan_out, start_workers, stop_workers
from sgdprobe.sweep.resume import Task, expected_seconds, finished_outcomes, stale_runs

Recipes = Mapping[str, Settings]


def run_sweep(plan: Plan, known: Callable[[], Recipes] | None) -> int:
    """Run all jobs of a plan and tell about them. Returns the exit code.

    known : recipes to recognise in the table; asked for, aside, when runs are under way. None for
    no table.
    """
    settings = plan.jobs[0].settings
    pin_cpu_kernels(settings.bits)
    console = plain_console()
    if plan.duplicates:
        console.print(f"{plan.duplicates} duplicates merged")
    if settings.sweep.dry_run:
        return print_plan(plan, console)
    starting = start_workers(settings, len(plan.jobs))

    stores = {
        name: tracking.open_experiment(settings.tracking.uri, name) for name in _experiments(plan)
    }
    tasks = _tasks(plan, stores)
    done = finished_outcomes(tasks) if settings.sweep.resume else {}
    left = [task for task in tasks if task[0].name not in done]
    if settings.sweep.resume:
        print_stale(left, console)
    starting.join()
    started = time.perf_counter()
    with (
        ThreadPoolExecutor(1) as aside,
        _stop_on_interrupt(stores.values(), console),
        SweepProgress(len(tasks), console) as progress,
    ):
        recipes = aside.submit(known) if known else None
        progress.found(list(done.values()))
        whole = _run(left, plan, stores.values(), progress)
    if recipes is not None:
        console.print(result_table(plan, progress.outcomes, recipes.result()))
    took = f"in {duration(time.perf_counter() - started)}"
    print_end(plan, progress, took, stores.values())
    if recipes is not None and whole:
        print_report(plan, stores.values(), progress.outcomes, recipes.result(), console)
    return 0 if whole and not progress.failed else 1


def _run(
    left: Sequence[Task], plan: Plan, stores: Iterable["tracking.Store"], progress: SweepProgress
) -> bool:
    """Run what is left; False if a store that breaks, or workers that die, end it early."""
    settings = plan.jobs[0].settings.sweep
    try:
        for outcome in fan_out(left, settings, plan.sweep, progress.tell):
            progress.add(outcome)
            if progress.failed and settings.fail_fast:
                stop_workers(stores)
                break
    except UserError as error:
        progress.console.print(f"stopped: {error}", soft_wrap=True)
        stop_workers(stores)
        return False
    return True


def print_end(
    plan: Plan, progress: SweepProgress, took: str, stores: Iterable["tracking.Store"]
) -> None:
    """Print what became of the runs, and where to compare them."""
    if progress.cautions():
        progress.console.print(progress.cautions(), soft_wrap=True)
    progress.console.print(f"sweep {plan.sweep}: {progress.counts()}, {took}", soft_wrap=True)
    for store in stores:
        progress.console.print(
            where_to_look(store.experiment_url(), store.ui_command()), soft_wrap=True
        )


def print_report(
    plan: Plan,
    stores: Iterable["tracking.Store"],
    outcomes: Sequence[Outcome],
    known: Recipes,
    console: Console,
) -> None:
    """Write the sweep's page and say where it is; it shows what was done before, too."""
    from sgdprobe.commands.report import report_sweep  # imports matplotlib: after the runs

    before = [outcome.run_id for outcome in outcomes if outcome.reused and outcome.run_id]
    uri = next(iter(stores)).uri
    try:
        tracking.add_to_sweep(uri, plan.sweep, before)
        page = report_sweep(plan.sweep, None, uri, lambda: known)
    except (OSError, StoreError) as error:  # such as a full disk; the runs are recorded
        console.print(f"no report: {error}", soft_wrap=True)
        return
    console.print(f"report: {page}", soft_wrap=True)


def print_plan(plan: Plan, console: Console) -> int:
    """Print what would be run, and how long that takes; nothing is written."""
    settings = plan.jobs[0].settings
    found = {
        name: tracking.find_experiment(settings.tracking.uri, name) for name in _experiments(plan)
    }
    stores = {name: store for name, store in found.items() if store is not None}
    tasks = _tasks(plan, stores)
    done = finished_outcomes(tasks) if settings.sweep.resume else {}
    left = [job for job in plan.jobs if job.name not in done]
    for job in plan.jobs:
        console.print(f"{'done before' if job.name in done else 'to do':12}{job.name}")
    unfinished = [task for task in tasks if task[0].name not in done]
    if settings.sweep.resume:
        print_stale(unfinished, console)
    seconds = expected_seconds(unfinished) if len(unfinished) == len(left) else None
    processes = min(effective_n_jobs(settings.sweep.n_jobs), max(1, len(left)))
    time_left = (
        "no past runs of this size to tell the time from"
        if seconds is None
        else f"about {duration(seconds / processes)} on {processes} processes"
    )
    counts = f"{len(plan.jobs)} runs: {len(done)} done before, {len(left)} to do"
    console.print(f"{counts}, {time_left if left else 'nothing left'}", soft_wrap=True)
    return 0


def print_stale(tasks: Sequence[Task], console: Console) -> None:
    """Say which finished runs do not count, and why."""
    for why, count in stale_runs(tasks).items():
        console.print(f"{count} finished runs of these settings do not count: {why}")


def _experiments(plan: Plan) -> list[str]:
    experiment = plan.jobs[0].settings.tracking.experiment
    return [experiment] if experiment else list(dict.fromkeys(job.recipe for job in plan.jobs))


def _tasks(plan: Plan, stores: Mapping[str, "tracking.Store"]) -> list[Task]:
    """The jobs, tagged with all that tells them apart, each with the store that it goes to."""
    tasks = []
    for job in plan.jobs:
        store = stores.get(job.settings.tracking.experiment or job.recipe)
        if store is not None:
            tags = provenance_tags() | job.tags | identity(job.settings, load_data(job.settings))
            tasks.append(
                (Job(job.settings, job.recipe, job.name, tags, command_provenance()), store)
            )
    return tasks


@contextmanager
def _stop_on_interrupt(stores: Iterable["tracking.Store"], console: Console) -> Iterator[None]:
    """When the sweep is stopped, stop its workers and mark their runs KILLED."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        stop_workers(stores)
        console.print("stopped; the same command goes on with what is left")
        raise
