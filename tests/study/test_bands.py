"""Bands of cells: grouping of runs, mean and ends by hand."""

from dataclasses import replace

import pytest

from sgdprobe.study.bands import band_of, cells_with_seeds
from sgdprobe.tracking import Failure, RecordedRun

SERIES = {
    "a0": {"loss": [2.0, 1.0], "train_accuracy": [0.25, 0.5], "test_accuracy": [0.25, 0.75]},
    "a1": {"loss": [4.0, 2.0], "train_accuracy": [0.75, 1.0], "test_accuracy": [0.5, 0.25]},
}


def run(run_id: str, seed: int, status: str = "FINISHED", **params: str) -> RecordedRun:
    accuracies = SERIES[run_id]["test_accuracy"] if run_id in SERIES else [0.0]
    return RecordedRun(
        run_id,
        status,
        name=f"scale=1 seed={seed}",
        url=f"http://host/#/experiments/1/runs/{run_id}?x=y",
        start_time=seed,
        params={"init.scale": "1", "seed": str(seed), "sweep.n_jobs": str(seed)} | params,
        tags={"recipe": "notes", "data_hash": "d", "source_hash": "s"},
        metrics={"test_accuracy": accuracies[-1]},
    )


def test_a_cell_is_runs_that_differ_in_the_seed_only() -> None:
    a0, a1 = run("a0", 0), run("a1", 1)
    others = [
        run("b0", 0, **{"init.scale": "2"}),
        replace(run("c0", 2), tags={**a0.tags, "source_hash": "t"}),
        run("again", 0),
        run("failed", 3, "FAILED"),
    ]
    (cell,) = cells_with_seeds([a1, a0, *others]).values()
    assert {found.run_id for found in cell} == {"a0", "a1", "again", "failed"}
    assert cells_with_seeds([a0, *others]) == {}, "a seed that ran twice is one seed"


def test_a_band_is_the_mean_and_both_ends_at_each_epoch() -> None:
    diverged = replace(
        run("x", 7, "FAILED"), tags={**run("a0", 0).tags, **Failure("diverged", "inf").tags}
    )
    band = band_of("cell", [run("a1", 1), run("a0", 0), diverged], SERIES)
    assert (band.name, band.recipe, band.seeds) == ("scale=1 2 seeds", "notes", ["0", "1"])
    assert "seed" not in band.params
    assert band.series["test_accuracy"] == [0.375, 0.5]
    assert band.series["test_accuracy_low"] == [0.25, 0.25]
    assert band.series["test_accuracy_high"] == [0.5, 0.75]
    assert band.series["loss"] == [3.0, 1.5]
    assert set(band.series) == {
        f"{metric}{end}" for metric in SERIES["a0"] for end in ("", "_low", "_high")
    }
    # 0.5 ± 12.706 · 0.3536 / √2, cut to shares.
    assert "mean **50.00 %** (95 % interval of the mean: 0.00 % to 100.00 %)" in band.note
    assert "from 25.00 % to 75.00 %" in band.note
    assert "Left out: 1 diverged." in band.note
    assert "[0](#/experiments/1/runs/a0?x=y)" in band.note


@pytest.mark.parametrize("longer", ["a0", "a1"])
def test_a_band_is_as_long_as_its_shortest_run(longer: str) -> None:
    series = SERIES | {longer: {name: [*values, 0.5] for name, values in SERIES[longer].items()}}
    band = band_of("cell", [run("a0", 0), run("a1", 1)], series)
    assert {len(values) for values in band.series.values()} == {2}
