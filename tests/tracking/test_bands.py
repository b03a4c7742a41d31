"""Bands in a store: one for each cell, replaced by wider ones, and never taken for runs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from support import client_of, runs_in

from sgdprobe import tracking
from sgdprobe.errors import SettingsError
from sgdprobe.tracking import Band, Store, bands
from sgdprobe.tracking.queries import Condition, RunReader
from sgdprobe.tracking.sql import SqlReader

BAND = Band(
    cell="abc",
    name="scale=1 2 seeds",
    recipe="notes",
    seeds=["0", "1"],
    params={"init.scale": "1"},
    series={"loss": [2.0, 1.0], "loss_low": [1.0, 0.5]},
    note="Not a run",
)
WIDER = replace(BAND, name="scale=1 3 seeds", seeds=["0", "1", "2"])
READERS = pytest.mark.parametrize("kind", [SqlReader, RunReader])


@pytest.fixture
def store(new_store: Callable[[], str]) -> Store:
    """A store with one run, older than its band."""
    store = tracking.open_experiment(new_store(), "notes")
    tags = {"source_hash": "s", "key": "k", "sweep": "20260101-000000-0000", "size": "small"}
    run = store.client().create_run(store.experiment_id, 1000, tags=tags, run_name="seed=0")
    store.client().set_terminated(run.info.run_id, end_time=3000)
    tracking.record_bands(store, [BAND])
    return store


def recorded(store: Store) -> list[str]:
    return [band.info.run_name for band in runs_in(store.uri, "tags.kind = 'cell'")]


def test_a_band_has_its_points_and_its_description(store: Store) -> None:
    (band,) = runs_in(store.uri, "tags.kind = 'cell'")
    assert (band.info.status, band.data.params) == ("FINISHED", {"init.scale": "1"})
    assert band.data.tags["mlflow.note.content"] == "Not a run"
    history = client_of(store.uri).get_metric_history(band.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]


def test_a_band_with_many_points_comes_in_several_requests(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "POINTS", 3)
    long = replace(BAND, cell="long", series={"loss": [1.0, 2.0, 3.0, 4.0], "loss_low": [0.5]})
    tracking.record_bands(store, [long])
    band = next(b for b in runs_in(store.uri, "tags.cell = 'long'"))
    assert band.data.metrics == {"loss": 4.0, "loss_low": 0.5}


def test_mlflows_search_hides_and_finds_bands(store: Store) -> None:
    """The filters that the documentation gives; != also hides every run without the tag."""
    searches = ("tags.kind IS NULL", "tags.kind = 'cell'", "tags.kind != 'cell'", "")
    found = [len(runs_in(store.uri, search)) for search in searches]
    assert found == [1, 1, 0, 2]


Question = Callable[[RunReader], Sequence[object]]
QUESTIONS: dict[str, Question] = {
    "all": lambda runs: runs.find(),
    "the newest": lambda runs: runs.find(limit=1),
    "a recipe": lambda runs: runs.with_tag("recipe", ["notes"]),
    "finished": lambda runs: runs.find(Condition("attributes.status", "=", "FINISHED")),
    "a sweep": lambda runs: [tracking.newest_sweep(runs)],
    "runs of an experiment": lambda runs: tracking.runs_of(runs, "notes"),
    "last": lambda runs: [tracking.find_run(runs, "last")],
}


@READERS
@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_finds_a_band(question: str, kind: type[RunReader], store: Store) -> None:
    found = QUESTIONS[question](kind(store.uri))
    names = {getattr(run, "name", "seed=0") for run in found}
    assert names <= {"seed=0"}
    assert len(found) == (0 if question == "a recipe" else 1)


@READERS
def test_a_band_is_no_run_to_rerun_or_draw(kind: type[RunReader], store: Store) -> None:
    (band,) = runs_in(store.uri, "tags.kind = 'cell'")
    for word in (band.info.run_id, BAND.name):
        with pytest.raises(SettingsError, match=r"no such run; the newest are .* .seed=0"):
            tracking.find_run(kind(store.uri), word)
    assert kind(store.uri).with_ids([band.info.run_id]) == []
    (found,) = kind(store.uri).find(bands=True)
    assert found.name == BAND.name


def test_a_run_of_another_kind_is_a_run(store: Store) -> None:
    (run,) = runs_in(store.uri)
    client_of(store.uri).set_tag(run.info.run_id, "kind", "favourite")
    for kind in (SqlReader, RunReader):
        assert [found.name for found in kind(store.uri).find()] == ["seed=0"]


def test_the_widest_band_of_a_cell_stays(store: Store) -> None:
    tracking.record_bands(store, [BAND])
    assert recorded(store) == [BAND.name]
    assert tracking.recorded_bands(store) == {"abc": 2}
    tracking.record_bands(store, [WIDER])
    assert recorded(store) == [WIDER.name]
    tracking.record_bands(store, [BAND])  # by a command that began before
    assert recorded(store) == [WIDER.name]
    assert tracking.recorded_bands(store) == {"abc": 3}


def test_what_a_killed_command_left_does_not_count(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {"kind": "cell", "cell": "abc", "seeds": "9"}
    store.client().create_run(store.experiment_id, tags=tags, run_name="half")
    assert tracking.recorded_bands(store) == {"abc": 2}
    tracking.record_bands(store, [BAND])
    assert sorted(recorded(store)) == ["half", BAND.name], "another command may complete it yet"
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    tracking.record_bands(store, [BAND])
    assert recorded(store) == [BAND.name]
