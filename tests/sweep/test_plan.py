"""The plan of a sweep: each job once, named by what varies, and all of it checked beforehand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.errors import DataError, SettingsError
from sgdprobe.sweep.plan import Plan, same_program

Cell = tuple[Settings, str | None]


@pytest.fixture
def data(digits: Path) -> dict[str, Any]:
    return {"data": {"root": str(digits)}}


def cells(base: Mapping[str, Any], *differences: Mapping[str, Any]) -> list[Cell]:
    return [(Settings.from_dict({**base, **given}), "notes") for given in differences]


def names(plan: Plan) -> list[str]:
    return [job.name for job in plan.jobs]


def test_jobs_in_the_order_of_their_axes(data: dict[str, Any]) -> None:
    grid = [
        {"training": {"learning_rate": lr}, "init": {"scale": scale}}
        for lr in (0.1, 1)
        for scale in (1, 0.01)
    ]
    plan = Plan.of(cells(data, *grid), ["training.learning_rate", "init.scale", "dtype"])
    assert names(plan) == [
        "lr=0.1 scale=1 seed=0",
        "lr=0.1 scale=0.01 seed=0",
        "lr=1 scale=1 seed=0",
        "lr=1 scale=0.01 seed=0",
    ]
    assert plan.varied == ("training.learning_rate", "init.scale")  # dtype is the same in all
    assert plan.duplicates == 0


def test_tags_of_a_job(data: dict[str, Any]) -> None:
    plan = Plan.of(cells(data, {"seed": 3}, {"seed": 4}), ["seed"])
    assert [(job.recipe, job.tags["recipe"], job.tags["seed"]) for job in plan.jobs] == [
        ("notes", "notes", "3"),
        ("notes", "notes", "4"),
    ]
    assert {job.tags["sweep"] for job in plan.jobs} == {plan.sweep}


def test_two_sweeps_have_two_names(data: dict[str, Any]) -> None:
    once, again = (Plan.of(cells(data, {}), []) for _ in range(2))
    assert once.sweep != again.sweep


def test_no_recipe_is_called_after_the_base_configuration(data: dict[str, Any]) -> None:
    plan = Plan.of([(Settings.from_dict(data), None)], [])
    assert plan.jobs[0].recipe == plan.jobs[0].tags["recipe"] == "config"


def test_duplicates_are_merged_and_counted(data: dict[str, Any]) -> None:
    same: list[dict[str, Any]] = [
        {"init": {"scale": 1}},
        {"init": {"scale": 1.0}},
        {"init": {"scale": 0.1}},
    ]
    plan = Plan.of(cells(data, *same), ["init.scale"])
    assert names(plan) == ["scale=1 seed=0", "scale=0.1 seed=0"]
    assert plan.duplicates == 1


@pytest.mark.parametrize(
    ("axes", "differences"),
    [
        (["network"], [{"network": {"hidden": [50]}}, {"network": {"hidden": [50, 100]}}]),
        (["init"], [{"init": {"scheme": "he", "scale": 1}}, {"init": {"scheme": "lecun"}}]),
        (["++init.scale"], [{"init": {"scale": 1}}, {"init": {"scale": 2}}]),
    ],
    ids=lambda item: item[0] if isinstance(item[0], str) else "",
)
def test_jobs_that_differ_by_a_group_are_told_apart(
    data: dict[str, Any], axes: Sequence[str], differences: Sequence[Mapping[str, Any]]
) -> None:
    plan = Plan.of(cells(data, *differences), axes)
    assert len(set(names(plan))) == len(plan.jobs) == 2, names(plan)


def test_jobs_of_two_recipes_are_told_apart(data: dict[str, Any]) -> None:
    one, other = Settings.from_dict(data), Settings.from_dict({**data, "dtype": "float64"})
    plan = Plan.of([(one, "book"), (other, "notes")], ["experiment"])
    assert len({(job.recipe, job.name) for job in plan.jobs}) == 2
    assert len(set(names(plan))) == 2, names(plan)


@pytest.mark.parametrize(
    ("differences", "axis", "message"),
    [
        (
            [{"tracking": {"uri": "b"}}, {"tracking": {"uri": "a"}}, {"tracking": {"uri": "c"}}],
            "tracking.uri",
            "tracking.uri must be the same in all runs of a sweep; got b, a, c",
        ),
        (
            [{"sweep": {"n_jobs": 2}}, {"sweep": {"n_jobs": 1}}],
            "sweep.n_jobs",
            "sweep.n_jobs must be the same in all runs of a sweep; got 2, 1",
        ),
        (
            [{"training": {"batch_size": 600}}, {"training": {"batch_size": 601}}],
            "training.batch_size",
            "training.batch_size must be at most 600, the number of training images; got 601",
        ),
    ],
)
def test_refused(
    data: dict[str, Any], differences: Sequence[Mapping[str, Any]], axis: str, message: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        Plan.of(cells(data, *differences), [axis])
    assert str(refusal.value) == message


def test_data_that_is_not_there(data: dict[str, Any], tmp_path: Path) -> None:
    missing = {"data": {"root": str(tmp_path / "missing")}}
    with pytest.raises(DataError, match="missing is not a folder"):
        Plan.of(cells(data, {}, missing), ["data.root"])


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({}, True),
        ({"seed": 5}, True),
        ({"dtype": "float64"}, True),
        ({"sweep": {"n_jobs": 1}}, True),
        ({"init": {"scale": 1}}, False),
        ({"training": {"iterations": 9999}}, False),
        ({"data": {"root": "/elsewhere"}}, False),
    ],
)
def test_same_program_but_for_seed_and_precision(given: Mapping[str, Any], same: bool) -> None:
    assert same_program(Settings(), Settings.from_dict(given)) == same
