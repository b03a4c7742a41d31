"""Lines and tables that a person sees of one run and of a sweep."""

import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import IO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.status import Status
from rich.table import Table

from sgdprobe import tracking
from sgdprobe.config.formatting import counted, duration, format_value, percent
from sgdprobe.config.settings import Settings
from sgdprobe.nn import EpochMetrics
from sgdprobe.paths import CLONE
from sgdprobe.provenance.command import command_line
from sgdprobe.rules.course import RISING
from sgdprobe.run.job import Outcome
from sgdprobe.sweep.plan import Plan, same_program

MAX_SHOWN = 5  # records that contradict themselves
MAX_ROWS, LAST_ROWS = 100, 10  # of a table of runs, and those of them that are the worst


def plain_console(file: IO[str] | None = None) -> Console:
    """Return a console that prints text as it is, without its markup and its line breaks."""
    # FORCE_COLOR, which Jupyter sets, would put a progress bar into a file.
    terminal = None if (file or sys.stdout).isatty() else False
    return Console(
        file=file, highlight=False, markup=False, soft_wrap=True, force_terminal=terminal
    )


def reading_store() -> Status:
    """Show in a terminal, within a `with` block, that the command works: MLflow loads slowly."""
    return plain_console().status("reading the store")


def print_table(table: Table, console: Console) -> None:
    """Print a table at full width; in a terminal that is narrower, each row as a list of values.

    Numbers are printed in full, in a pipe and on a narrow screen.
    """
    width = console.measure(table, options=console.options.update(width=10_000)).maximum
    columns = min(console.width, shutil.get_terminal_size().columns)  # rich takes dumb ones for 80
    if console.is_terminal and width > columns:
        names = [str(column.header) for column in table.columns]
        for row in zip(*(column.cells for column in table.columns), strict=True):
            values = zip(names, row, strict=True)
            console.print("  ".join(f"{name} {value}".strip() for name, value in values if value))
        return
    wide = plain_console(console.file)
    wide.width = width
    wide.print(table)


def epoch_line(metrics: EpochMetrics, total: int, left: float) -> str:
    """Return a line about one epoch, of at most 79 characters; with images held out, of 93."""
    number = f"{metrics.epoch:>{len(str(total))}}/{total}"
    return f"{_epoch(number, metrics)}  left {duration(left)}"


def epoch_table(epochs: Sequence[EpochMetrics]) -> str:
    """Return one line for each epoch."""
    return "\n".join(_epoch(f"{metrics.epoch:>3}", metrics) for metrics in epochs)


def _epoch(number: str, metrics: EpochMetrics) -> str:
    names = ("train", "test", "validation")
    shares = ((name, getattr(metrics, f"{name}_accuracy")) for name in names)
    accuracies = "  ".join(f"{name} {percent(x)}" for name, x in shares if x is not None)
    return f"epoch {number}  loss {metrics.loss:<7.4f} {accuracies}"


def seed_line(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """Return the mean over the seeds of a sweep that varies nothing else, or ""."""
    found = [o.metrics["test_accuracy"] for o in outcomes if o.metrics and not o.failure]
    if set(plan.varied) - {"seed"} or len(found) < 2:
        return ""
    mean, spread = percent(fmean(found)), percent(stdev(found))
    return f"test accuracy: mean {mean}, standard deviation {spread}, of {len(found)} seeds"


def print_numerical(runs: Sequence[Settings], console: Console) -> None:
    """Print how long the runs take whose gradients are numerical: minutes, or days."""
    slow = [settings for settings in runs if settings.training.gradient == "numerical"]
    one_of_each = {settings.workload: settings for settings in slow}
    if slow:
        from sgdprobe.study.estimate import seconds_of_run  # imports joblib

        counts = Counter(settings.workload for settings in slow)
        seconds = sum(counts[name] * seconds_of_run(one) for name, one in one_of_each.items())
        console.print(
            f"numerical gradients: two losses for each weight and update, about "
            f"{duration(seconds)} of computing; training.gradient=backprop takes seconds"
        )


def print_contradictions(runs: "Sequence[tracking.RecordedRun]") -> None:
    """Print on stderr the runs whose records contradict themselves."""
    wrong = [run for run in runs if run.contradictions]
    lines = [f"  {r.run_id[:12]} ({r.name}): {'; '.join(r.contradictions)}" for r in wrong]
    if wrong:
        head = f"{len(wrong)} of {len(runs)} records contradict themselves; shown is the store's:"
        more = [f"  and {len(wrong) - MAX_SHOWN} more"] * (len(wrong) > MAX_SHOWN)
        sys.stderr.write("\n".join([head, *lines[:MAX_SHOWN], *more, ""]))


def where_to_look(store: "tracking.Store") -> str:
    """Return the address to open next, and the command that serves and opens it."""
    command, url = store.ui_command(), store.experiment_url()
    return f"to compare: {f'{command}, which opens' if command else 'open'}\n  {url}"


PAGE = "docs/how-to/my-network-is-stuck.md"
WHERE_TO_READ = f"{PAGE if CLONE else '`sgdprobe diagnose RECIPE`'} says what to try"


def advice(outcome: Outcome, words: Sequence[str], classes: int) -> str:
    """Return a sentence on a run that did not settle at a good result, and what to type next.

    words : those of the command. Returns "" for a run that needs no advice.
    """
    training, last = outcome.job.settings.training, outcome.metrics
    if outcome.ending == "rising":
        length = "training.epochs" if training.epochs else "training.iterations"
        twice = 2 * (training.epochs or training.iterations or 1)
        gain = f"training accuracy rose by more than {percent(RISING)} in the last quarter"
        return f"still rising: {gain}; train longer:\n  {_command(words, length, str(twice))}"
    why = {
        "guessing": f"at guessing level: a guess among {classes} classes is right in "
        f"{percent(1 / classes)}",
        "stuck": f"stuck: training accuracy {percent(last.get('train_accuracy', 0.0))}, no longer "
        f"rising by {percent(RISING)} in a quarter of the run",
    }.get(outcome.ending)
    if why is None:
        return ""
    rates = ",".join(map(format_value, (training.learning_rate / 10, training.learning_rate * 10)))
    next_ = _command(["-m", *words], "training.learning_rate", rates)
    return f"{why}; {WHERE_TO_READ}, or try:\n  {next_}"


def _command(words: Sequence[str], key: str, value: str) -> str:
    kept = [word for word in words if word.partition("=")[0].lstrip("+") != key]
    return command_line("train", *kept, f"{key}={value}")


def result_table(plan: Plan, outcomes: Sequence[Outcome], recipes: Mapping[str, Settings]) -> Table:
    """Return a table of the runs, best test accuracy first; a run that is a recipe has its name.

    Of very many runs, the best and the last ones.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    axes = plan.varied or ("seed",)
    for axis in axes:
        table.add_column(Settings.traits(axis).label, justify="right")
    for heading in ("test", "train", "loss", "time"):
        table.add_column(heading, justify="right")
    table.add_column("")
    ranked = sorted(outcomes, key=_rank)
    cut = len(ranked) - LAST_ROWS if len(ranked) > MAX_ROWS else None
    for number, outcome in enumerate(ranked):
        if cut and MAX_ROWS - LAST_ROWS <= number < cut:
            if number == cut - 1:
                more = counted(len(ranked) - MAX_ROWS, "run")
                table.add_row(*[""] * (len(axes) + 4), f"{more} more between these, in the report")
            continue
        settings, last = outcome.job.settings, outcome.metrics
        cells = [format_value(settings.flat()[axis]) for axis in axes]
        if outcome.failure or not last:
            cells += ["-", "-", "-"]
        else:
            cells += [percent(last["test_accuracy"]), percent(last["train_accuracy"])]
            cells += [f"{last['loss']:.4f}"]
        names = [name for name, recipe in recipes.items() if same_program(recipe, settings)]
        note = " ".join(f"<- {name}" for name in names) if names else ""
        note = f"{outcome.status} {note}" if outcome.failure else note
        table.add_row(*cells, duration(outcome.seconds), note)
    return table


def _rank(outcome: Outcome) -> tuple[bool, float]:
    return outcome.failure is not None, -outcome.metrics.get("test_accuracy", 0.0)
