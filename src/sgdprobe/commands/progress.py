"""The progress of a run and of a sweep: a bar in a terminal, and lines that suit a log file."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from sgdprobe.commands.console import WHERE_TO_READ, epoch_line, plain_console
from sgdprobe.config.formatting import counted, duration, percent
from sgdprobe.nn import EpochMetrics, TrainingState
from sgdprobe.rules import Finding
from sgdprobe.run.ending import ENDINGS
from sgdprobe.run.job import Outcome, RunCallbacks

# A first update that takes longer, such as a numerical one, says how long the others take.
FIRST_UPDATE_S = 20.0

# Of so many lines or fewer a log shows all; of more, the first ones and about as many of the rest.
FEW_LINES = 100
FIRST_LINES = 20
LINE_S = 60.0  # between lines about a long epoch, and at least a twentieth of the time so far


def stride(total: int) -> int:
    """Return of how many lines a log shows one, so that it stays readable."""
    return max(1, total // FEW_LINES)


def is_shown(number: int, total: int) -> bool:
    """Return whether a log shows this one of many lines, counted from 1."""
    return number <= FIRST_LINES or number % stride(total) == 0 or number == total


class _ShowsBar:
    """Shows a progress bar in a `with` block, if the console is a terminal that can move up."""

    def __init__(self, console: Console, *left: TextColumn) -> None:
        self.console = console
        self.has_bar = console.is_interactive  # not in a pipe, nor with TERM=dumb
        self._bar = Progress(
            *left,
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not self.has_bar,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


class RunProgress(_ShowsBar, RunCallbacks):
    """The progress of one run: a line for each epoch, and between epochs how far it is.

    In a terminal that is a bar; elsewhere a line a minute at most, for runs whose epochs take
    hours. Of a thousand epochs a log shows a hundred.
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
        if now - self._printed < (0.2 if self.has_bar else max(LINE_S, self._spent(now) / 20)):
            return
        self._printed = now
        done = state.updates
        line = f"loss {state.losses[-1]:.4f}  left {duration(self._left(done))}"
        if self.has_bar:
            self._bar.update(self._task, completed=done, description=line)
        else:
            self.console.print(f"update {done:,}/{self._updates:,}  {line}")

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Print an epoch that has ended."""
        if self.has_bar or is_shown(metrics.epoch, self._epochs):
            self.console.print(epoch_line(metrics, self._epochs, self._left(metrics.updates)))

    def _spent(self, now: float) -> float:
        return now - self._started

    def _left(self, done: int) -> float:
        """Return the seconds to the end, at the pace of the updates in this process."""
        took = self._spent(time.perf_counter())
        return took / max(self._updates_made or 0, 1) * (self._updates - done)


class SweepProgress(_ShowsBar):
    """The progress of a sweep: a line for each run, and the state of all.

    Of a thousand runs a log shows a hundred, and each that fails.
    """

    def __init__(self, total: int, console: Console) -> None:
        super().__init__(console)
        self.outcomes: list[Outcome] = []
        self._total = total
        self._started = time.perf_counter()
        self._task = self._bar.add_task(self._state(), total=total)
        if not self.has_bar and stride(total) > 1:
            self.print(f"of {total} runs each {stride(total)}th is shown, and all that fail")

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
        if self.has_bar or outcome.failure or is_shown(len(self.outcomes), self._total):
            self.console.print(f"{number}  {outcome.job.name}  {result}")
        if self.has_bar:
            state = self._state()  # looks at all outcomes
            self._bar.update(self._task, completed=len(self.outcomes), description=state)

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
