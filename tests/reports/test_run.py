"""The page of a run, from made records: complete, of an older version, of a run that diverged."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reports.made import ADDRESS, ATTRIBUTES, HOSTILE_NAME, Attributes, sweep

from sgdprobe.nn import EpochMetrics, Examples, Network
from sgdprobe.reports import (
    Learned,
    RunPage,
    learned_cells,
    write_run_report,
    write_sweep_report,
)
from sgdprobe.run.learned import Predictions, histograms, pack_images
from sgdprobe.tracking import RecordedRun

EPOCHS = [EpochMetrics(1, 5, 2.0, 0.5, 0.25), EpochMetrics(2, 10, 1.0, 0.75, 0.5)]
TAGS = {
    "recipe": "made",
    "mlflow.source.name": "train.py made",
    "diagnostic.ending": "stuck",
    "preflight.saturated_1": "layer 1: 99.9 % of units are saturated",
    "course.flat_at_end_1": "layer 1: 100 % of units are saturated at the end",
}
RUN = RecordedRun(
    "1" * 32, "FINISHED", "lr=1", url=ADDRESS + "1" * 32, tags=TAGS,
    params={"init.scale": "0.01", "tracking.lease": "600"},
)  # fmt: skip


@pytest.fixture(scope="module")
def learned() -> Learned:
    """A network of 2 × 3 pixels, 4 hidden units and 3 classes, of which one is never predicted."""
    rng = np.random.default_rng(0)
    params = {
        "W1": rng.normal(0, 1, (6, 4)), "b1": np.zeros(4), "W2": rng.normal(0, 1, (4, 3)),
        "b2": np.zeros(3),
    }  # fmt: skip
    network = Network(params, factor=1 / 255)
    images = rng.integers(0, 256, (30, 6), np.uint8)
    examples = Examples(images, rng.integers(0, 3, 30), dtype="float64")
    found = Predictions.of(network, examples)
    diagnostics = {
        "images": {"height": 2, "width": 3, "border": 0.0},
        "start": histograms(network, examples),
        "end": histograms(network, examples),
        "confusion_matrix": [[5, 1, 0], [7, 8, 0], [0, 4, 2]],
        "most_wrong": {
            "images": [3, 1], "labels": [1, 2], "predicted": [0, 1], "probabilities": [0.9, 0.8],
            "pixels": pack_images(images[[3, 1]]),
        },
    }  # fmt: skip
    assert found.labels.shape == (30,)
    return Learned(diagnostics, params)


def written(folder: Path, run: RecordedRun, learned: Learned) -> tuple[str, str]:
    """The README and the page."""
    page = RunPage(run, EPOCHS, np.array([2.0, 1.5, 1.0]), learned)
    files = write_run_report(page, folder)
    assert files[0].name == "index.html"
    return (folder / "README.md").read_text(), files[0].read_text()


def pictures(readme: str) -> list[str]:
    return re.findall(r"\]\((\w+\.svg)\)", readme)


def test_a_complete_record(tmp_path: Path, learned: Learned) -> None:
    readme, page = written(tmp_path, RUN, learned)
    assert readme.startswith("# made: lr=1\n")
    assert "**Test accuracy 50.00 %**, train accuracy 75.00 %, loss 1 after 2 epochs" in readme
    assert "; finished, stuck." in readme
    assert "| `saturated_1` | layer 1: 99.9 % of units are saturated | A saturated unit " in readme
    assert "| `flat_at_end_1` | layer 1: 100 % of units are saturated at the end | " in readme
    assert pictures(readme) == [
        "learning_curve.svg", "loss_at_every_update.svg", "confusion_matrix.svg",
        "most_wrong.svg", "first_layer.svg", "layers.svg",
    ]  # fmt: skip
    assert "12 of 27 test images are wrong." in readme
    assert "7 of class 1 are taken for 0. 4 of class 2 are taken for 1. 1 of class 0 " in readme
    assert "recorded nothing" not in readme
    assert "| `init.scale` | `0.01` |" in readme
    assert "tracking.lease" not in readme
    assert page.count("<img alt=") == 3
    body = re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert Attributes(body).names <= ATTRIBUTES
    assert all((tmp_path / name).stat().st_size for name in pictures(readme))


def without(learned: Learned, *names: str) -> Mapping[str, Any]:
    return {name: value for name, value in learned.diagnostics.items() if name not in names}


@pytest.mark.usefixtures("undrawn_figures")
def test_a_run_of_an_older_version(tmp_path: Path, learned: Learned) -> None:
    readme, _ = written(tmp_path, RUN, Learned())
    assert pictures(readme) == ["learning_curve.svg", "loss_at_every_update.svg"]
    assert "This run recorded nothing to draw: versions before 0.6.0 did not" in readme
    assert f"`python src/rerun.py {'1' * 32}`" in readme
    own = replace(RUN, tags=TAGS | {"own_loop": "mine.py"})
    assert "A loop of your own records its metrics" in written(tmp_path, own, Learned())[0]
    old = Learned({"confusion_matrix": learned.diagnostics["confusion_matrix"]}, learned.weights)
    readme, _ = written(tmp_path, RUN, old)
    assert pictures(readme)[2:] == ["confusion_matrix.svg"]
    assert "This run recorded a part of what is drawn here" in readme


@pytest.mark.usefixtures("undrawn_figures")
def test_a_run_that_diverged_shows_its_start(tmp_path: Path, learned: Learned) -> None:
    tags = TAGS | {"failure": "DivergedError: the loss became nan", "failure_reason": "diverged"}
    some = Learned(without(learned, "end", "confusion_matrix", "most_wrong"))
    readme, _ = written(tmp_path, replace(RUN, status="FAILED", tags=tags), some)
    assert "; diverged: DivergedError: the loss became nan." in readme
    assert pictures(readme)[2:] == ["layers.svg"]
    assert "at the start of training" in readme


@pytest.mark.usefixtures("undrawn_figures")
def test_a_network_without_errors_has_no_picture_of_them(tmp_path: Path, learned: Learned) -> None:
    nothing = {"images": [], "labels": [], "predicted": [], "probabilities": [], "pixels": ""}
    right = {"confusion_matrix": np.diag([3, 4, 5]).tolist(), "most_wrong": nothing}
    readme, _ = written(tmp_path, RUN, Learned({**learned.diagnostics, **right}, learned.weights))
    assert "most_wrong.svg" not in pictures(readme)
    assert "0 of 12 test images are wrong." in readme


@pytest.mark.usefixtures("undrawn_figures")
def test_words_from_outside_are_text(tmp_path: Path, learned: Learned) -> None:
    tags = dict.fromkeys(TAGS, HOSTILE_NAME) | {"preflight.x": "<script>alert(1)</script>"}
    run = replace(RUN, name=HOSTILE_NAME, tags=tags, params={"a": HOSTILE_NAME})
    _, page = written(tmp_path, run, learned)
    assert "<script" not in page
    assert "onmouseover" not in Attributes(page).names


@pytest.mark.usefixtures("undrawn_figures")
def test_a_sweep_draws_its_best_its_worst_and_its_recipes(tmp_path: Path, learned: Learned) -> None:
    table = sweep({"init.scale": ["0.01", "1", "2"], "seed": ["0", "1"]})
    accuracies = (0.7, 0.7, 0.9, 0.9, 0.5, 0.5)
    runs = [
        replace(run, metrics={**run.metrics, "test_accuracy": a})
        for run, a in zip(table.runs, accuracies, strict=True)
    ]
    table = replace(table, runs=runs)
    found = learned_cells(table, lambda _: learned)
    assert [(one.names, one.cell, one.run.params["seed"]) for one in found] == [
        (["best"], ("1",), "0"), (["worst"], ("2",), "0"), (["book"], ("0.01",), "0"),
    ]  # fmt: skip
    readme = write_sweep_report(table, tmp_path, "", found)[1].read_text()
    assert "best, `init.scale=1`, run 00000002: 12 of 27 test images are wrong." in readme
    assert "\n## What was learned\n" in readme
    partly = Learned(without(learned, "end"), learned.weights)
    assert learned_cells(table, lambda _: partly) == []
    assert "What was learned" not in write_sweep_report(table, tmp_path)[1].read_text()
