"""Printed lines, estimates and tables of runs; numbers are never cut."""

import io
import time
from pathlib import Path

import numpy as np
import pytest

from sgdprobe import reports
from sgdprobe.commands import console as shown
from sgdprobe.commands.progress import RunProgress
from sgdprobe.config.settings import Settings
from sgdprobe.nn import EpochMetrics, TrainingState
from sgdprobe.run.job import Job, Outcome
from sgdprobe.sweep.plan import Plan
from sgdprobe.sweep.workers import process_count


def epoch(validation: float | None = None) -> EpochMetrics:
    return EpochMetrics(
        epoch=1, updates=2, loss=0.5, train_accuracy=0.9, test_accuracy=0.8,
        validation_accuracy=validation, symptoms={}, losses=np.ones(2),
    )  # fmt: skip


def test_validation_accuracy_is_shown_where_images_are_held_out() -> None:
    assert shown.epoch_line(epoch(), 3, 1.0) == (
        "epoch 1/3  loss 0.5000  train 90.00 %  test 80.00 %  left 1.0 s"
    )
    assert "  test 80.00 %  validation 70.00 %  left" in shown.epoch_line(epoch(0.7), 3, 1.0)
    assert shown.epoch_table([epoch(0.7)]).endswith("test 80.00 %  validation 70.00 %")


@pytest.mark.parametrize(
    ("first", "left"),
    [
        (1.5, 9.0),  # of the first 1.5 s, most went by before the update: 9 × 1 s
        (30.0, 139.5),  # numerical updates: 9 × (30 + 1) s / 2
    ],
)
def test_the_first_estimate_leaves_the_preparation_out(
    monkeypatch: pytest.MonkeyPatch, first: float, left: float
) -> None:
    clock = iter([0.0, first, first + 1.0, first + 1.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    progress = RunProgress(11, 1, shown.plain_console(io.StringIO()))
    for updates in (1, 2):
        progress.on_update(TrainingState(1, 0, [1.0] * updates, {}, np.zeros(1)))
    assert progress._left(2) == left


def outcomes(accuracies: list[float]) -> list[Outcome]:
    jobs = [
        Job(Settings().replace({"seed": seed}), "book", f"seed={seed}")
        for seed in range(len(accuracies))
    ]
    names = ("test_accuracy", "train_accuracy", "loss")
    return [
        Outcome(job, "FINISHED", "id", 1.0, dict.fromkeys(names, accuracy))
        for job, accuracy in zip(jobs, accuracies, strict=True)
    ]


@pytest.mark.parametrize("columns", ["20", "40", "80"])
def test_no_width_cuts_a_number(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    written = io.StringIO()
    found = outcomes([0.9462])
    plan = Plan("s", tuple(o.job for o in found), ("training.learning_rate", "seed"), 0)
    shown.print_table(shown.result_table(plan, found, {}), shown.plain_console(written))
    heading, _, row = written.getvalue().strip().splitlines()
    assert heading.split() == ["lr", "seed", "test", "train", "loss", "time"]
    assert row.split() == ["0.1", "0", "94.62", "%", "94.62", "%", "0.9462", "1.0", "s"]


def test_a_sweep_over_seeds_has_a_mean() -> None:
    """0.90, 0.92 and 0.94: mean 0.92, standard deviation 0.02."""
    found = outcomes([0.90, 0.92, 0.94])
    plan = Plan("s", tuple(o.job for o in found), ("seed",), 0)
    assert shown.seed_line(plan, found) == (
        "test accuracy: mean 92.00 %, standard deviation 2.00 %, of 3 seeds"
    )
    assert shown.seed_line(plan, found[:1]) == ""
    assert shown.seed_line(Plan("s", plan.jobs, ("init.scale", "seed"), 0), found) == ""


def test_numerical_gradients_say_how_long_they_take(digits: Path) -> None:
    written = io.StringIO()
    settings = Settings().replace({"data.root": str(digits), "training.gradient": "numerical"})
    shown.print_numerical([settings], shown.plain_console(written))
    # 2 × 39,760 weights × 10,000 updates, each loss of a batch some 0.1 ms: hours
    assert "numerical gradients: two losses for each weight" in written.getvalue()
    assert any(unit in written.getvalue() for unit in ("days", ":"))
    written = io.StringIO()
    shown.print_numerical([Settings()], shown.plain_console(written))
    assert written.getvalue() == ""


def test_never_more_processes_than_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(runs: int, **values: object) -> int:
        return process_count(Settings.from_dict({"sweep": values}).sweep, runs)

    assert count(2, n_jobs=48) == 2
    assert count(100, n_jobs=48) == 48
    assert count(1, n_jobs=48) == 2, "one would be this very process"
    assert count(5, n_jobs=1) == 1
    assert count(5, n_jobs=48, backend="sequential") == 1


def test_a_figure_of_one_epoch_has_whole_ticks() -> None:
    figure = reports.run_figures([epoch()], None, "one epoch")["learning_curve.png"]
    figure.draw_without_rendering()
    loss, accuracy = figure.axes
    for axes in (loss, accuracy):
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1.0]
    assert (loss.get_ylim()[0], accuracy.get_ylim()) == (0, (0, 1))


def test_a_file_gets_no_progress_bar_where_colours_are_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in Jupyter, whose kernels set FORCE_COLOR."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert shown.plain_console(io.StringIO()).is_terminal is False
