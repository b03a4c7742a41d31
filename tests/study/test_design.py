"""The runs of a study: cells, seeds, keys, and the factorial at each tuned value."""

from pathlib import Path

import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.errors import UserError
from sgdprobe.study.design import Factorial, Study
from sgdprobe.study.factors import cell_id
from sgdprobe.study.spec import StudySpec

BOOK = Settings()
RATE = "training.learning_rate"


def factorial(seeds: int = 2, **values: object) -> Factorial:
    target = BOOK.replace({key.replace("__", "."): value for key, value in values.items()})
    return Factorial.between(BOOK, target, (), seeds)


def test_every_cell_has_every_seed() -> None:
    design = factorial(seeds=3, dtype="float64", init__scale=1.0)
    runs = list(design.runs())
    assert [cell_id(cell) for cell in design.cells()] == ["00", "01", "10", "11"]
    assert len(runs) == len(set(runs)) == 12
    settings = design.settings((0, 1), 2)
    assert (settings.dtype, settings.init.scale, settings.seed) == ("float32", 1.0, 2)
    assert settings == BOOK.replace({"init.scale": 1.0, "seed": 2})
    assert "init.scale" not in design.held_fixed()
    assert design.held_fixed()[RATE] == 0.1
    assert design.corners == ((0, 0), (1, 1))
    assert (design.baseline_with(1), design.target_without(1)) == ((0, 1), (1, 0))


def test_each_run_has_a_key_of_its_own() -> None:
    keys = factorial(dtype="float64", init__scale=1.0).keys
    assert len(set(keys.values())) == len(keys) == 8


def test_near_a_corner_is_at_most_one_change_away() -> None:
    near = factorial(
        dtype="float64", init__scale=1.0, data__scale="none", training__learning_rate=1.0
    ).near_corners()
    assert len(near) == 10
    assert all(sum(cell) in (0, 1, 3, 4) for cell in near)


def test_a_difference_that_is_not_named_stays_as_in_the_baseline() -> None:
    target = BOOK.replace({"dtype": "float64", "init.scale": 1.0})
    design = Factorial.between(BOOK, target, ["dtype"], 2)
    assert design.names == ["dtype"]
    assert [factor.name for factor in design.left_out] == ["init.scale"]
    assert design.settings(design.target, 0).init.scale == 0.01


def study(digits: Path, spec: StudySpec, **target: object) -> Study:
    """The study of two recipes with learning rates 0.1 and 0.5, tuned over 0.1 and 1."""
    base = BOOK.replace({"data.root": str(digits)})
    other = base.replace({RATE: 0.5} | target)
    at_values = [(base.replace({RATE: v}), other.replace({RATE: v})) for v in (0.1, 1.0)]
    own = Factorial.between(base, other, spec.factors, spec.seeds, spec.groups)
    return Study.of(spec, own, at_values if spec.tuned else ())


def test_the_runs_of_a_study_are_told_apart_by_name(digits: Path) -> None:
    spec = StudySpec("why", "a", "b", seeds=2)
    found = study(digits, spec, dtype="float64", **{"init.scale": 1.0})
    plan = found.plan(found.missing({}))
    assert len({job.name for job in plan.jobs}) == len(plan.jobs) == 16
    assert {job.tags["study"] for job in plan.jobs} == {"why"}
    assert {job.settings.tracking.experiment for job in plan.jobs} == {"why"}


def test_a_tuned_setting_is_no_factor_and_holds_images_out(digits: Path) -> None:
    spec = StudySpec("why", "a", "b", seeds=2, tuned=RATE)
    found = study(digits, spec, dtype="float64")
    assert found.factorial.names == ["dtype", RATE]
    assert [one.names for one in found.tuned] == [["dtype"], ["dtype"]]
    assert [one.base.training.learning_rate for one in found.tuned] == [0.1, 1.0]
    assert [one.base.data.validation for one in found.tuned] == [100, 100], "one in six of 600"
    assert len(found.keys) == 8 + 2 * 4
    assert len({job.name for job in found.plan(found.missing({})).jobs}) == 16


def test_only_what_is_not_recorded_is_missing(digits: Path) -> None:
    found = study(digits, StudySpec("why", "a", "b", seeds=2))
    recorded = found.factorial.keys[(0,), 1]
    assert found.missing({recorded: None}) == [
        (found.factorial, run) for run in (((0,), 0), ((1,), 0), ((1,), 1))
    ]


def test_a_tuned_setting_is_in_no_group(digits: Path) -> None:
    spec = StudySpec("why", "a", "b", seeds=2, groups=((RATE, "dtype"),), tuned=RATE)
    with pytest.raises(UserError, match=f"--tune {RATE}: a tuned setting cannot be in a group"):
        study(digits, spec, dtype="float64")


@pytest.mark.parametrize(
    ("factors", "target", "message"),
    [
        ((RATE,), {"dtype": "float64"}, "it is the only factor"),
        ((), {}, "at one value of it, the two recipes do not differ"),
        ((), {"data.validation": 60}, "the recipes differ in data.validation"),
    ],
)
def test_tuning_that_leaves_no_question_is_refused(
    digits: Path, factors: tuple[str, ...], target: dict[str, object], message: str
) -> None:
    spec = StudySpec("why", "a", "b", seeds=2, factors=factors, tuned=RATE)
    with pytest.raises(UserError, match=f"--tune {RATE}: {message}"):
        study(digits, spec, **target)


def test_a_group_is_one_factor() -> None:
    target = BOOK.replace({"dtype": "float64", "init.scale": 1.0, "network.hidden": (50, 100)})
    design = Factorial.between(BOOK, target, (), 2, [("init.scale", "network.hidden")])
    assert design.names == ["dtype", "network.hidden+init.scale"]
    assert [factor.format_level(1) for factor in design.factors] == ["float64", "[50,100] 1"]
    settings = design.settings((0, 1), 0)
    assert (settings.dtype, settings.init.scale, settings.network.hidden) == (
        "float32", 1.0, (50, 100),
    )  # fmt: skip
    alone = Factorial.between(BOOK, target, (), 2)
    assert set(design.keys.values()) < set(alone.keys.values()), "recorded runs are used again"


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([("init.scale", "lr")], "--group lr: no such difference; choose from dtype, init.scale$"),
        ([("init.scale",)], "--group init.scale: give at least two differences, A,B"),
        ([("init.scale", "init.scale")], "give at least two differences"),
        ([("init.scale", "dtype"), ("dtype", "init.scale")], "can be in one group only"),
    ],
)
def test_groups_that_are_refused(groups: list[tuple[str, ...]], message: str) -> None:
    target = BOOK.replace({"dtype": "float64", "init.scale": 1.0})
    with pytest.raises(UserError, match=message):
        Factorial.between(BOOK, target, (), 2, groups)


NOTES = BOOK.replace({"network.softmax_over": "batch", "init.scale": 1.0, RATE: 0.01})
RECIPES = {"notes": NOTES, "book": BOOK}


@pytest.mark.parametrize(
    ("same", "varied", "names"),
    [
        ({}, (), ("notes", "book")),
        ({"dtype": "float64"}, (), ("notes", "book")),
        ({"training.iterations": 600}, (), ("notes + 1 change", "book + 1 change")),
        ({}, (RATE,), ("notes", "notes + 1 change")),
        ({}, (RATE, "init.scale"), ("notes", "book + 1 change")),
    ],
)
def test_a_recipe_names_only_the_cell_that_is_that_recipe(
    same: dict[str, object], varied: tuple[str, ...], names: tuple[str, str]
) -> None:
    design = Factorial.between(NOTES.replace(same), BOOK.replace(same), varied, 2)
    assert design.name_corners(RECIPES) == names


def test_corners_of_one_recipe_have_numbers() -> None:
    one, other = BOOK.replace({RATE: 1.0}), BOOK.replace({RATE: 2.0})
    design = Factorial.between(one, other, (), 2)
    assert design.name_corners(RECIPES) == ("book + 1 change (1)", "book + 1 change (2)")
