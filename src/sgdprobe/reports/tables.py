"""The columns of the CSV files: one list each for the file and for its documentation."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import methodcaller
from typing import Any, NamedTuple

from sgdprobe import tracking
from sgdprobe.config.formatting import format_value
from sgdprobe.reports.sweep import CURVE, SweepTable
from sgdprobe.study.factors import Cell, cell_id
from sgdprobe.study.results import StudyResults
from sgdprobe.study.tuning import Tuned

DIGITS = "one digit for each factor, in the order of their columns; 1: as in the target"
SEED = "root of the run's random streams; runs with the same seed are pairs"
BEST = "1 if this value has the cell's best validation_accuracy, mean over the seeds"
DIVERGED = "1 if the loss became NaN or infinite: the run then counts as guessing"
STATES = "finished, diverged (the loss became NaN or infinite), failed, killed or running"
# Of metrics after the last recorded epoch.
METRICS = {
    "validation_accuracy": "on the images held out of training, 0 … 1",
    "test_accuracy": "on all test images after the last recorded epoch, 0 … 1",
    "train_accuracy": "on all training images after the last recorded epoch, 0 … 1",
    "loss": "mean over the updates of the last recorded epoch",
}
SYMPTOM = "symptom after the last recorded epoch; the project's documentation explains each"
NEAR = "only for cells at most one change from baseline or target"
DIAGNOSTICS = {
    "first_loss": "loss of the first batch before any update; " + NEAR,
    "never_predicted": "classes that the trained network never predicts; " + NEAR,
}


class Column(NamedTuple):
    """A column of a CSV file; value : of a row."""

    name: str
    description: str
    value: Callable[[Any], object]


def to_csv(columns: Sequence[Column], rows: Iterable[object]) -> str:
    """Return the rows as CSV; an empty field is a value that was not recorded."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    writer.writerows([column.value(row) for column in columns] for row in rows)
    return stream.getvalue()


def documentation(columns: Sequence[Column]) -> list[tuple[list[str], str]]:
    """Return names and description of columns; neighbours with one description are a group."""
    groups = groupby(columns, key=lambda column: column.description)
    return [([column.name for column in group], description) for description, group in groups]


class StudyRow(NamedTuple):
    """A run of a study; position : that of its value of the tuned setting."""

    study: StudyResults
    cell: Cell
    seed: int
    position: int

    @property
    def run(self) -> "tracking.RecordedRun":
        """The recorded run."""
        return self.study.runs[self.cell, self.seed]

    def level(self, i: int) -> str:
        """The level of a factor."""
        return self.study.factorial.factors[i].format_level(self.cell[i])

    def accuracy(self, name: str) -> float:
        """An accuracy; that of guessing if the run diverged."""
        return self.study.accuracy_of((self.cell, self.seed), name)

    def diagnostic(self, name: str) -> object:
        """A final diagnostic; None if it was not recorded."""
        found = getattr(self.study.diagnostics.get((self.cell, self.seed)), name, None)
        return (" ".join(map(str, found)) or "none") if isinstance(found, tuple) else found


def study_rows(*studies: StudyResults) -> Iterator[StudyRow]:
    """All runs of the first study, then those of the second, …."""
    for position, study in enumerate(studies):
        yield from (StudyRow(study, *run, position) for run in study.factorial.runs())


def study_columns(study: StudyResults) -> list[Column]:
    """Columns of a study's cells.csv."""
    changes = Column("changes", "number of factors as in the target", lambda row: sum(row.cell))
    return [
        *_run_columns(study, [changes], ["test_accuracy"]),
        *(Column(name, text, methodcaller("diagnostic", name))
          for name, text in DIAGNOSTICS.items()),
        *_symptom_columns(run.metrics for run in study.runs.values()),
    ]  # fmt: skip


def tuned_columns(tuned: Tuned) -> list[Column]:
    """Columns of tuned.csv."""
    values = [format_value(value) for value in tuned.values]
    own = [
        Column(tuned.key, "the tuned setting", lambda row: values[row.position]),
        Column("best", BEST, lambda row: int(tuned.chosen[row.cell] == row.position)),
    ]
    return _run_columns(tuned.tried[0], own, ["validation_accuracy", "test_accuracy"])


def _run_columns(
    study: StudyResults, own: Sequence[Column], accuracies: Sequence[str]
) -> list[Column]:
    return [
        Column("cell", DIGITS, lambda row: cell_id(row.cell)),
        *(Column(name, "the factor's settings in this cell", methodcaller("level", i))
          for i, name in enumerate(study.factorial.names)),
        *own,
        Column("seed", SEED, lambda row: row.seed),
        Column("run_id", "the run in MLflow", lambda row: row.run.run_id),
        Column("diverged", DIVERGED, lambda row: int(row.run.diverged)),
        *(Column(name, METRICS[name], methodcaller("accuracy", name)) for name in accuracies),
        *(Column(n, METRICS[n], partial(_metric, n)) for n in ("train_accuracy", "loss")),
    ]  # fmt: skip


class SweepRow(NamedTuple):
    """A run of a sweep, and its cell."""

    cell: tuple[str, ...]
    run: "tracking.RecordedRun"

    def setting(self, i: int) -> str:
        """The value of a varied setting."""
        return self.cell[i]


def sweep_rows(table: SweepTable) -> Iterator[SweepRow]:
    """The sweep's runs, cell by cell."""
    return (SweepRow(cell, run) for cell, runs in table.cells.items() for run in runs)


def sweep_columns(table: SweepTable) -> list[Column]:
    """Columns of a sweep's cells.csv."""
    recipe = "recipes with these settings, seed and precision aside"
    epochs = "recorded epochs; a last part-epoch counts"
    warnings = "names of the warnings before training"
    return [
        Column("cell", "number of the cell", lambda row: table.number[row.cell]),
        *(Column(axis, "varied setting", methodcaller("setting", i))
          for i, axis in enumerate(table.axes)),
        Column("seed", SEED, lambda row: row.run.params.get("seed")),
        Column("run_id", "the run in MLflow", lambda row: row.run.run_id),
        Column("recipe", recipe, lambda row: " ".join(table.recipes(row.cell))),
        Column("status", STATES, lambda row: row.run.state),
        Column("epochs", epochs, lambda row: len(row.run.series.get(CURVE, ()))),
        *(Column(name, METRICS[name], partial(_metric, name))
          for name in ("test_accuracy", "train_accuracy", "loss")),
        Column("warnings", warnings, lambda row: " ".join(table.warnings_of(row.run))),
        *_symptom_columns(run.metrics for run in table.runs),
    ]  # fmt: skip


def _symptom_columns(metrics: Iterable[Mapping[str, float]]) -> list[Column]:
    names = {name for found in metrics for name in found if name.startswith("symptom/")}
    return [Column(name, SYMPTOM, partial(_metric, name)) for name in sorted(names)]


def _metric(name: str, row: StudyRow | SweepRow) -> float | None:
    return row.run.metrics.get(name)
