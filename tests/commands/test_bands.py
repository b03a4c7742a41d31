"""Sweeps with several seeds as commands: a band for each cell, and what a run's page says."""

from collections.abc import Callable

import pytest
from support import Answer, client_of, runs_in

AXES = ("-m", "notes", "init.scale=0.01,1", "sweep.backend=sequential")


@pytest.fixture(scope="module")
def uri(train: Callable[..., Answer], new_store: Callable[[], str]) -> str:
    """Two cells: first of one seed, then of two, then of three twice."""
    uri = new_store()
    for seeds, done in (("0", 0), ("0,1", 2), ("0,1,2", 4), ("0,1,2", 6)):
        answer = train(*AXES, f"seed={seeds}", f"tracking.uri={uri}")
        assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
        assert f" {done} done before" in answer.stdout, "a band was counted as a run"
        assert "not in MLflow" not in answer.stdout
    return uri


def test_each_cell_has_one_band_of_all_its_seeds(uri: str) -> None:
    bands = runs_in(uri, "tags.kind = 'cell'")
    assert sorted((b.info.run_name, b.data.tags["seeds"]) for b in bands) == [
        ("scale=0.01 3 seeds", "3"), ("scale=1 3 seeds", "3"),
    ]  # fmt: skip
    for band in bands:
        scale = band.data.params["init.scale"]
        found = [r for r in runs_in(uri) if r.data.params["init.scale"] == scale]
        values = [run.data.metrics["test_accuracy"] for run in found]
        assert len(values) == 3
        assert band.data.metrics["test_accuracy"] == pytest.approx(sum(values) / 3)
        assert band.data.metrics["test_accuracy_low"] == min(values)
        assert band.data.metrics["test_accuracy_high"] == max(values)


def test_commands_take_no_band_for_a_run(
    uri: str, run_commands: Callable[..., list[Answer]], train: Callable[..., Answer]
) -> None:
    plan = train(*AXES, "seed=0,1,2,3", "sweep.dry_run=true", f"tracking.uri={uri}")
    assert "8 runs: 6 done before, 2 to do" in plan.stdout
    (report,) = run_commands([["notes", "--json", "--uri", uri]], script="src/report.py")
    assert report.returncode == 0, report.stderr
    assert "seeds" not in report.stderr
    (again,) = run_commands([["last", "--uri", uri]], script="src/rerun.py")
    assert again.returncode == 0, again.stderr
    assert "IDENTICAL" in again.stdout


def test_the_experiment_and_its_runs_are_described(uri: str) -> None:
    client = client_of(uri)
    note = client.get_experiment("1").tags["mlflow.note.content"]
    assert "What does the notes' program do, exactly as printed?" in note
    assert "6 finished" in note
    best = max(runs_in(uri), key=lambda run: run.data.metrics["test_accuracy"])
    page = f"(#/experiments/1/runs/{best.info.run_id}/artifacts/report/index.html?"
    assert page in note
    assert [item.path for item in client.list_artifacts(best.info.run_id, "report")] == [
        "report/index.html"
    ]
    text = best.data.tags["mlflow.note.content"]
    accuracy = f"{100 * best.data.metrics['test_accuracy']:.2f} %"
    assert text.startswith("Recipe **notes**: *What does the notes' program do")
    assert f"Test accuracy **{accuracy}** after 3 epochs" in text
    assert "\n* softmax over the batch" in text
