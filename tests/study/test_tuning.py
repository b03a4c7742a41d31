"""Each cell at its best value: which is chosen, by what, and what then counts."""

from dataclasses import replace

import numpy as np
import pytest

from sgdprobe.commands.explain import parse
from sgdprobe.config.settings import Settings
from sgdprobe.study.design import Design
from sgdprobe.study.factors import compare
from sgdprobe.study.results import StudyResults
from sgdprobe.study.spec import StudySpec
from sgdprobe.study.tuning import Tuned, Tuning
from sgdprobe.tracking import Result

KEY = "training.learning_rate"
REQUEST = parse(["notes", "book", "--seeds", "2", "--tune", f"{KEY}=0.1,1,0.5"])

# One factor, so two cells; two seeds. In %, (validation, test) of each seed:
#                  0.1                   1                   0.5
# cell 0    (60, 61) (62, 61)    (70, 10) (40, 90)   (61, 50) (61, 50)   best 0.1 or 0.5: the first
# cell 1    (10, 99) (10, 99)    (80, 82) (82, 84)   diverged (99, 99)   best 1: 81 beats 54.5
Shares = dict[float, list[int | None]]
VALIDATION: Shares = {0.1: [60, 62, 10, 10], 1.0: [70, 40, 80, 82], 0.5: [61, 61, None, 99]}
TEST: Shares = {0.1: [61, 61, 99, 99], 1.0: [10, 90, 82, 84], 0.5: [50, 50, None, 99]}


def at(value: float) -> StudyResults:
    base = Settings().replace({KEY: value, "data.validation": 10000})
    design = Design(base, compare(base, base.replace({"init.scale": 1.0})), seeds=2)
    results = {}
    for run, validation, test in zip(design.runs(), VALIDATION[value], TEST[value], strict=True):
        metrics = {}
        if validation is not None and test is not None:
            metrics = {"validation_accuracy": validation / 100, "test_accuracy": test / 100}
        results[run] = Result(f"{value}-{run}", "1", not metrics, metrics)
    return StudyResults(REQUEST, design, (), results)


@pytest.fixture
def tuned() -> Tuned:
    studies = tuple(map(at, (0.1, 1.0, 0.5)))
    return Tuned(Tuning(KEY, tuple(study.design for study in studies)), studies)


def test_the_best_by_the_images_held_out_the_first_of_equals(tuned: Tuned) -> None:
    assert tuned.tuning.values == [0.1, 1.0, 0.5]
    assert tuned.tuning.held_out == 10000
    np.testing.assert_allclose(
        tuned.validation.mean(axis=-1), [[0.61, 0.1], [0.55, 0.81], [0.61, 0.545]]
    )
    assert tuned.chosen.tolist() == [0, 1]


def test_what_counts_is_the_test_accuracy_of_the_same_runs(tuned: Tuned) -> None:
    np.testing.assert_allclose(tuned.y, [[0.61, 0.61], [0.82, 0.84]])


def test_a_value_at_the_edge_of_those_that_were_tried_is_told(tuned: Tuned) -> None:
    assert tuned.at_the_edge() == [(0,), (1,)]
    inner = replace(tuned, tried=(tuned.tried[2], tuned.tried[0], tuned.tried[1]))
    inner = replace(inner, tuning=Tuning(KEY, tuple(study.design for study in inner.tried)))
    assert inner.tuning.values == [0.5, 0.1, 1.0]
    assert inner.at_the_edge() == [(1,)], "cell 0 is at its best at 0.5, the first of equals"


def words(tune: str, *more: str) -> list[StudySpec]:
    return parse(["notes", "book", "--tune", tune, *more]).per_tuned_value()


def test_the_recipes_are_composed_at_each_value() -> None:
    found = words(f"{KEY}=0.1,1", "--fix", "dtype=float32", "--with", f"{KEY}=1,2")
    assert [one.fixed for one in found] == [
        ("dtype=float32", f"{KEY}=0.1"),
        ("dtype=float32", f"{KEY}=1"),
    ]
    assert all(one.varied == () for one in found), "a setting that is tuned is no difference"
    assert parse(["notes", "book"]).per_tuned_value() == []


def test_a_comma_in_brackets_parts_no_values() -> None:
    found = words("network.hidden=[50,100],[50],[]")
    assert [one.fixed[-1].partition("=")[2] for one in found] == ["[50,100]", "[50]", "[]"]
