"""Words and numbers of a study's report that need no store."""

from math import log

import numpy as np
import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.reports.explanation import verdict
from sgdprobe.reports.explanation.reasons import least_loss, never_predicted
from sgdprobe.study.claim import Claim
from sgdprobe.study.design import Factorial
from sgdprobe.study.diagnostics import FinalDiagnostics
from sgdprobe.study.results import StudyResults
from sgdprobe.study.spec import StudySpec
from sgdprobe.tracking import Result

OVER_BATCH = {"network.softmax_over": "batch"}


@pytest.mark.parametrize(
    ("values", "least"),
    [
        ({}, 0.0),
        (OVER_BATCH, log(100)),
        (OVER_BATCH | {"training.batch_size": 7}, log(7)),
        (OVER_BATCH | {"network.loss": "mean_squared_error"}, None),
        ({"network.loss": "mean_squared_error"}, 0.0),
    ],
)
def test_what_the_loss_cannot_fall_below(values: dict[str, object], least: float | None) -> None:
    assert least_loss(Settings().replace(values)) == least


def test_classes_that_some_runs_never_predict() -> None:
    every, two, one, diverged = (FinalDiagnostics(2.3, found) for found in ((), (5, 8), (8,), None))
    assert never_predicted([every, two, one, diverged]) == "5, 8 in 2 of 3 runs"
    assert never_predicted([every, every]) == "none"
    assert never_predicted([diverged]) == "–"


def test_the_verdict_fits_a_terminal_of_80_columns() -> None:
    base = Settings()
    differing = {
        "network.activation": "relu", "network.softmax_over": "batch",
        "network.loss": "mean_squared_error", "training.learning_rate": 1.0,
    }  # fmt: skip
    design = Factorial.between(base, base.replace(differing), (), seeds=2)
    rng = np.random.default_rng(0)
    results = {
        run: Result(
            "", "1", False, {"test_accuracy": 0.1 + 0.2 * sum(run[0]) + rng.normal(0, 0.01)}
        )
        for run in design.runs()
    }
    spec = StudySpec("study", "notes", "book", seeds=2, claim=Claim(0.1234, 0))
    lines = verdict(StudyResults(spec, design, results))
    assert max(map(len, lines)) <= 80
    assert lines[0] == "notes does not reproduce its claim of 12.34 %"
    told = " ".join(" ".join(lines).split())
    assert told.endswith(
        "enough to come within 1 point of book: network.activation, network.softmax_over, "
        "network.loss and training.learning_rate"
    )
