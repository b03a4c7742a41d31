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
    return Study.of(spec, (base, other), at_values if spec.tuned else ())


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
