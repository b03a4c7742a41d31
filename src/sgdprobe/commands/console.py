"""Lines, progress bars and tables that a person sees of one run and of a sweep."""

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import IO, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.status import Status
from rich.table import Table

from sgdprobe import tracking
from sgdprobe.config.formatting import counted, duration, format_value, percent
from sgdprobe.config.settings import Settings
from sgdprobe.nn import EpochMetrics, TrainingState
from sgdprobe.paths import CLONE
from sgdprobe.provenance.command import command_line
from sgdprobe.rules import Finding
from sgdprobe.rules.course import RISING
from sgdprobe.run.ending import ENDINGS
from sgdprobe.run.job import Outcome, RunCallbacks
from sgdprobe.sweep.plan import Plan, same_program

MAX_SHOWN = 5  # records that contradict themselves


def plain_console(file: IO[str] | None = None) -> Console:
    """Return a console that prints text as it is, without its markup and its line breaks."""
    return Console(file=file, highlight=False, markup=False, soft_wrap=True)


def reading_store() -> Status:
    """Show in a terminal, within a `with` block, that the command works: MLflow loads slowly."""
    return plain_console().status("reading the store")


def print_table(table: Table, console: Console) -> None:
    """Print a table at full width: a narrow terminal wraps its lines, and numbers stay whole."""
    wide = plain_console(console.file)
    wide.width = console.measure(table, options=console.options.update(width=10_000)).maximum
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


def where_to_look(url: str, command: str | None) -> str:
    """Return the address to open next, and the command that serves and opens it."""
    return f"to compare: {f'{command}, which opens' if command else 'open'}\n  {url}"


# A first update that takes longer, such as a numerical one, says how long the others take.
FIRST_UPDATE_S = 20.0

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


class _ShowsBar:
    """Shows a progress bar in a `with` block, if the console is a terminal."""

    def __init__(self, console: Console, *left: TextColumn) -> None:
        self.console = console
        self._bar = Progress(
            *left,
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


class RunProgress(_ShowsBar, RunCallbacks):
    """The progress of one run: a line for each epoch, and between epochs how far it is.

    In a terminal that is a bar; elsewhere a line a minute, for runs whose epochs take hours.
    """

    def __init__(self, updates: int, epochs: int, console: Console | None = None) -> None:
        counter = TextColumn("update {task.completed:,.0f}/{task.total:,.0f}")
        super().__init__(console or plain_console(), counter)
        self._updates = updates
        self._epochs = epochs
        self._updates_made: int | None = None  # since the time _started
        self._started = self._printed = time.perf_counter()
        self._task = self._bar.add_task("", total=updates)

    def on_warning(self, warning: Finding) -> None:
        """Print a warning."""
        self.console.print(f"warning: {warning.text}")

    def on_update(self, state: TrainingState) -> None:
        """Count an update; show it at intervals."""
        now = time.perf_counter()
        if self._updates_made is None and now - self._started < FIRST_UPDATE_S:
            self._started = self._printed = now  # most of it went by before the update
            self._updates_made = 0
        else:
            self._updates_made = (self._updates_made or 0) + 1
        if now - self._printed < (0.2 if self.console.is_terminal else 60.0):
            return
        self._printed = now
        done = state.updates
        line = f"loss {state.losses[-1]:.4f}  left {duration(self._left(done))}"
        if self.console.is_terminal:
            self._bar.update(self._task, completed=done, description=line)
        else:
            self.console.print(f"update {done:,}/{self._updates:,}  {line}")

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Print an epoch that has ended."""
        line = epoch_line(metrics, self._epochs, self._left(metrics.updates))
        self.console.print(line)

    def _left(self, done: int) -> float:
        """Return the seconds to the end, at the pace of the updates in this process."""
        took = time.perf_counter() - self._started
        return took / max(self._updates_made or 0, 1) * (self._updates - done)


class SweepProgress(_ShowsBar):
    """The progress of a sweep: a line for each run, and the state of all."""

    def __init__(self, total: int, console: Console) -> None:
        super().__init__(console)
        self.outcomes: list[Outcome] = []
        self._total = total
        self._started = time.perf_counter()
        self._task = self._bar.add_task(self._state(), total=total)

    @property
    def failed(self) -> int:
        """The number of runs that did not end FINISHED."""
        return sum(outcome.status != "FINISHED" for outcome in self.outcomes)

    def add_reused(self, outcomes: Sequence[Outcome]) -> None:
        """Count runs that were done before, and print how many."""
        self.outcomes.extend(outcomes)
        if outcomes:
            runs = f"{len(outcomes)} of {counted(self._total, 'run')}"
            self.print(f"{runs} done before, with the same settings, data and source")

    def numbers(self) -> dict[str, int]:
        """Return how many runs are done, failed, reused (done before) and left."""
        reused, ended = sum(outcome.reused for outcome in self.outcomes), len(self.outcomes)
        return {
            "done": ended - self.failed - reused,
            "failed": self.failed,
            "reused": reused,
            "left": self._total - ended,
        }

    def counts(self) -> str:
        """Return a text such as "33 done, 1 failed, 2 done before, 0 left"."""
        words = {"reused": "done before"}
        return ", ".join(f"{n} {words.get(name, name)}" for name, n in self.numbers().items())

    def warnings(self) -> str:
        """Return a line that counts the warnings before training; empty without any."""
        warned = [outcome.warnings for outcome in self.outcomes if outcome.warnings]
        names = Counter(warning.name for warnings in warned for warning in warnings)
        if not names:
            return ""
        each = ", ".join(f"{name} {count}" for name, count in sorted(names.items()))
        runs = counted(len(warned), "run")
        return f"{runs} with warnings before training, in their tags: {each}"

    def endings(self) -> str:
        """Return a line that counts the runs that guess, are stuck or still rise; or ""."""
        found = Counter(outcome.ending for outcome in self.outcomes if outcome.ending)
        each = [f"{count} {ENDINGS[name]}" for name, count in found.most_common()]
        if not each:
            return ""
        longer = "; training.iterations makes a run longer" if found["rising"] else ""
        return f"of {counted(len(self.outcomes), 'run')} {', '.join(each)}{longer}; {WHERE_TO_READ}"

    def add(self, outcome: Outcome) -> None:
        """Print a run that has ended."""
        self.outcomes.append(outcome)
        number = f"{len(self.outcomes):>{len(str(self._total))}}/{self._total}"
        if outcome.failure:
            result = f"{outcome.status} {outcome.failure.message}"
        else:
            time_ = "done before" if outcome.reused else duration(outcome.seconds)
            result = f"test {percent(outcome.metrics['test_accuracy'])}  {time_}"
        self.console.print(f"{number}  {outcome.job.name}  {result}")
        self._bar.update(self._task, completed=len(self.outcomes), description=self._state())

    def print(self, line: str) -> None:
        """Print a line about the sweep as a whole."""
        self.console.print(line)

    def _state(self) -> str:
        made = sum(not outcome.reused for outcome in self.outcomes)
        if not made:
            return self.counts()
        each = (time.perf_counter() - self._started) / made
        left = self._total - len(self.outcomes)
        return f"{self.counts()}, {duration(each * left)} to go"


def result_table(plan: Plan, outcomes: Sequence[Outcome], recipes: Mapping[str, Settings]) -> Table:
    """Return a table of the runs, best test accuracy first; a run that is a recipe has its name."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    axes = plan.varied or ("seed",)
    for axis in axes:
        table.add_column(Settings.traits(axis).label, justify="right")
    for heading in ("test", "train", "loss", "time"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for outcome in sorted(outcomes, key=_rank):
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
