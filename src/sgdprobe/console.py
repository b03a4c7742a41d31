"""What a person sees of one run: a line that lives in a terminal, plain lines elsewhere."""

import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from sgdprobe.nn import EpochMetrics

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def percent(share: float) -> str:
    """0.7012 as "70.12 %"."""
    return f"{100 * share:.2f} %"


def duration(seconds: float) -> str:
    """Seconds in a unit that leaves a number to read: 4.2 s, 12:34, 1:02:03, 13.6 days."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds >= 86400:
        return f"{seconds / 86400:.1f} days"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def epoch_line(metrics: EpochMetrics, total: int, left: float) -> str:
    """One epoch in at most 79 characters."""
    return (
        f"epoch {metrics.epoch:>{len(str(total))}}/{total}  loss {metrics.loss:<7.4f} "
        f"train {percent(metrics.train_accuracy)}  test {percent(metrics.test_accuracy)}  "
        f"left {duration(left)}"
    )


def where_to_look(page: str) -> str:
    """What to type and open next, wherever the reader stands."""
    root = "" if Path.cwd() == PROJECT_ROOT else f"cd {PROJECT_ROOT} && "
    return f"to compare: {root}mlflow ui\n  then open http://127.0.0.1:5000{page}"


class RunProgress:
    """The progress of one run; call `epoch` after each."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._total = total
        self._started = time.perf_counter()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=total)

    def epoch(self, metrics: EpochMetrics) -> None:
        """Show an epoch that has ended."""
        per_epoch = (time.perf_counter() - self._started) / metrics.epoch
        line = epoch_line(metrics, self._total, per_epoch * (self._total - metrics.epoch))
        self.console.print(line, soft_wrap=True)
        self._bar.update(self._task, completed=metrics.epoch, description=f"{metrics.epoch}")

    def __enter__(self) -> "RunProgress":
        self._started = time.perf_counter()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
