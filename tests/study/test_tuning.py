"""Each cell at its best value: the choice, and the result that counts."""

from dataclasses import replace

import numpy as np
import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.study.design import Factorial
from sgdprobe.study.results import StudyResults
from sgdprobe.study.spec import StudySpec
from sgdprobe.study.tuning import Tuned
from sgdprobe.tracking import RecordedRun

KEY = "training.learning_rate"
SPEC = StudySpec("study", "notes", "book", seeds=2, tuned=KEY)

# One factor, so two cells; two seeds. In %, (validation, test) of each seed:
#                  0.1                   1                   0.5
# cell 0    (60, 61) (62, 61)    (70, 10) (40, 90)   (61, 50) (61, 50)   best 0.1 or 0.5: the first
# cell 1    (10, 99) (10, 99)    (80, 82) (82, 84)   diverged (99, 99)   best 1: 81 beats 54.5
Shares = dict[float, list[int | None]]
VALIDATION: Shares = {0.1: [60, 62, 10, 10], 1.0: [70, 40, 80, 82], 0.5: [61, 61, None, 99]}
TEST: Shares = {0.1: [61, 61, 99, 99], 1.0: [10, 90, 82, 84], 0.5: [50, 50, None, 99]}


def at(value: float) -> StudyResults:
    base = Settings().replace({KEY: value, "data.validation": 10000})
    factorial = Factorial.between(base, base.replace({"init.scale": 1.0}), (), seeds=2)
    results = {}
    for run, validation, test in zip(factorial.runs(), VALIDATION[value], TEST[value], strict=True):
        metrics = {}
        tags = {"failure": "the loss is nan", "failure_reason": "diverged"}
        if validation is not None and test is not None:
            tags = {}
            metrics = {"validation_accuracy": validation / 100, "test_accuracy": test / 100}
        results[run] = RecordedRun(
            f"{value}-{run}", "FINISHED" if metrics else "FAILED", tags=tags, metrics=metrics
        )
    return StudyResults(SPEC, factorial, results)


@pytest.fixture
def tuned() -> Tuned:
    return Tuned(KEY, tuple(map(at, (0.1, 1.0, 0.5))))


def test_images_held_out_choose_the_best_value_and_ties_the_first(tuned: Tuned) -> None:
    assert tuned.values == [0.1, 1.0, 0.5]
    assert tuned.held_out == 10000
    np.testing.assert_allclose(
        tuned.validation.mean(axis=-1), [[0.61, 0.1], [0.55, 0.81], [0.61, 0.545]]
    )
    assert tuned.chosen.tolist() == [0, 1]


def test_the_tuned_result_is_the_test_accuracy_of_the_same_runs(tuned: Tuned) -> None:
    np.testing.assert_allclose(tuned.y, [[0.61, 0.61], [0.82, 0.84]])


def test_a_best_value_at_the_edge_of_those_tried_is_found(tuned: Tuned) -> None:
    assert tuned.at_the_edge() == [(0,), (1,)]
    inner = replace(tuned, tried=(tuned.tried[2], tuned.tried[0], tuned.tried[1]))
    assert inner.values == [0.5, 0.1, 1.0]
    assert inner.at_the_edge() == [(1,)], "cell 0 is at its best at 0.5, the first of equals"
