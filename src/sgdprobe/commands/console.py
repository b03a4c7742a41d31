"""What a person sees of one run: a line that lives in a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from sgdprobe.config.formatting import duration, percent
from sgdprobe.nn import EpochMetrics, TrainingState
from sgdprobe.paths import PROJECT_ROOT
from sgdprobe.run.preflight import PreflightWarning


def plain_console(file: IO[str] | None = None) -> Console:
    """A console that shows text as it is; rich would read [words] in brackets as its markup."""
    return Console(file=file, highlight=False, markup=False)


def epoch_line(metrics: EpochMetrics, total: int, left: float) -> str:
    """One epoch in at most 79 characters."""
    return (
        f"epoch {metrics.epoch:>{len(str(total))}}/{total}  loss {metrics.loss:<7.4f} "
        f"train {percent(metrics.train_accuracy)}  test {percent(metrics.test_accuracy)}  "
        f"left {duration(left)}"
    )


def epoch_table(epochs: Sequence[EpochMetrics]) -> str:
    """One line an epoch."""
    return "\n".join(
        f"epoch {m.epoch:>3}  loss {m.loss:<7.4f} train {percent(m.train_accuracy)}  "
        f"test {percent(m.test_accuracy)}"
        for m in epochs
    )


def where_to_look(page: str, command: str | None) -> str:
    """What to open next, and before it to type, wherever the reader stands."""
    if command is None:
        return f"to compare: open\n  {page}"
    root = "" if Path.cwd() == PROJECT_ROOT else f"cd {PROJECT_ROOT} && "
    return f"to compare: {root}{command}\n  then open {page}"


class RunProgress:
    """The progress of one run: a line an epoch, and between epochs how far it is.

    In a terminal that is a bar; elsewhere a line a minute, for runs whose epochs take hours.
    """

    def __init__(self, updates: int, epochs: int, console: Console | None = None) -> None:
        self.console = console or plain_console()
        self._updates = updates
        self._epochs = epochs
        self._made = 0  # updates in this process
        self._started = self._said = time.perf_counter()
        self._bar = Progress(
            TextColumn("update {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task("", total=updates)

    def caution(self, caution: PreflightWarning) -> None:
        """Show what looks wrong before training."""
        self.console.print(f"warning: {caution.text}", soft_wrap=True)

    def update(self, checkpoint: TrainingState) -> None:
        """Count an update; show it now and then."""
        self._made += 1
        now = time.perf_counter()
        if now - self._said < (0.2 if self.console.is_terminal else 60.0):
            return
        self._said = now
        done = checkpoint.updates
        state = f"loss {checkpoint.losses[-1]:.4f}  left {duration(self._left(done))}"
        if self.console.is_terminal:
            self._bar.update(self._task, completed=done, description=state)
        else:
            self.console.print(f"update {done:,}/{self._updates:,}  {state}")

    def epoch(self, metrics: EpochMetrics) -> None:
        """Show an epoch that has ended."""
        line = epoch_line(metrics, self._epochs, self._left(metrics.updates))
        self.console.print(line, soft_wrap=True)

    def _left(self, done: int) -> float:
        """Seconds to the end, at the pace so far; a run may have gone on from a checkpoint."""
        took = time.perf_counter() - self._started
        return took / max(self._made, 1) * (self._updates - done)

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
