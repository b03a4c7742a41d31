"""The view of an experiment: which columns it has, and when it is written."""

import json
import zlib
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from sgdprobe import tracking
from sgdprobe.tracking import Store, view

RUNS, BANDS = "mlflow.sharedViewState.runs", "mlflow.sharedViewState.bands"


@pytest.fixture
def store(new_store: Callable[[], str]) -> Store:
    return tracking.open_experiment(new_store(), "notes")


def tags(store: Store) -> dict[str, str]:
    return dict(store.client().get_experiment(store.experiment_id).tags)


def state(store: Store, tag: str = RUNS) -> dict[str, Any]:
    """The view in a tag, read as MLflow's page reads it."""
    packed = json.loads(tags(store)[tag])["state"]
    assert packed.startswith("deflate;")
    found: dict[str, Any] = json.loads(zlib.decompress(b64decode(packed.removeprefix("deflate;"))))
    return found


def test_a_view_has_the_swept_settings_as_columns_and_axes(store: Store) -> None:
    tracking.show(store, ("training.learning_rate", "seed", "sweep.n_jobs"))
    found = state(store)
    assert found["selectedColumns"] == [
        "metrics.`test_accuracy`", "metrics.`train_accuracy`",
        "params.`training.learning_rate`", "params.`seed`",
    ]  # fmt: skip
    first, *lines = found["compareRunCharts"]
    assert (first["type"], first["selectedParams"]) == ("PARALLEL", ["training.learning_rate"])
    assert [line["metricKey"] for line in lines] == ["loss", "train_accuracy", "test_accuracy"]
    assert [(s["name"], s["display"]) for s in found["compareRunSections"]] == [
        ("Model metrics", True), ("symptom", False),
    ]  # fmt: skip
    assert found["searchFilter"] == ""
    assert f"viewStateShareKey={RUNS.rpartition('.')[2]}" in store.experiment_url()


def test_a_view_gains_columns_and_loses_none(store: Store) -> None:
    for varied in (("init.scale",), ("network.hidden",), ("network.hidden", "init.scale")):
        tracking.show(store, varied)
    assert state(store)["selectedColumns"][2:] == ["params.`network.hidden`", "params.`init.scale`"]


def test_a_view_that_lacks_nothing_stays_as_somebody_left_it(store: Store) -> None:
    tracking.show(store, ("init.scale",))
    edited = json.loads(tags(store)[RUNS]) | {"name": "mine"}
    store.client().set_experiment_tag(store.experiment_id, RUNS, json.dumps(edited))
    tracking.show(store, ("init.scale",))
    assert json.loads(tags(store)[RUNS])["name"] == "mine"


@pytest.mark.parametrize("damaged", ["", "x", "{}", '{"state": "deflate;x"}', '{"state": 1}'])
def test_a_damaged_view_is_written_again(store: Store, damaged: str) -> None:
    store.client().set_experiment_tag(store.experiment_id, RUNS, damaged)
    tracking.show(store, ("init.scale",))
    assert state(store)["selectedColumns"][2:] == ["params.`init.scale`"]


def test_an_older_experiment_shows_what_differs_between_its_runs(store: Store) -> None:
    client = store.client()
    for seed in (1, 2):
        run_id = client.create_run(store.experiment_id).info.run_id
        for key, value in {"dtype": "float32", "seed": seed, "sweep.n_jobs": seed}.items():
            client.log_param(run_id, key, value)
    tracking.show(store, ())
    assert state(store)["selectedColumns"][2:] == ["params.`seed`"]


def test_another_command_that_adds_the_view_at_the_same_moment_harms_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow looks for a tag before it adds it; of two that do so at once, one fails."""
    add, failures = MlflowClient.set_experiment_tag, [MlflowException("UNIQUE constraint failed")]

    def fail_once(*words: Any) -> None:
        if failures:
            raise failures.pop()
        add(*words)

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", fail_once)
    view.show(store, ["init.scale"])
    assert failures == []
    assert state(store)["selectedColumns"][-1] == "params.`init.scale`"


def test_bands_have_a_view_of_their_own_and_are_hidden_in_the_other(store: Store) -> None:
    tracking.show(store, ("init.scale", "seed"))
    assert BANDS not in tags(store)
    tracking.show(store, (), bands=True)
    assert state(store)["searchFilter"] == "tags.kind IS NULL"
    found = state(store, BANDS)
    assert found["searchFilter"] == "tags.kind = 'cell'"
    assert "params.`seed`" not in found["selectedColumns"]
    drawn = [chart for chart in found["compareRunCharts"][1:] if not chart["deleted"]]
    assert drawn[2]["selectedMetricKeys"] == [
        "test_accuracy", "test_accuracy_low", "test_accuracy_high",
    ]  # fmt: skip
    tracking.show(store, ("network.hidden",))
    assert "params.`network.hidden`" in state(store, BANDS)["selectedColumns"]


def test_a_view_fits_into_a_tag(store: Store) -> None:
    from sgdprobe.config.settings import Settings

    tracking.show(store, tuple(Settings().flat()), bands=True)
    assert max(len(value) for value in tags(store).values()) < 5000
    assert len(state(store)["selectedColumns"]) == 2 + view.MAX_COLUMNS
