"""One run as a command: progress while it trains, a summary, what to open next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgdprobe.assembly import load_data, updates_and_epochs
from sgdprobe.bits import pin
from sgdprobe.console import RunProgress, duration, percent, where_to_look
from sgdprobe.naming import run_name
from sgdprobe.nn import EpochMetrics
from sgdprobe.run import NO_RECIPE, Job, run
from sgdprobe.settings import Settings

if TYPE_CHECKING:
    from sgdprobe.tracking import RunRecorder


def run_single(settings: Settings, recipe: str | None, overridden: Sequence[str]) -> int:
    """Train and record one run, and tell about it. Returns the exit code.

    overridden : the settings given on the command line, for the run's name.
    """
    pin(settings.bits)
    data = load_data(settings)  # refuses before anything is written
    from sgdprobe.analysis.figures import run_figures
    from sgdprobe.tracking import open_store, origin, provenance_tags

    name = recipe or NO_RECIPE
    store = open_store(settings.tracking.uri, settings.tracking.experiment or name)
    tags = provenance_tags() | {"recipe": name, "seed": str(settings.seed)}
    job = Job(settings, name, run_name(settings, overridden), tags, origin())

    def finish(recorder: "RunRecorder", epochs: list[EpochMetrics]) -> None:
        for file, figure in run_figures(epochs, f"{name}: {job.name}").items():
            recorder.figure(file, figure)

    with RunProgress(*updates_and_epochs(settings, data)) as progress:
        outcome = run(job, store, progress, finish)
    result = outcome.failure or ""
    if outcome.failure is None and outcome.last:
        result = f"test {percent(outcome.last.test_accuracy)}"
    say = progress.console.print
    say(f"{outcome.status} in {duration(outcome.seconds)}: {result}", soft_wrap=True)
    say(f"run {outcome.run_id} in experiment {store.experiment}", soft_wrap=True)
    say(where_to_look(store.page(), store.ui()), soft_wrap=True)
    return 0 if outcome.status == "FINISHED" else 1
