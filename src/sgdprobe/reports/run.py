"""The page of one run: how it went, how it ended, and what its network has learned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sgdprobe import tracking
from sgdprobe.config.settings import OPERATIONAL
from sgdprobe.nn import EpochMetrics
from sgdprobe.nn.functions import Array
from sgdprobe.provenance.command import command_line
from sgdprobe.reports.figures.learned import (
    confusion_matrix,
    first_layer,
    layer_histograms,
    most_wrong,
    overview,
)
from sgdprobe.reports.figures.run import learning_curve, loss_at_every_update
from sgdprobe.reports.inline import pictures
from sgdprobe.reports.plotting import svg
from sgdprobe.reports.render import Image, write_report
from sgdprobe.reports.sweep import Cell, SweepTable
from sgdprobe.rules import RULES
from sgdprobe.run.ending import ENDINGS
from sgdprobe.run.learned import unpack_images

MAX_CELLS = 5  # of a sweep, drawn on its page


@dataclass(frozen=True)
class Learned:
    """Recorded knowledge of a network, for drawings; empty for a run that did not record it.

    diagnostics : the content of diagnostics.json. weights : those of weights.npz.
    """

    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def recorded(cls, uri: str | None, run: "tracking.RecordedRun") -> "Learned":
        """Read it from the record of a run. Raises UserError for damaged files, StoreError."""
        names = ("diagnostics.json", "weights.npz")
        diagnostics, weights = map(tracking.recorded_files(uri, run, names).get, names)
        return cls(diagnostics or {}, weights or {})

    @property
    def is_complete(self) -> bool:
        """True if the run recorded all that is drawn."""
        return {"images", "start", "end", "confusion_matrix", "most_wrong"} <= set(
            self.diagnostics
        ) and "W1" in self.weights

    @property
    def counts(self) -> NDArray[np.intp]:
        """The confusion matrix, true classes in rows : (classes, classes)."""
        return np.array(self.diagnostics["confusion_matrix"], np.intp)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        images = self.diagnostics["images"]
        return images["height"], images["width"]

    @property
    def wrong_images(self) -> NDArray[np.uint8]:
        """The most confidently wrong test images : (n, height, width)."""
        return unpack_images(self.diagnostics["most_wrong"]["pixels"], *self.size)

    @cached_property
    def confusions(self) -> list[tuple[int, int, int]]:
        """The pairs of classes that are confused most: true class, predicted class, images."""
        counts = self.counts
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:5]
        pairs = np.column_stack(np.unravel_index(order, counts.shape)).tolist()
        return [(i, j, int(counts[i, j])) for i, j in pairs if counts[i, j]]

    @property
    def errors(self) -> int:
        """Number of test images that are classified wrongly."""
        return int(self.counts.sum() - np.trace(self.counts))

    def sheets(self) -> dict[str, Figure]:
        """Draw what is made of images, by file name."""
        found = self.diagnostics
        drawn = {}
        if "confusion_matrix" in found:
            drawn["confusion_matrix.svg"] = confusion_matrix(self.counts)
        if found.get("most_wrong", {}).get("images"):
            drawn["most_wrong.svg"] = most_wrong(self.wrong_images, found["most_wrong"])
        if "W1" in self.weights and "images" in found:
            drawn["first_layer.svg"] = first_layer(self.weights["W1"], *self.size)
        return drawn

    def overview(self) -> Figure:
        """Draw all but the histograms in one row, for a page about many runs."""
        return overview(self.counts, self.wrong_images, self.weights["W1"])


@dataclass(frozen=True)
class LearnedCell:
    """A cell of a sweep, and what the first of its runs has learned.

    names : its parts on the page, such as "best", and recipes with its settings.
    """

    names: Sequence[str]
    cell: Cell
    run: "tracking.RecordedRun"
    learned: Learned

    @property
    def file(self) -> str:
        """The name of its figure."""
        return f"learned_{self.run.run_id[:8]}.svg"


def learned_cells(
    table: SweepTable, read: Callable[["tracking.RecordedRun"], Learned]
) -> list[LearnedCell]:
    """Return the best cell, the worst, and those that are recipes, as far as runs recorded it."""
    names: dict[Cell, list[str]] = {}
    for name, cell in [*table.extremes, *table.recipe_cells]:
        names.setdefault(cell, []).append(name)
    found = [
        LearnedCell(names[cell], cell, run, read(run))
        for cell in list(names)[:MAX_CELLS]
        for run in table.finished(cell)[:1]
    ]
    return [one for one in found if one.learned.is_complete]


@dataclass(frozen=True)
class RunPage:
    """A run with all that its page says. losses : of each update; None if not recorded."""

    run: "tracking.RecordedRun"
    epochs: Sequence[EpochMetrics]
    losses: Array | None
    learned: Learned

    @property
    def title(self) -> str:
        """The recipe and the name of the run."""
        return f"{self.run.tags.get('recipe', '')}: {self.run.name}"

    @property
    def ending(self) -> str:
        """The end of the run, in words."""
        return ending_of(self.run)

    @property
    def findings(self) -> list[tuple[str, str, str]]:
        """Findings of the rules: name, text, and meaning if the rule still exists."""
        return [(name, text, _meaning(name)) for name, text in self.run.findings.items()]

    @property
    def settings(self) -> list[tuple[str, str]]:
        """The settings that change results, by their full names."""
        return [(key, v) for key, v in self.run.params.items() if key not in OPERATIONAL]

    def charts(self) -> dict[str, Figure]:
        """Draw what has axes, by file name."""
        drawn = {"learning_curve.svg": learning_curve(self.epochs, "")}
        if self.losses is not None:
            drawn["loss_at_every_update.svg"] = loss_at_every_update(self.losses, "")
        found = self.learned.diagnostics
        if "start" in found:
            drawn["layers.svg"] = layer_histograms(found["start"], found.get("end", []))
        return drawn


def ending_of(run: tracking.RecordedRun) -> str:
    """Return the end of a run in words: "finished, still rising"."""
    if run.failure is not None:
        return f"{run.state}: {run.failure.message}"
    hint = ENDINGS.get(run.tags.get("diagnostic.ending", ""), "")
    return ", ".join(filter(None, [run.state, hint]))


def _meaning(name: str) -> str:
    """Return the meaning of the rule; findings about a layer end with its number."""
    rule = RULES.get(name) or RULES.get(name.rstrip("0123456789").rstrip("_"))
    return rule.meaning if rule else ""


def write_run_report(page: RunPage, folder: Path) -> list[Path]:
    """Write the page of a run and return its files, the page first."""
    images: dict[str, Image] = {
        **pictures(page.charts),
        **{name: svg(figure) for name, figure in page.learned.sheets().items()},
    }
    facts = {
        "of": page,
        "run": page.run,
        "learned": page.learned,
        "figures": list(images),
        "rerun": command_line("rerun", page.run.run_id),
    }
    return write_report(folder, "run.md.j2", facts, {}, images)
