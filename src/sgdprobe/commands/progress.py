"""What a person sees of a sweep: a line for each run, the state of all, a table at the end."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from sgdprobe.config.formatting import duration, format_value, percent
from sgdprobe.config.settings import Settings
from sgdprobe.run.job import Outcome
from sgdprobe.sweep.plan import Plan, same_program


class SweepProgress:
    """The progress of a sweep; call `add` with each outcome."""

    def __init__(self, total: int, console: Console) -> None:
        self.console = console
        self.outcomes: list[Outcome] = []
        self._total = total
        self._started = time.perf_counter()
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(self._state(), total=total)

    @property
    def failed(self) -> int:
        """Runs that did not end FINISHED."""
        return sum(outcome.status != "FINISHED" for outcome in self.outcomes)

    def found(self, outcomes: Sequence[Outcome]) -> None:
        """Count runs that were done before; a line says how many."""
        self.outcomes.extend(outcomes)
        if outcomes:
            runs = f"{len(outcomes)} of {self._total} runs"
            self.console.print(f"{runs} were done before, with the same settings, data and source")

    def counts(self) -> str:
        """For example "33 done, 1 failed, 2 done before, 0 left"."""
        before = sum(outcome.reused for outcome in self.outcomes)
        ended = len(self.outcomes)
        return (
            f"{ended - self.failed - before} done, {self.failed} failed, "
            f"{before} done before, {self._total - ended} left"
        )

    def cautions(self) -> str:
        """How many of the runs made now were warned of, by warning; empty where none was."""
        warned = [outcome.cautions for outcome in self.outcomes if outcome.cautions]
        names = Counter(caution.name for cautions in warned for caution in cautions)
        if not names:
            return ""
        each = ", ".join(f"{name} {count}" for name, count in sorted(names.items()))
        return f"{len(warned)} runs with warnings before training, in their tags: {each}"

    def add(self, outcome: Outcome) -> None:
        """Show a run that has ended."""
        self.outcomes.append(outcome)
        number = f"{len(self.outcomes):>{len(str(self._total))}}/{self._total}"
        if outcome.failure is None and outcome.last:
            time_ = "done before" if outcome.reused else duration(outcome.seconds)
            result = f"test {percent(outcome.last.test_accuracy)}  {time_}"
        else:
            result = f"{outcome.status} {outcome.failure}"
        self.console.print(f"{number}  {outcome.job.name}  {result}", soft_wrap=True)
        self._bar.update(self._task, completed=len(self.outcomes), description=self._state())

    def tell(self, line: str) -> None:
        """Show a line about something that happened to the sweep."""
        self.console.print(line, soft_wrap=True)

    def _state(self) -> str:
        made = sum(not outcome.reused for outcome in self.outcomes)
        if not made:
            return self.counts()
        each = (time.perf_counter() - self._started) / made
        left = self._total - len(self.outcomes)
        return f"{self.counts()}, {duration(each * left)} to go"

    def __enter__(self) -> "SweepProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def result_table(plan: Plan, outcomes: Sequence[Outcome], known: Mapping[str, Settings]) -> Table:
    """The runs, best test accuracy first; a run that is a recipe bears its name."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    axes = plan.varied or ("seed",)
    for axis in axes:
        table.add_column(Settings.traits(axis).label, justify="right")
    for heading in ("test", "train", "loss", "time"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for outcome in sorted(outcomes, key=_rank):
        settings = outcome.job.settings
        cells = [format_value(settings.flat()[axis]) for axis in axes]
        last = outcome.last
        if last is None or outcome.failure is not None:
            cells += ["-", "-", "-"]
        else:
            cells += [percent(last.test_accuracy), percent(last.train_accuracy), f"{last.loss:.4f}"]
        names = [name for name, recipe in known.items() if same_program(recipe, settings)]
        note = " ".join(f"<- {name}" for name in names) if names else ""
        note = note if outcome.failure is None else f"{outcome.status} {note}"
        table.add_row(*cells, duration(outcome.seconds), note)
    return table


def _rank(outcome: Outcome) -> tuple[bool, float]:
    last = outcome.last
    return outcome.failure is not None, -last.test_accuracy if last else 0.0
