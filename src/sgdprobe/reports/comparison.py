"""Two recorded runs side by side: what was set, where their numbers part, how they ended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sgdprobe import tracking
from sgdprobe.config.formatting import percent
from sgdprobe.config.settings import OPERATIONAL
from sgdprobe.reports import plotting as style
from sgdprobe.reports.inline import pictures
from sgdprobe.reports.render import write_report
from sgdprobe.reports.run import ending_of

CURVES = ("loss", "train_accuracy", "test_accuracy")
MAIN = (*CURVES, "validation_accuracy")
# Tags that say with what a run was computed.
VERSIONS = {
    "data_hash": "data",
    "source_hash": "source",
    "mlflow.source.git.commit": "commit",
    "git_dirty": "uncommitted changes",
    "own_loop": "own loop",
}
NONE = "–"


@dataclass(frozen=True)
class Parting:
    """The first epoch at which a metric of two runs differs."""

    epoch: int
    metric: str
    values: tuple[float, float]


@dataclass(frozen=True)
class RunPair:
    """Two runs with every metric epoch by epoch."""

    first: "tracking.RecordedRun"
    second: "tracking.RecordedRun"

    @property
    def runs(self) -> "tuple[tracking.RecordedRun, tracking.RecordedRun]":
        """Both."""
        return self.first, self.second

    @cached_property
    def settings(self) -> dict[str, tuple[str, str]]:
        """The settings that differ, with both values.

        Without settings that do not affect results, and those that a user's own loop did not
        record: their values are unknown.
        """
        params = {**self.first.params, **self.second.params}
        unknown = {key for run in self.runs for key in self.not_recorded(run)}
        pairs = {key: self._both(key) for key in params if key not in OPERATIONAL | unknown}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    def not_recorded(self, run: "tracking.RecordedRun") -> list[str]:
        """The settings that the other run has, and a loop of the user's did not record."""
        other = self.second if run is self.first else self.first
        if not run.own_loop:
            return []
        return [key for key in other.params if key not in run.params and key not in OPERATIONAL]

    def _both(self, key: str) -> tuple[str, str]:
        return self.first.params.get(key, NONE), self.second.params.get(key, NONE)

    @cached_property
    def versions(self) -> dict[str, tuple[str, str]]:
        """Data, source and commit where they differ; hashes by their first 8 digits."""
        pairs = {
            word: (self.first.tags.get(tag, NONE), self.second.tags.get(tag, NONE))
            for tag, word in VERSIONS.items()
        }
        return {word: (_short(a), _short(b)) for word, (a, b) in pairs.items() if a != b}

    @cached_property
    def metrics(self) -> dict[str, tuple[float | None, float | None]]:
        """The last value of each metric in both runs, loss and accuracies first."""
        names = {*self.first.metrics, *self.second.metrics}
        ordered = [name for name in MAIN if name in names]
        ordered += sorted(name for name in names if name not in MAIN)
        return {name: (self.first.metrics.get(name), self.second.metrics.get(name))
                for name in ordered}  # fmt: skip

    @cached_property
    def parting(self) -> Parting | None:
        """The first epoch and metric with different values; None if all are equal."""
        return min(self._partings(), key=lambda parting: parting.epoch, default=None)

    @property
    def sentence(self) -> str:
        """The first epoch whose numbers differ, in a sentence."""
        return verdict(self)

    def _partings(self) -> Iterator[Parting]:
        for name in self.metrics:
            both = self.first.series.get(name, ()), self.second.series.get(name, ())
            for epoch, (a, b) in enumerate(zip(*both, strict=False), start=1):
                if a != b:
                    yield Parting(epoch, name, (a, b))
                    break

    @property
    def epochs(self) -> tuple[int, int]:
        """The number of epochs of each."""
        return len(self.first.series.get("loss", ())), len(self.second.series.get("loss", ()))

    def facts(self) -> dict[str, Any]:
        """The comparison for programs."""
        parting = self.parting
        return {
            "runs": [
                {
                    "run_id": run.run_id,
                    "name": run.name,
                    "experiment": run.experiment,
                    "status": run.status,
                    "own_loop": run.own_loop,
                    "epochs": epochs,
                    "ending": run.tags.get("diagnostic.ending"),
                    "failure": run.failure.message if run.failure else None,
                    "findings": run.findings,
                    "not_recorded": self.not_recorded(run),
                    "contradictions": list(run.contradictions),
                }
                for run, epochs in zip(self.runs, self.epochs, strict=True)
            ],
            "settings": {key: list(pair) for key, pair in self.settings.items()},
            "versions": {key: list(pair) for key, pair in self.versions.items()},
            "first_difference": parting
            and {"epoch": parting.epoch, "metric": parting.metric, "values": [*parting.values]},
            "metrics": {name: list(pair) for name, pair in self.metrics.items()},
        }


def _short(text: str) -> str:
    is_hash = len(text) >= 40 and text.isalnum()
    return text[:8] if is_hash else text


def shown(name: str, value: float | None) -> str:
    """Return a metric's value: accuracies and shares in percent."""
    if value is None:
        return NONE
    is_share = name.endswith("accuracy") or name.startswith(("symptom/saturated", "symptom/dead"))
    return percent(value) if is_share else f"{value:.4g}"


def comparison_lines(pair: RunPair) -> list[tuple[str, str, str]]:
    """Return the comparison as rows of three cells: the name, and the value in each run."""
    rows = [("run", *(run.run_id[:8] for run in pair.runs))]
    rows += [("name", *(run.name for run in pair.runs))]
    rows += [("experiment", *(run.experiment for run in pair.runs))]
    rows += [(key, *values) for key, values in (pair.settings | pair.versions).items()]
    missing = [len(pair.not_recorded(run)) for run in pair.runs]
    if any(missing):
        shown_ = (f"{n} settings" if n else NONE for n in missing)
        rows += [("not recorded", *shown_)]
    rows += [("epochs", *map(str, pair.epochs))]
    rows += [
        (name, *(shown(name, value) for value in values)) for name, values in pair.metrics.items()
    ]
    return [*rows, ("ending", *map(ending_of, pair.runs))]  # type: ignore[list-item]


def verdict(pair: RunPair) -> str:
    """Return in a sentence where the numbers of two runs part."""
    parting = pair.parting
    epochs = min(pair.epochs)
    if parting is None:
        longer = "" if pair.epochs[0] == pair.epochs[1] else "; then one of them ends"
        return f"the same numbers in all {epochs} epochs that both have{longer}"
    a, b = (shown(parting.metric, value) for value in parting.values)
    if a == b:
        a, b = (repr(value) for value in parting.values)
    return f"first difference: epoch {parting.epoch}, {parting.metric}: {a} and {b}"


def curves(pair: RunPair) -> Figure:
    """Draw loss, training and test accuracy of both runs over epochs."""
    columns = min(style.layout().columns, len(CURVES))
    rows = len(CURVES) // columns
    figure = Figure(figsize=(style.layout().width, 3.0 * rows + 0.4), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for metric, axes in zip(CURVES, grid, strict=True):
        for run, (colour, marker, dashes) in zip(pair.runs, style.STYLES[1:3], strict=True):
            values = run.series.get(metric, ())
            axes.plot(
                range(1, len(values) + 1), values, color=colour, marker=marker,
                linestyle=dashes, markersize=3, linewidth=1.2, label=run.run_id[:8],
            )  # fmt: skip
        axes.set(xlabel="epoch", title=metric.replace("_", " "))
        style.whole_epochs(axes)
        style.despine(axes)
        if metric != "loss":
            style.accuracy_over_epochs(axes)
    style.legend_above(figure, grid[:1])
    return figure


def write_comparison(pair: RunPair, folder: Path, command: str) -> list[Path]:
    """Write the page of two runs and return its files, the page first."""
    facts: Mapping[str, Any] = {
        "pair": pair,
        "rows": comparison_lines(pair),
        "command": command,
    }
    images = pictures(lambda: {"curves.svg": curves(pair)})
    return write_report(folder, "comparison.md.j2", facts, {}, images)
