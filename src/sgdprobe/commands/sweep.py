"""A sweep as a command: what is done already, each run as it ends, a table of all."""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sgdprobe import tracking
from sgdprobe.commands import train
from sgdprobe.commands.answers import answer, outcome_facts
from sgdprobe.commands.console import (
    plain_console,
    print_numerical,
    print_table,
    result_table,
    seed_line,
    where_to_look,
)
from sgdprobe.commands.progress import SweepProgress
from sgdprobe.commands.report import question, sweep_table, write_page
from sgdprobe.commands.showing import show_sweep
from sgdprobe.config.formatting import counted, duration
from sgdprobe.config.settings import Settings
from sgdprobe.errors import UserError, one_line
from sgdprobe.provenance.command import command_provenance, provenance_tags
from sgdprobe.provenance.environment import pin_cpu_kernels
from sgdprobe.run.build import load_data
from sgdprobe.run.job import Outcome, identity
from sgdprobe.sweep.plan import Plan
from sgdprobe.sweep.pool import fan_out
from sgdprobe.sweep.resume import Task, expected_seconds, finished_outcomes
from sgdprobe.sweep.workers import dashboard, process_count, starting_workers

Recipes = Mapping[str, Settings]

SWEEP = "sweep"  # the recipe of the main sweep


def main(words: Sequence[str]) -> int:
    """Do what `train -m` does, with the recipe `sweep` where none is named. Returns its code."""
    named = [w for w in words if w.startswith("experiment=") or ("=" not in w and w[:1].isalnum())]
    return train.main(["-m", *([] if named else [SWEEP]), *words])


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options: those of `train`."""
    return train.parser()


def run_sweep(plan: Plan, load_recipes: Callable[[], Recipes] | None) -> int:
    """Run all jobs of a plan and print their results. Returns the exit code.

    load_recipes : composes the recipes that the table names, while runs are trained. None for
    no table.
    """
    settings = plan.jobs[0].settings
    pin_cpu_kernels(settings.bits)
    console = plain_console()
    if plan.duplicates:
        console.print(f"{counted(plan.duplicates, 'duplicate')} merged")
    if settings.sweep.dry_run:
        return print_plan(plan, console)
    print_numerical([job.settings for job in plan.jobs], console)
    with (
        starting_workers(settings, len(plan.jobs)) as starting,
        console.status("opening the store"),
    ):
        stores = {
            name: tracking.open_experiment(settings.tracking.uri, name)
            for name in _experiments(plan)
        }
        for store in stores.values():
            tracking.show(store, plan.varied)
        tasks = _tasks(plan, stores)
        done, stale = finished_outcomes(tasks if settings.sweep.resume else [])
        pending = [task for task in tasks if task[0].name not in done]
        print_stale(stale, console)
        if link := dashboard(settings.sweep):
            console.print(f"Dask's dashboard: {link}")
        if starting.is_alive():
            starting.join()
    started = time.perf_counter()
    with (
        ThreadPoolExecutor(1) as executor,
        SweepProgress(len(tasks), console) as progress,
    ):
        recipes = executor.submit(load_recipes) if load_recipes else None
        progress.add_reused(list(done.values()))
        complete = _run(pending, plan, progress)
    if recipes is not None and progress.outcomes:
        print_table(result_table(plan, progress.outcomes, recipes.result()), console)
    print_end(plan, progress, time.perf_counter() - started, stores.values())
    if recipes is not None:
        page = (
            print_report(plan, stores.values(), progress.outcomes, recipes.result(), console)
            if complete
            else None
        )
        answer(_facts(plan, progress, stores, page) | {"seconds": time.perf_counter() - started})
    return 0 if complete and not progress.failed else 1


def _facts(
    plan: Plan, progress: SweepProgress, stores: Mapping[str, "tracking.Store"], page: Path | None
) -> dict[str, Any]:
    """Return the answer for programs, the runs in the order in which they ended."""
    return {
        "sweep": plan.sweep,
        "varied": plan.varied,
        **progress.numbers(),
        "report": page,
        "store": next(iter(stores.values())).uri,
        "urls": {name: store.experiment_url() for name, store in stores.items()},
        "runs": [outcome_facts(o) | {"settings": _varied(plan, o)} for o in progress.outcomes],
    }


def _varied(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    flat = outcome.job.settings.flat()
    return {key: flat[key] for key in plan.varied}


def _run(pending: Sequence[Task], plan: Plan, progress: SweepProgress) -> bool:
    """Run the pending jobs; False if a broken store, or workers that die, end the sweep early."""
    settings = plan.jobs[0].settings.sweep
    try:
        with closing(fan_out(pending, settings, plan.sweep, progress.print)) as outcomes:
            for outcome in outcomes:
                progress.add(outcome)
                if progress.failed and settings.fail_fast:
                    break
    except UserError as error:
        progress.print(f"stopped: {error}")
        return False
    except (KeyboardInterrupt, SystemExit):
        progress.print("stopped; the same command resumes with the runs that are left")
        raise
    return True


def print_end(
    plan: Plan, progress: SweepProgress, seconds: float, stores: Iterable["tracking.Store"]
) -> None:
    """Print the counts of the runs, and where to compare them."""
    seeds = seed_line(plan, progress.outcomes)
    for line in filter(None, (seeds, progress.warnings(), progress.endings())):
        progress.print(line)
    progress.print(f"sweep {plan.sweep}: {progress.counts()}, in {duration(seconds)}")
    for store in stores:
        progress.print(where_to_look(store))


def print_report(
    plan: Plan,
    stores: Iterable["tracking.Store"],
    outcomes: Sequence[Outcome],
    recipes: Recipes,
    console: Console,
) -> Path | None:
    """Write the sweep's page, reused runs included, and show it in MLflow; return it."""
    reused = [outcome.run_id for outcome in outcomes if outcome.reused and outcome.run_id]
    uri = next(iter(stores)).uri
    try:
        tracking.add_to_sweep(uri, plan.sweep, reused)
        table = sweep_table(plan.sweep, uri, lambda: recipes)
        if table is None:
            return None
        page = write_page(table, uri)
    except Exception as error:  # such as a full disk; the runs are recorded
        console.print(f"no report: {one_line(error)}")
        return None
    console.print(f"report: {page}")
    try:
        show_sweep(table, page, question(table), stores)
    except Exception as error:  # the page is written; only MLflow lacks it
        console.print(f"the report is not in MLflow: {one_line(error)}")
    return page


def print_plan(plan: Plan, console: Console) -> int:
    """Print which runs a sweep would make, and how long they take; write nothing."""
    settings = plan.jobs[0].settings
    with console.status("reading the store"):
        found = {
            name: tracking.find_experiment(settings.tracking.uri, name)
            for name in _experiments(plan)
        }
    tasks = _tasks(plan, {name: store for name, store in found.items() if store is not None})
    done, stale = finished_outcomes(tasks if settings.sweep.resume else [])
    for job in plan.jobs:
        console.print(f"{'done before' if job.name in done else 'to do':12}{job.name}")
    pending = [task for task in tasks if task[0].name not in done]
    print_stale(stale, console)
    count = len(plan.jobs) - len(done)
    seconds = expected_seconds(pending) if len(pending) == count else None
    processes = min(process_count(settings.sweep, count), max(1, count))
    time_left = (
        "no past runs of this size to tell the time from"
        if seconds is None
        else f"about {duration(seconds / processes)} on {counted(processes, 'process')}"
    )
    counts = f"{counted(len(plan.jobs), 'run')}: {len(done)} done before, {count} to do"
    console.print(f"{counts}, {time_left if count else 'nothing left'}")
    answer(
        {
            "runs": [{"name": job.name, "reused": job.name in done} for job in plan.jobs],
            "reused": len(done),
            "left": count,
            "seconds": None if seconds is None else seconds / processes,
        }
    )
    return 0


def print_stale(stale: Mapping[str, int], console: Console) -> None:
    """Print how many finished runs do not count, and why."""
    for reason, count in stale.items():
        does = "does" if count == 1 else "do"
        runs = counted(count, "finished run")
        console.print(f"{runs} of these settings {does} not count: {reason}")


def _experiments(plan: Plan) -> list[str]:
    experiment = plan.jobs[0].settings.tracking.experiment
    return [experiment] if experiment else list(dict.fromkeys(job.recipe for job in plan.jobs))


def _tasks(plan: Plan, stores: Mapping[str, "tracking.Store"]) -> list[Task]:
    """Return the jobs with all their tags, each with the store that records it."""
    tasks = []
    for job in plan.jobs:
        store = stores.get(job.settings.tracking.experiment or job.recipe)
        if store is not None:
            tags = provenance_tags() | job.tags | identity(job.settings, load_data(job.settings))
            tasks.append((replace(job, tags=tags, origin=command_provenance()), store))
    return tasks
