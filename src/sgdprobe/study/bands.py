"""Bands of a sweep's cells: mean and range of the metrics over the seeds, at each epoch."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from sgdprobe import tracking
from sgdprobe.config.formatting import listing, percent
from sgdprobe.config.settings import EXCLUDED
from sgdprobe.study.intervals import estimate

METRICS = ("loss", "train_accuracy", "test_accuracy")
IDENTITY = ("data_hash", "source_hash")  # tags; runs that differ in them are other programs

Runs: TypeAlias = "Sequence[tracking.RecordedRun]"
Series = Mapping[str, Mapping[str, Sequence[float]]]  # by run id and metric


def cells_with_seeds(runs: Runs) -> "dict[str, list[tracking.RecordedRun]]":
    """Return the runs of each cell, by its identity, that has several seeds that finished.

    A seed that was run twice counts once.
    """
    cells: dict[str, list[tracking.RecordedRun]] = defaultdict(list)
    for run in runs:
        cells[_identity(run)].append(run)
    return {cell: found for cell, found in cells.items() if len(_finished(found)) > 1}


def band_of(cell: str, runs: Runs, series: Series) -> "tracking.Band":
    """Return the band of a cell.

    Its ends are the smallest and the largest value of the seeds: at two or three seeds the interval
    of the mean would leave 0 … 100 %, and equal seeds have none. The description has the interval.
    """
    by_seed = _finished(runs)
    values = {}
    for metric in METRICS:
        curves = [series[run.run_id].get(metric, ()) for run in by_seed.values()]
        epochs = min(map(len, curves))
        table = np.array([curve[:epochs] for curve in curves])
        values[metric] = table.mean(axis=0).tolist()
        values[f"{metric}_low"] = table.min(axis=0).tolist()
        values[f"{metric}_high"] = table.max(axis=0).tolist()
    first = next(iter(by_seed.values()))
    varied = first.name.removesuffix(f"seed={first.params['seed']}").strip()
    return tracking.Band(
        cell=cell,
        name=f"{varied} {len(by_seed)} seeds".strip(),
        recipe=first.tags.get("recipe", ""),
        seeds=[*by_seed],
        params={key: value for key, value in first.params.items() if key != "seed"},
        series=values,
        note=_note(runs, by_seed),
    )


def _identity(run: "tracking.RecordedRun") -> str:
    settings = {k: v for k, v in run.params.items() if k not in EXCLUDED | {"seed"}}
    hashes = [run.tags.get(tag, "") for tag in IDENTITY]
    return hashlib.sha256(json.dumps([settings, hashes], sort_keys=True).encode()).hexdigest()


def _finished(runs: Runs) -> "dict[str, tracking.RecordedRun]":
    """Return the runs that count, by seed, in the seeds' order: of each the first that finished."""
    found: dict[str, tracking.RecordedRun] = {}
    for run in sorted(runs, key=lambda run: (int(run.params.get("seed", 0)), run.start_time)):
        if run.status == "FINISHED" and "test_accuracy" in run.metrics:
            found.setdefault(run.params["seed"], run)
    return found


def _note(runs: Runs, by_seed: "Mapping[str, tracking.RecordedRun]") -> str:
    """Return the description of a band: it is no run, and this is how it was made."""
    final = np.array([run.metrics["test_accuracy"] for run in by_seed.values()])
    mean = estimate(final)
    interval = "all seeds give the same"
    if not mean.is_tied:
        low, high = (percent(min(max(end, 0.0), 1.0)) for end in (mean.low, mean.high))
        interval = f"95 % interval of the mean: {low} to {high}"
    others = [run for run in runs if run.params.get("seed") not in by_seed]
    lost = Counter(run.state for run in others if run.state != "running")
    without = listing([f"{count} {state}" for state, count in sorted(lost.items())])
    links = ", ".join(f"[{seed}]({tracking.within(run.url)})" for seed, run in by_seed.items())
    return "\n\n".join(
        filter(
            None,
            [
                f"Not a run: the mean of {len(by_seed)} runs that differ in the seed only. At each "
                "epoch `test_accuracy` is their mean, `test_accuracy_low` and "
                "`test_accuracy_high` are the smallest and the largest of them; `loss` and "
                "`train_accuracy` likewise.",
                f"Test accuracy at the end: mean **{percent(mean.mean)}** ({interval}); single "
                f"runs from {percent(final.min())} to {percent(final.max())}.",
                f"Left out: {without}." if without else "",
                f"Seeds: {links}",
            ],
        )
    )
