"""Why: what a network shows on its way, beside what each change does to its result."""

from collections.abc import Mapping, Sequence
from itertools import chain
from math import log
from typing import TYPE_CHECKING

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.reports.document import Block, FigureBlock, Heading, Table, Text
from sgdprobe.reports.explanation.facts import Facts
from sgdprobe.reports.explanation.words import linked, percents, points, short
from sgdprobe.run.build import load_data, updates_and_epochs
from sgdprobe.study.effects import Array, estimate
from sgdprobe.study.factors import Cell

if TYPE_CHECKING:
    from sgdprobe.study.diagnostics import FinalDiagnostics

PREFIX = "symptom/"
SATURATED = f"{PREFIX}saturated_1"
KINDS = {"saturated": "saturated", "gradient_norm": "gradient"}


def reasons(facts: Facts) -> list[Block]:
    """Learning curves, and the symptoms before and after each change."""
    first, second = facts.ends
    symptoms = symptoms_of(facts)
    layers = [f"{KINDS[_kind(n)]} {n.rpartition('_')[2]}" for n in symptoms]
    changes = _changes(facts)
    blocks: list[Block] = [
        Heading("Why"),
        FigureBlock(
            "learning_curves.svg",
            f"Test accuracy over epochs, a panel for each factor: {first}, {second}, and {first} "
            "with this one change; how far each gets is in the table below.",
            f"Mean of {facts.design.seeds} seeds; the bands reach from the lowest seed to the "
            "highest.",
        ),
        Table(
            ["cell", "test accuracy", "effect, points", "first loss", "last loss (least possible)",
             "classes never predicted"],
            [
                [linked(name, cell), percents(facts.reaches(cell)), _effect(facts, cell, before),
                 _first_loss(facts, cell), _last_loss(facts, cell),
                 never_predicted(_signs(facts, cell))]
                for name, cell, before in changes
            ],
        ),
        Table(
            ["cell", "effect, points", *layers],
            [
                [linked(name, cell), _effect(facts, cell, before),
                 *(_first_to_last(facts, cell, symptom) for symptom in symptoms)]
                for name, cell, before in changes
            ],
        ),
        Text(_legend(facts)),
    ]  # fmt: skip
    return [*blocks, *_against_accuracy(facts)]


def _changes(facts: Facts) -> list[tuple[str, Cell, Cell | None]]:
    """What the tables show: a name, its cell, and the cell that it changes."""
    design, (first, second) = facts.design, facts.ends
    names = list(enumerate(facts.names))
    rows: list[tuple[str, Cell, Cell | None]] = [
        (f"`{first}`", design.baseline, None),
        *((f"+ `{name}`", design.baseline_with(i), design.baseline) for i, name in names),
        (f"`{second}`", design.target, None),
    ]
    if len(names) > 1:  # with one factor these are the rows above
        rows += [(f"− `{name}`", design.target_without(i), design.target) for i, name in names]
    return rows


def _against_accuracy(facts: Facts) -> list[Block]:
    """All runs, and all cells: pictures of what the tables leave out."""
    first, second = facts.ends
    order = ", ".join(f"`{name}`" for name in facts.names)
    blocks: list[Block] = [
        FigureBlock(
            "every_cell.svg",
            f"Test accuracy over epochs, a small box for each of the {len(facts.design.cells())} "
            f"cells, from 0 to 100 %; the last mean is written in each box.",
            f"Every cell's learning curve, mean and band as above. Digits: {order}; 1 is as in "
            f"`{second}`. Framed: `{first}` and `{second}`.",
        )
    ]
    if saturation(facts) is not None:
        top = facts.factors[facts.ranked_shares[0]]
        blocks.append(
            FigureBlock(
                "saturation.svg",
                "Each run's test accuracy over the share of layer 1 that is saturated at the end, "
                f"with a mark for each value of {top.name}, {top.format_level(0)} and "
                f"{top.format_level(1)}.",
                f"Every run; marks tell apart `{top.name}`, which has the largest share.",
            )
        )
    return blocks


def saturation(facts: Facts) -> tuple[Array, Array] | None:
    """(runs, 2) share of layer 1 that is saturated, and test accuracy, at the end.

    At both levels of the factor with the largest share; None where no run has such a layer.
    """
    top = facts.ranked_shares[0]
    found: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for run in facts.design.runs():
        metrics = facts.measured.results[run].metrics
        if SATURATED in metrics:  # a run that diverged in its first epoch has none
            pair = metrics[SATURATED], facts.measured.accuracy_of(run)
            found[run[0][top]].append(pair)
    first, second = (np.array(pairs).reshape(-1, 2) for pairs in found)
    return (first, second) if len(first) + len(second) else None


def _effect(facts: Facts, cell: Cell, before: Cell | None) -> str:
    return "" if before is None else points(estimate(facts.y[cell] - facts.y[before]))


def _first_loss(facts: Facts, cell: Cell) -> str:
    losses = [s.first_loss for s in _signs(facts, cell) if s.first_loss is not None]
    return short(float(np.mean(losses)) if losses else None)


def _last_loss(facts: Facts, cell: Cell) -> str:
    results = [facts.measured.results[cell, seed] for seed in range(facts.design.seeds)]
    losses = [result.metrics["loss"] for result in results if not result.diverged]
    least = short(least_loss(facts.design.settings(cell, 0)))
    return f"{short(float(np.mean(losses)) if losses else None)} ({least})"


def least_loss(settings: Settings) -> float | None:
    """What the loss can't fall below; None where that is not known in closed form.

    A softmax over the batch shares its 1 among the samples: a perfect network gives each 1 / n.
    """
    if settings.network.softmax_over == "sample":
        return 0.0
    is_entropy = settings.network.loss == "cross_entropy"
    return log(settings.training.batch_size) if is_entropy else None


def never_predicted(signs: "Sequence[FinalDiagnostics]") -> str:
    """The classes that some of the runs never predict, and how many runs those are."""
    found = [sign.never_predicted for sign in signs if sign.never_predicted is not None]
    if not found:
        return short(None)
    classes = sorted({one for classes in found for one in classes})
    runs = sum(bool(classes) for classes in found)
    return f"{', '.join(map(str, classes))} in {runs} of {len(found)} runs" if classes else "none"


def _first_to_last(facts: Facts, cell: Cell, symptom: str) -> str:
    found = [e[symptom] for e in _series(facts, cell) if e.get(symptom)]
    if not found:
        return short(None)
    start, end = (float(np.mean([series[at] for series in found])) for at in (0, -1))
    return f"{short(start)} → {short(end)}"


def _legend(facts: Facts) -> str:
    data = load_data(facts.design.base)
    spans = {
        facts.design.settings(cell, 0).network.softmax_over
        for cell in (facts.design.baseline, facts.design.target)
    }
    batch = facts.design.base.training.batch_size
    over_batch = (
        f"; with one softmax over a batch of {batch}, "
        f"ln {data.classes * batch} = {log(data.classes * batch):.3f}"
        if "batch" in spans
        else ""
    )
    return (
        f"+ is the only change of `{facts.ends[0]}`, − the only thing turned back in "
        f"`{facts.ends[1]}`. First loss: of the first batch, before any update; a network that "
        f"prefers no class has ln {data.classes} = {log(data.classes):.3f}{over_batch}. Saturated: "
        "share of a layer's units where hardly any gradient passes; gradient: norm of the loss's "
        "gradient by the layer's weights. Both after the first epoch → after the last, mean over "
        "the seeds; – where the layer is not there or the run diverged. Last loss: mean over the "
        "last epoch, in brackets the least that is possible. Never predicted: classes that the "
        "trained network gives to no test image."
    )


def _series(facts: Facts, cell: Cell) -> list[Mapping[str, list[float]]]:
    return [facts.measured.series[cell, seed] for seed in range(facts.design.seeds)]


def _signs(facts: Facts, cell: Cell) -> list["FinalDiagnostics"]:
    return [facts.measured.diagnostics[cell, seed] for seed in range(facts.design.seeds)]


def _kind(symptom: str) -> str:
    return symptom.removeprefix(PREFIX).rpartition("_")[0]


def symptoms_of(facts: Facts) -> list[str]:
    """The symptoms to show, saturation first, layer by layer."""
    series = facts.measured.series.values()
    found = {n for n in chain.from_iterable(series) if n.startswith(PREFIX) and _kind(n) in KINDS}
    return sorted(found, key=lambda n: (list(KINDS).index(_kind(n)), n))


def curves(facts: Facts, cell: Cell) -> Array:
    """(seeds, epochs) test accuracies; from where a run diverged, guessing."""
    settings = facts.design.settings(cell, 0)
    _, epochs = updates_and_epochs(settings, load_data(settings))
    values = np.full((facts.design.seeds, epochs), facts.measured.chance)
    for row, series in zip(values, _series(facts, cell), strict=True):
        found = series.get("test_accuracy", [])
        row[: len(found)] = found
    return values
