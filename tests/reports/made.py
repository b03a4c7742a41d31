"""Small studies and sweeps, made without a store."""

from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.reports import SweepTable
from sgdprobe.study.claim import Claim
from sgdprobe.study.design import Factorial
from sgdprobe.study.results import StudyResults
from sgdprobe.study.spec import StudySpec
from sgdprobe.study.tuning import Tuned
from sgdprobe.tracking import RecordedRun

# A page address that must lead nowhere else, and names that must not become markup.
ADDRESS = "http://127.0.0.1:5000/#/experiments/1/runs/"
HOSTILE_NAME = '"onmouseover="alert(1)'
HOSTILE_TAG = "[x](javascript:alert(1))"

ATTRIBUTES = {"lang", "charset", "name", "content", "scope", "class", "alt", "src", "href", "id"}
ATTRIBUTES |= {"role", "aria-label", "viewbox"}

DIFFERENCES: dict[str, Any] = {
    "network.softmax_over": "sample", "init.scale": 0.01, "training.learning_rate": 0.1,
}  # fmt: skip
VALUES = (0.01, 0.1)
DIVERGED = {"failure_reason": "diverged"}


def study(digits: Path, factors: int = 3, tuned: bool = False) -> tuple[StudyResults, Tuned | None]:
    """A study of `factors` factors, 3 seeds; each factor adds 0.2, the last seed of 0 diverges."""
    base = Settings().replace(
        {
            "data.root": str(digits), "network.softmax_over": "batch", "init.scale": 1.0,
            "training.learning_rate": 0.01, "training.iterations": 12,
        }
    )  # fmt: skip
    names = list(DIFFERENCES)[:factors]
    target = base.replace(DIFFERENCES | {"network.activation": "relu"})
    spec = StudySpec(
        "made", "notes", "book", 3, tuple(names),
        tuned="training.learning_rate" if tuned else "", claim=Claim(0.7012),
        command="python src/explain.py notes book --study made",
    )  # fmt: skip
    own = results(spec, Factorial.between(base, target, names, 3))
    if not tuned:
        return own, None
    rest = [name for name in names if name != "training.learning_rate"]
    at_values = []
    for number, value in enumerate(VALUES):
        same = {"training.learning_rate": value, "data.validation": 100}
        factorial = Factorial.between(base.replace(same), target.replace(same), rest, 3)
        at_values.append(results(spec, factorial, shift=0.1 * number))
    return own, Tuned("training.learning_rate", tuple(at_values))


def results(spec: StudySpec, factorial: Factorial, shift: float = 0.0) -> StudyResults:
    rng = np.random.default_rng(0)
    found = {}
    for number, run in enumerate(factorial.runs()):
        accuracy = 0.2 + shift + 0.2 * sum(run[0]) + rng.normal(0, 0.01)
        metrics = dict.fromkeys(
            ("test_accuracy", "train_accuracy", "validation_accuracy"), accuracy
        ) | {"loss": 1 - accuracy, "symptom/saturated_1": 0.5, "symptom/gradient_norm_1": 2.0}
        tags = {"diagnostic.first_loss": "2.3", "diagnostic.never_predicted": "3 5"}
        run_id = f"{number:08x}{0:024x}"
        status = "FINISHED"
        if number == 2:
            status, tags = "FAILED", tags | {"failure": "the loss is nan"} | DIVERGED
        series = {
            "test_accuracy": [accuracy / 2, accuracy], "symptom/saturated_1": [0.25, 0.5],
            "symptom/gradient_norm_1": [1.0, 2.0],
        }  # fmt: skip
        found[run] = RecordedRun(
            run_id, status, url=ADDRESS + run_id, tags=tags, metrics=metrics, series=series
        )
    return StudyResults(spec, factorial, found)


def sweep(values: Mapping[str, list[str]], **tags: str) -> SweepTable:
    """A sweep over all combinations of these values; every run finished, 0.5 and then 0.75."""
    given = {key: format_value(value) for key, value in Settings().flat().items()}
    metrics = {
        "test_accuracy": 0.75, "train_accuracy": 0.8, "loss": 0.5, "symptom/saturated_1": 0.25
    }  # fmt: skip
    runs = []
    for number, combination in enumerate(product(*values.values())):
        run_id = f"{number:08x}{0:024x}"
        runs.append(
            RecordedRun(
                run_id, "FINISHED", "run", url=ADDRESS + run_id,
                params=given | dict(zip(values, combination, strict=True)),
                tags={"recipe": "made", "mlflow.source.name": "train.py -m made"} | tags,
                metrics=metrics, series={"test_accuracy": (0.5, 0.75)},
            )
        )  # fmt: skip
    return SweepTable.of("20260101-000000-made", runs, {"book": Settings()})


class Attributes(HTMLParser):
    """The names of all attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {name for name, _ in attrs}


def diverged(table: SweepTable, number: int) -> SweepTable:
    """The same sweep, in which one run diverged."""
    runs = list(table.runs)
    failure = {"failure": "DivergedError: the loss became nan"} | DIVERGED
    runs[number] = replace(
        runs[number], status="FAILED", metrics={}, series={}, tags={**runs[number].tags, **failure}
    )
    return replace(table, runs=runs)
