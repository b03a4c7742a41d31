"""Why: what a network shows on its way, beside what each change does to its result."""

from itertools import chain
from math import log
from typing import TYPE_CHECKING

import numpy as np

from sgdprobe.analysis.document import Block, Heading, Picture, Table, Text
from sgdprobe.analysis.effects import Array, estimate
from sgdprobe.analysis.explanation.facts import Facts
from sgdprobe.analysis.explanation.words import linked, percents, points, short
from sgdprobe.assembly import load_data, updates_and_epochs
from sgdprobe.explain.design import Cell

if TYPE_CHECKING:
    from sgdprobe.tracking import Evidence

PREFIX = "symptom/"
KINDS = {"saturated": "saturated", "gradient_norm": "gradient"}


def reasons(facts: Facts) -> list[Block]:
    """Learning curves, and the symptoms before and after each change."""
    design, (first, second) = facts.design, facts.ends
    k = len(facts.factors)
    rows = [_row(facts, f"`{first}`", design.first, None)]
    rows += [
        _row(facts, f"+ `{facts.names[i]}`", design.with_only(i), design.first) for i in range(k)
    ]
    rows.append(_row(facts, f"`{second}`", design.second, None))
    if k > 1:  # with one factor these are the rows above
        rows += [
            _row(facts, f"− `{facts.names[i]}`", design.without(i), design.second) for i in range(k)
        ]
    headings = [f"{KINDS[_kind(n)]} {n.rpartition('_')[2]}" for n in _symptoms(facts)]
    return [
        Heading("Why"),
        Picture(
            "learning_curves.svg",
            f"Test accuracy over epochs, a panel for each factor: {first}, {second}, and {first} "
            "with this one change; how far each gets is in the table below.",
            f"Mean of {design.seeds} seeds; the bands reach from the lowest seed to the highest.",
        ),
        Table(["cell", "test accuracy", "effect, points", "first loss", *headings], rows),
        Text(_legend(facts)),
    ]


def _row(facts: Facts, name: str, cell: Cell, before: Cell | None) -> list[str]:
    effect = "" if before is None else points(estimate(facts.y[cell] - facts.y[before]))
    losses = [e.first_loss for e in _evidence(facts, cell) if e.first_loss is not None]
    loss = short(float(np.mean(losses)) if losses else None)
    signs = [_first_to_last(facts, cell, symptom) for symptom in _symptoms(facts)]
    return [linked(name, cell), percents(facts.reaches(cell)), effect, loss, *signs]


def _first_to_last(facts: Facts, cell: Cell, symptom: str) -> str:
    found = [e.series[symptom] for e in _evidence(facts, cell) if e.series.get(symptom)]
    if not found:
        return short(None)
    start, end = (float(np.mean([series[at] for series in found])) for at in (0, -1))
    return f"{short(start)} → {short(end)}"


def _legend(facts: Facts) -> str:
    data = load_data(facts.design.base)
    spans = {
        facts.design.settings(cell, 0).network.softmax_over
        for cell in (facts.design.first, facts.design.second)
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
        "the seeds; – where the layer is not there or the run diverged."
    )


def _evidence(facts: Facts, cell: Cell) -> list["Evidence"]:
    return [facts.measured.evidence[cell, seed] for seed in range(facts.design.seeds)]


def _kind(symptom: str) -> str:
    return symptom.removeprefix(PREFIX).rpartition("_")[0]


def _symptoms(facts: Facts) -> list[str]:
    """The symptoms to show, saturation first, layer by layer."""
    series = [evidence.series for evidence in facts.measured.evidence.values()]
    found = {n for n in chain.from_iterable(series) if n.startswith(PREFIX) and _kind(n) in KINDS}
    return sorted(found, key=lambda n: (list(KINDS).index(_kind(n)), n))


def curves(facts: Facts, cell: Cell) -> Array:
    """(seeds, epochs) test accuracies; from where a run diverged, guessing."""
    settings = facts.design.settings(cell, 0)
    _, epochs = updates_and_epochs(settings, load_data(settings))
    values = np.full((facts.design.seeds, epochs), facts.measured.chance)
    for row, evidence in zip(values, _evidence(facts, cell), strict=True):
        found = evidence.series.get("test_accuracy", [])
        row[: len(found)] = found
    return values
