"""One run as a command: progress while it trains, a summary, what to open next."""

import argparse
from collections.abc import Sequence

import numpy as np

from sgdprobe import reports, tracking
from sgdprobe.commands.answers import JSON_HELP, answer, answering, outcome_facts
from sgdprobe.commands.completion import by_hydra
from sgdprobe.commands.console import (
    advice,
    plain_console,
    print_numerical,
    where_to_look,
)
from sgdprobe.commands.progress import RunProgress
from sgdprobe.config import arguments
from sgdprobe.config.compose import run_hydra
from sgdprobe.config.formatting import duration, percent, run_name
from sgdprobe.config.settings import Settings
from sgdprobe.errors import StoreError, one_line
from sgdprobe.nn import EpochMetrics
from sgdprobe.provenance.command import command_provenance, provenance_tags
from sgdprobe.provenance.environment import pin_cpu_kernels
from sgdprobe.run.build import load_data, updates_and_epochs
from sgdprobe.run.job import NO_RECIPE, Job, run_job


def main(words: Sequence[str]) -> int:
    """Do what Hydra's grammar asks for: one run, a sweep, --cfg. Returns the exit code."""
    if {"-sc", "--shell-completion"} & {*words}:
        print(by_hydra(words))
        return 0
    typed = [word for word in words if word != "--json"]
    with answering(len(typed) < len(words)):
        composed = run_hydra(typed)
        return 0 if composed is None else train_command(*composed, typed)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options, most of which are Hydra's."""
    options = arguments.parser()
    options.add_argument("--json", action="store_true", help=JSON_HELP)
    return options


def train_command(
    settings: Settings, recipe: str | None, overridden: Sequence[str], words: Sequence[str]
) -> int:
    """Train and record one run, and print its result. Returns the exit code.

    overridden : the settings given on the command line, for the run's name. words : all of it.
    """
    pin_cpu_kernels(settings.bits)
    data = load_data(settings)  # refuses before anything is written
    name = recipe or NO_RECIPE
    console = plain_console()
    print_numerical([settings], console)
    experiment = settings.tracking.experiment or name
    with console.status("opening the store"):  # a second or two, mostly of importing MLflow
        store = tracking.open_experiment(settings.tracking.uri, experiment)
        tracking.show(store, overridden)
    tags = provenance_tags() | {"recipe": name, "seed": str(settings.seed)}
    job = Job(settings, name, run_name(settings, overridden), tags, command_provenance())

    def add_figures(recorder: "tracking.RunRecorder", epochs: list[EpochMetrics]) -> None:
        losses = np.concatenate([metrics.losses for metrics in epochs])
        try:
            for file, figure in reports.run_figures(epochs, losses, f"{name}: {job.name}").items():
                recorder.figure(file, figure)
        except StoreError:
            raise
        except Exception as error:  # a picture that fails must not fail the run
            console.print(f"no figures: {one_line(error)}")

    with RunProgress(*updates_and_epochs(settings, data), console) as progress:
        outcome = run_job(job, store, progress, add_figures)
    failure = outcome.failure
    result = failure.message if failure else f"test {percent(outcome.metrics['test_accuracy'])}"
    for line in (
        f"{outcome.status} in {duration(outcome.seconds)}: {result}",
        *filter(None, [advice(outcome, words, data.classes)]),
        f"run {outcome.run_id} in experiment {store.experiment}",
        where_to_look(store),
    ):
        console.print(line)
    answer(
        {
            **outcome_facts(outcome),
            "experiment": store.experiment,
            "store": store.uri,
            "url": store.experiment_url(),
        }
    )
    return 1 if failure else 0
