"""Loops of the user's own in the store: symptoms by hand, endings, what commands say of them."""

import csv
import json
import math
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from support import client_of, points_of, runs_in

from sgdprobe import tracking
from sgdprobe.commands import predict, rerun
from sgdprobe.errors import UserError
from sgdprobe.nn import DivergedError
from sgdprobe.own.loop import OwnRun, gradient_symptoms, layers_of, record, slope_symptoms

PROGRAM = """
import sys
import numpy as np
from sgdprobe.own.loop import record

settings = {"learning_rate": 0.1, "width": int(sys.argv[1]), "seed": 0}
with record("mine", activation="relu", **settings) as run:
    for epoch in range(4):
        for update in range(5):
            run.update(2.0 / (1 + epoch))
        share = 0.5 + 0.1 * epoch + int(sys.argv[1]) / 1000
        run.epoch(
            train_accuracy=share,
            test_accuracy=share - 0.2,
            params={"W1": np.ones((2, 3)), "b1": np.zeros(3)},
            gradients={"W1": np.full((2, 2), 1.5), "b1": np.array([4.0, 0.0])},
            activations=[np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 0.0], [0.0, 1.0]])],
            predicted=np.arange(9),
        )
"""
Answers = list[CompletedProcess[str]]


class Tensor:
    """As much of a PyTorch tensor as is asked for."""

    def __init__(self, values: Any, grad: Any = None) -> None:
        self.values, self.grad = np.asarray(values, np.float32), grad

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> "Tensor":
        return self

    def numpy(self) -> Any:
        return self.values


class Module:
    """A torch.nn.Module of one layer that has a gradient, and one that has none."""

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        yield "0.weight", Tensor([[1.0]], grad=Tensor([[3.0]]))
        yield "0.bias", Tensor([1.0], grad=Tensor([4.0]))
        yield "2.weight", Tensor([[1.0]])


# Symptoms, by hand.


def test_a_gradient_norm_is_that_of_all_arrays_of_a_layer() -> None:
    # sqrt(3² + 4²) = 5 and sqrt(1 + 4 + 4) = 3.
    grads = {"W2": [[3.0]], "b2": [4.0], "W1": [[1.0, 2.0]], "b1": [2.0]}
    assert gradient_symptoms(grads) == {"gradient_norm_1": 3.0, "gradient_norm_2": 5.0}
    assert gradient_symptoms({n: p.grad for n, p in Module().named_parameters() if p.grad}) == {
        "gradient_norm_1": 5.0
    }


def test_saturated_and_dead_are_those_of_the_slopes() -> None:
    # h (1 - h) is under 0.0025 for 0.999 and 0.001 alone: 2 of 4.
    assert slope_symptoms([[[0.999, 0.5], [0.001, 0.9]]], "sigmoid") == {
        "saturated_1": 0.5, "dead_1": 0.0,
    }  # fmt: skip
    # The first unit is 0 for both examples: dead; the second for one of them.
    assert slope_symptoms([Tensor([[0, 1], [0, 0]])], "relu") == {
        "saturated_1": 0.75, "dead_1": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["W1", "b1", "W2"], [1, 1, 2]),
        (["W10", "b10", "W2"], [2, 2, 1]),
        (["0.weight", "0.bias", "2.weight"], [1, 1, 2]),
        (["fc1.weight", "out.weight"], [1, 2]),
    ],
)
def test_the_layer_of_a_name(names: list[str], layers: list[int]) -> None:
    assert list(layers_of(names).values()) == layers


# Runs, in a store.


@pytest.fixture(scope="module")
def uri(new_store: Callable[[], str]) -> str:
    return new_store()


@pytest.fixture(scope="module")
def programs(
    uri: str, run_commands: Callable[..., Answers], tmp_path_factory: pytest.TempPathFactory
) -> Answers:
    """The program with two widths, the first twice; a run of sgdprobe's; commands about them."""
    folder = tmp_path_factory.mktemp("loop")
    (folder / "mine.py").write_text(PROGRAM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        for width in ("10", "20", "10"):
            patch.setattr(sys, "argv", ["mine.py", width])
            runpy.run_path(str(folder / "mine.py"))
    first, options = runs_in(uri)[0].info.run_id, {"MLFLOW_TRACKING_URI": uri}
    return [
        *run_commands([["book", "tracking.experiment=mine"]], **options),
        *run_commands([["mine"], [first]], script="src/report.py", **options),
        *run_commands([[first, "last", "--json"]], script="src/compare.py", **options),
    ]


def test_a_loop_is_recorded_like_any_run(programs: Answers, uri: str) -> None:
    assert [answer.returncode for answer in programs] == [0] * 4, programs
    run = runs_in(uri)[0]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "lr=0.1 width=10 relu seed=0"
    assert run.data.params == {
        "training.learning_rate": "0.1", "width": "10", "network.activation": "relu", "seed": "0",
    }  # fmt: skip
    points = points_of(uri, run)
    assert points["loss"] == [(1, 2.0), (2, 1.0), (3, 2 / 3), (4, 0.5)]
    assert [value for _, value in points["test_accuracy"]] == pytest.approx(
        [0.31, 0.41, 0.51, 0.61]
    )
    # sqrt(4 · 1.5² + 4²) = 5; the first of 2 ReLU units is 0 for all 4 examples, the other for 1.
    assert points["symptom/gradient_norm_1"][-1] == (4, 5.0)
    assert points["symptom/dead_1"][-1] == (4, 0.5)
    assert points["symptom/saturated_1"][-1] == (4, 0.625)
    tags = run.data.tags
    assert (tags["recipe"], tags["own_loop"], tags["diagnostic.first_loss"]) == (
        "mine", "mine.py", "2.0",
    )  # fmt: skip
    assert tags["diagnostic.ending"] == "rising"
    assert tags["course.overfits"] == "accuracy 81.0 % on training images, 61.0 % on test images"
    assert tags["course.never_predicted"] == "classes that no test image is given to: 9"
    names = {item.path for item in client_of(uri).list_artifacts(run.info.run_id)}
    assert names == {"losses.npz", "weights.npz", "program.py"}


def test_the_experiment_opens_in_mlflow_as_others_do(programs: Answers, uri: str) -> None:
    experiment = client_of(uri).get_experiment_by_name("mine")
    assert experiment is not None
    assert [tag for tag in experiment.tags if tag.startswith("mlflow.sharedViewState.")]


def test_equal_runs_have_one_key_and_others_another(programs: Answers, uri: str) -> None:
    keys = [run.data.tags["key"] for run in runs_in(uri)]
    assert keys[0] == keys[2]
    assert len({*keys}) == 3


def test_the_page_of_the_experiment_has_both_kinds_of_runs(programs: Answers) -> None:
    answer = programs[1]
    assert (answer.returncode, answer.stderr) == (0, "")
    with (Path(answer.stdout.strip()).parent / "cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3, "a run that was made twice counts once"
    assert list(rows[0])[:4] == ["cell", "network.activation", "width", "source"]
    assert {(row["network.activation"], row["width"]) for row in rows} == {
        ("relu", "10"), ("relu", "20"), ("sigmoid", ""),
    }  # fmt: skip


def test_commands_speak_of_it_sensibly(
    programs: Answers, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, compare = programs[2:]
    assert (report.returncode, report.stderr) == (0, "")
    page = Path(report.stdout.splitlines()[-1])
    assert "loss_at_every_update" in page.read_text() or list(page.parent.glob("loss_at_every*"))
    first = runs_in(uri)[0].info.run_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    own = rf"^{first} \(lr=0.1 width=10 relu seed=0\) was trained by a loop of your own \(mine.py\)"
    with pytest.raises(UserError, match=rf"{own}: it can't be rerun$"):
        rerun.main([first])
    with pytest.raises(UserError, match=rf"{own}, not by sgdprobe$"):
        predict.main([first, "digit.png"])
    assert compare.returncode == 0, compare.stderr
    found = json.loads(compare.stdout)
    assert [run["contradictions"] for run in found["runs"]] == [[], []]
    assert found["settings"] == {
        "network.activation": ["relu", "sigmoid"], "width": ["10", "–"],
    }  # fmt: skip
    assert "training.batch_size" in found["runs"][0]["not_recorded"]
    assert found["runs"][1]["not_recorded"] == []
    assert "contradict themselves" not in compare.stderr


def one_epoch(run: OwnRun, **more: Any) -> None:
    run.epoch(**{"loss": 1.0, "train_accuracy": 0.5, "test_accuracy": 0.5} | more)


def two_epochs(uri: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    with record("diverges", uri=uri) as run:
        one_epoch(run, **first)
        one_epoch(run, **second)


def two_updates(uri: str, *losses: float) -> None:
    with record("diverges", uri=uri) as run:
        for loss in losses:
            run.update(loss)


def test_a_loss_or_weights_that_are_nan_are_a_diverged_run(uri: str) -> None:
    with pytest.raises(DivergedError, match="the loss became nan in epoch 2"):
        two_epochs(uri, {}, {"loss": Tensor(math.nan)})
    with pytest.raises(DivergedError, match="the weights b1 became infinite or NaN in epoch 1"):
        two_epochs(uri, {"params": {"W1": [1.0], "b1": [math.inf]}}, {})
    with pytest.raises(DivergedError, match="the loss became inf at update 2"):
        two_updates(uri, 1.0, math.inf)
    runs = tracking.runs_of(tracking.connect(uri), "diverges")
    assert [run.state for run in runs] == ["diverged"] * 3
    assert runs[0].tags["course.diverged"] == "NaN or infinite after 1 whole epochs"


def raise_in_block(uri: str, error: BaseException) -> None:
    with record("fails", uri=uri) as run:
        one_epoch(run, network=Module())
        raise error


def test_other_endings(uri: str) -> None:
    with pytest.raises(ZeroDivisionError):
        raise_in_block(uri, ZeroDivisionError("division by zero"))
    with pytest.raises(KeyboardInterrupt):
        raise_in_block(uri, KeyboardInterrupt())
    failed, killed = tracking.runs_of(tracking.connect(uri), "fails")
    assert (failed.state, killed.state) == ("failed", "killed")
    assert failed.metrics["symptom/gradient_norm_1"] == 5.0
    assert failed.failure is not None
    assert failed.failure.message == "ZeroDivisionError: division by zero"
    assert failed.tags["key"] != killed.tags["key"], "without a seed no run is another's equal"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train_accuracy": 70}, "train_accuracy must be between 0 and 1; got 70; divide percent"),
        ({"loss": [1.0, 2.0]}, r"loss must be one number; got \[1.0, 2.0\]"),
        ({"loss": None}, "epoch 1 has no loss: give loss=…, or each loss to run.update"),
        ({"activations": [[[1.0]]]}, "activations need record"),
    ],
)
def test_wrong_values(uri: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message), record("wrong", uri=uri) as run:
        one_epoch(run, **values)


def test_wrong_arguments() -> None:
    with pytest.raises(UserError, match=r"activation must be one of sigmoid, .*; got 'gelu'"):
        record("mine", activation="gelu")
    with pytest.raises(UserError, match="classes must be an integer of at least 2; got 1"):
        record("mine", classes=1)
    with pytest.raises(UserError, match="must be used in a with block"):
        one_epoch(record("mine"))
