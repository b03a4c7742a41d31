"""Bands over the seeds, page and description of a finished sweep, for people in MLflow."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sgdprobe import reports, tracking
from sgdprobe.study.bands import METRICS, band_of, cells_with_seeds

PAGE_FOLDER = "report"  # among a run's artifacts


def show_sweep(
    table: "reports.SweepTable", page: Path, question: str, stores: Iterable["tracking.Store"]
) -> None:
    """Record bands, page and description in the experiments of a sweep.

    The page is an artifact of the sweep's best run, which is the first in the experiment's view. Of
    the experiment's later sweeps each describes it anew. Raises StoreError.
    """
    for store in stores:
        runs = [run for run in table.runs if run.experiment == store.experiment]
        bands = record_bands(store, runs)
        finished = [run for run in runs if run.status == "FINISHED"]
        if not finished:
            continue
        best = max(finished, key=lambda run: run.metrics.get("test_accuracy", 0.0))
        address = tracking.log_report(store.uri, best, page, PAGE_FOLDER)
        bands_page = tracking.within(store.experiment_url(tracking.BANDS_VIEW)) if bands else ""
        text = reports.experiment_note(table, question, tracking.within(address), bands_page)
        tracking.describe_experiment(store, text)


def record_bands(store: "tracking.Store", runs: "Sequence[tracking.RecordedRun]") -> int:
    """Record a band for each cell that has one with fewer seeds, or none; return how many have one.

    Raises StoreError.
    """
    cells = cells_with_seeds(runs)
    if not cells:
        return 0
    recorded = tracking.recorded_bands(store)
    wider = {
        cell: found
        for cell, found in cells.items()
        if recorded.get(cell, 0) < len({run.params["seed"] for run in found})
    }
    needed = [run for found in wider.values() for run in found]
    series = tracking.reader(store.uri).series(needed, METRICS)
    tracking.record_bands(store, [band_of(cell, found, series) for cell, found in wider.items()])
    tracking.show(store, (), bands=True)
    return len(cells)
