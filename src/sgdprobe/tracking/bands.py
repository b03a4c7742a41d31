"""Bands: for each cell with several seeds one entry in MLflow, so that its charts show spread.

In MLflow a band is a run with the tag kind=cell. Here it is none: `RunReader.find` leaves bands
out of every other question, and they have none of the tags by which runs are found.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mlflow.entities import Metric, Param

from sgdprobe.tracking.descriptions import NOTE, fitting
from sgdprobe.tracking.queries import CELL, KIND, Condition
from sgdprobe.tracking.readers import reader
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import Store, store_errors

__all__ = ["Band", "record_bands", "recorded_bands"]

IDENTITY, SEEDS = "cell", "seeds"  # tags
FINISHED = Condition("attributes.status", "=", "FINISHED")
UNFINISHED_MS = 600_000  # after which a band that is not complete is one of a dead process
POINTS = 1000  # in one request to MLflow


@dataclass(frozen=True)
class Band:
    """A cell with several seeds.

    cell : its identity; runs with the same one differ in the seed only. series : values at each
    epoch, by metric. note : its description, in Markdown.
    """

    cell: str
    name: str
    recipe: str
    seeds: Sequence[str]
    params: Mapping[str, str]
    series: Mapping[str, Sequence[float]]
    note: str


def recorded_bands(store: Store) -> dict[str, int]:
    """Return the number of seeds of each cell that has a band. Raises StoreError."""
    return {cell: _seeds(bands[0]) for cell, bands in _by_cell(store, FINISHED).items()}


def record_bands(store: Store, bands: Collection[Band]) -> None:
    """Record bands, each in place of one of the same cell with fewer seeds. Raises StoreError.

    Of those that several commands record for one cell at once, all keep the same one.
    """
    with store_errors(store.uri):
        made = {band.cell for band in bands}
        for band in bands:
            _create(store, band)
        for cell, found in _by_cell(store).items() if made else ():
            if cell in made:
                _keep_first(store, found)


def _create(store: Store, band: Band) -> None:
    client = store.client()
    tags = {
        KIND: CELL,
        IDENTITY: band.cell,
        SEEDS: str(len(band.seeds)),
        "recipe": band.recipe,
        NOTE: fitting(band.note),
    }
    run = client.create_run(store.experiment_id, run_name=band.name, tags=tags)
    now = round(1000 * time.time())
    points = [
        Metric(name, value, now, epoch)
        for name, values in band.series.items()
        for epoch, value in enumerate(values, start=1)
    ]
    params = [Param(key, value) for key, value in band.params.items()]
    client.log_batch(run.info.run_id, metrics=points[:POINTS], params=params)
    for start in range(POINTS, len(points), POINTS):
        client.log_batch(run.info.run_id, metrics=points[start : start + POINTS])
    client.set_terminated(run.info.run_id)


def _by_cell(store: Store, *conditions: Condition) -> dict[str, list[RecordedRun]]:
    """Return the bands of each cell, those that count first."""
    found = reader(store.uri).find(
        *conditions, experiment_id=store.experiment_id, details=("tags",), bands=True
    )
    by_cell: dict[str, list[RecordedRun]] = defaultdict(list)
    for band in sorted(found, key=_rank):
        by_cell[band.tags.get(IDENTITY, "")].append(band)
    return by_cell


def _rank(band: RecordedRun) -> tuple[bool, int, int, str]:
    """Complete ones first, of these the one with most seeds, of these the oldest."""
    return band.status != "FINISHED", -_seeds(band), band.start_time, band.run_id


def _seeds(band: RecordedRun) -> int:
    count = band.tags.get(SEEDS, "")
    return int(count) if count.isdecimal() else 0


def _keep_first(store: Store, bands: Collection[RecordedRun]) -> None:
    """Delete all but the first, unless another command is about to complete them."""
    now = 1000 * time.time()
    for band in [*bands][1:]:
        if band.status == "FINISHED" or now - band.start_time > UNFINISHED_MS:
            store.client().delete_run(band.run_id)
