"""One run: the same numbers every time, its length, and how it ends when it can't go on."""

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import Points, Process

if TYPE_CHECKING:
    from mlflow.entities import Run

# The defaults of these tests are batches of 128 of 600 images, so 5 updates an epoch, and 12
# updates: epochs of 5, 5 and 2.
COMMANDS = {
    "again": "notes",
    "other seed": "notes seed=1",
    "epochs": "training.iterations=null training.epochs=2",
    "no hidden layer": "network.hidden=[] training.iterations=10",
    "one batch an epoch": "training.batch_size=600 training.iterations=2",
    "permutation": "training.sampling=permutation training.iterations=11",
    "validation": "data.validation=100 training.batch_size=100 training.iterations=6",
    # Each epoch is one update. The first one throws the weights so far that the second pass
    # overflows.
    "diverging": "network.activation=relu training.learning_rate=1e30 training.batch_size=600",
    "infinite from the start": "init.scale=1e300",
}


@dataclass(frozen=True)
class Recorded:
    """A command's answer, and what it recorded."""

    answer: CompletedProcess[str]
    run: "Run"
    points: Points
    artifacts: Path

    def steps(self, metric: str) -> list[int]:
        return [step for step, _ in self.points[metric]]


@pytest.fixture(scope="module")
def results(
    run_commands: Callable[..., list[CompletedProcess[str]]],
    runs: "Callable[[str], list[Run]]",
    points: "Callable[[str, Run], Points]",
    artifacts: "Callable[[Run], Path]",
    new_store: Callable[[], str],
) -> dict[str, Recorded]:
    uri = new_store()
    answers = run_commands([line.split() for line in COMMANDS.values()], MLFLOW_TRACKING_URI=uri)
    recorded = {run.info.run_id: run for run in runs(uri)}
    result = {}
    for name, answer in zip(COMMANDS, answers, strict=True):
        (run,) = [run for run_id, run in recorded.items() if run_id in answer.stdout]
        result[name] = Recorded(answer, run, points(uri, run), artifacts(run))
    return result


def weights(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "weights.npz") as content:
        return dict(content)


def test_the_same_command_twice_gives_the_same_bits(
    results: dict[str, Recorded],
    recorded: "tuple[CompletedProcess[str], Run]",
    project: Path,
    points: "Callable[[str, Run], Points]",
    artifacts: "Callable[[Run], Path]",
) -> None:
    _, first = recorded
    again = results["again"]
    assert points(f"sqlite:///{project / 'mlflow.db'}", first) == again.points
    one, two = weights(artifacts(first)), weights(again.artifacts)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_another_seed_gives_other_weights(results: dict[str, Recorded]) -> None:
    one, two = weights(results["again"].artifacts), weights(results["other seed"].artifacts)
    assert not np.array_equal(one["W1"], two["W1"])


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("again", [1, 2, 3]),  # 12 updates: the third epoch is a part of one
        ("epochs", [1, 2]),
        ("no hidden layer", [1, 2]),  # 10 updates end with the second epoch
        ("one batch an epoch", [1, 2]),
        ("permutation", [1, 2, 3]),
        ("validation", [1, 2]),  # 500 images are left, 5 batches of 100
    ],
)
def test_length(results: dict[str, Recorded], name: str, epochs: Sequence[int]) -> None:
    one = results[name]
    assert (one.answer.returncode, one.answer.stderr) == (0, "")
    assert one.run.info.status == "FINISHED"
    assert {metric: one.steps(metric) for metric in one.points} == dict.fromkeys(one.points, epochs)
    assert [f"epoch {n}/{len(epochs)}  " in one.answer.stdout for n in epochs] == [True] * len(
        epochs
    )


def test_diagnostics_are_those_of_the_recorded_losses_and_accuracy(
    results: dict[str, Recorded],
) -> None:
    run, folder = results["again"].run, results["again"].artifacts
    with np.load(folder / "losses.npz") as content:
        assert float(run.data.tags["diagnostic.first_loss"]) == content["loss"][0]
    counts = np.array(json.loads((folder / "diagnostics.json").read_text())["confusion_matrix"])
    assert counts.shape == (10, 10)
    assert counts.sum() == 200
    assert np.trace(counts) / 200 == run.data.metrics["test_accuracy"]
    never = " ".join(map(str, np.flatnonzero(counts.sum(axis=0) == 0))) or "none"
    assert run.data.tags["diagnostic.never_predicted"] == never


def test_a_run_that_diverges_has_the_diagnostics_of_its_start(results: dict[str, Recorded]) -> None:
    tags = results["diverging"].run.data.tags
    assert float(tags["diagnostic.first_loss"]) > 0
    assert "diagnostic.never_predicted" not in tags
    assert not any(
        t.startswith("diagnostic.") for t in results["infinite from the start"].run.data.tags
    )
    found = json.loads((results["diverging"].artifacts / "diagnostics.json").read_text())
    assert sorted(found) == ["images", "start"]
    assert not (results["diverging"].artifacts / "model").exists()


def test_a_finished_run_has_diagnostics_to_draw(results: dict[str, Recorded]) -> None:
    found = json.loads((results["no hidden layer"].artifacts / "diagnostics.json").read_text())
    assert found["images"] == {"height": 28, "width": 28, "border": 0.0}
    assert [[*layer] for layer in found["end"]] == [["gradient"]]
    found = json.loads((results["again"].artifacts / "diagnostics.json").read_text())
    assert [sorted(layer) for layer in found["start"]] == [
        ["activation", "gradient"], ["activation", "gradient"], ["gradient"],
    ]  # fmt: skip
    wrong = found["most_wrong"]
    counts = np.array(found["confusion_matrix"])
    assert len(wrong["images"]) == min(25, counts.sum() - np.trace(counts))
    assert wrong["probabilities"] == sorted(wrong["probabilities"], reverse=True)


def test_validation_accuracy_only_where_images_are_held_out(results: dict[str, Recorded]) -> None:
    with_it = {name for name, one in results.items() if "validation_accuracy" in one.points}
    assert with_it == {"validation"}


@pytest.mark.parametrize(
    ("name", "reason", "epochs"),
    [
        ("diverging", "DivergedError: the loss became nan at update 2, in epoch 2", [1]),
        (
            "infinite from the start",
            "DivergedError: the loss became nan at update 1, in epoch 1",
            [],
        ),
    ],
)
def test_a_run_that_diverges(
    results: dict[str, Recorded], name: str, reason: str, epochs: list[int]
) -> None:
    one = results[name]
    assert one.run.info.status == "FAILED"
    assert one.run.data.tags["failure"] == reason
    assert one.answer.returncode == 1
    assert f"{reason}\n" in one.answer.stdout
    kept = [one.steps(metric) for metric in ("loss", "test_accuracy") if metric in one.points]
    assert kept == [epochs, epochs] if epochs else kept == []
    trace = (one.artifacts / "traceback.txt").read_text()
    assert trace.startswith("Traceback")
    assert reason.partition(" ")[2] in trace
    assert not (one.artifacts / "weights.npz").exists()


@pytest.mark.parametrize(
    "name",
    [
        "diverging",  # its weights are still finite after an epoch, but their products are not
        "infinite from the start",
    ],
)
def test_a_run_that_diverges_leaves_no_noise(results: dict[str, Recorded], name: str) -> None:
    # NumPy's warnings of overflow on the way there would say less than the reason does.
    assert results[name].answer.stderr == ""


ENDLESS = ("training.iterations=1000000", "tracking.experiment=endless")


@pytest.fixture(scope="module")
def stopped(
    start: Callable[..., Process],
    train: Callable[..., CompletedProcess[str]],
    runs: "Callable[[str], list[Run]]",
    new_store: Callable[[], str],
) -> tuple[dict[str, tuple[CompletedProcess[str], "Run"]], dict[str, str]]:
    """Three endless runs, each stopped by its signal; and their states before the last one is.

    While that goes on, a short command is typed.
    """
    uri = new_store()
    kinds = {"SIGKILL": signal.SIGKILL, "SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
    processes = {
        name: start(*ENDLESS, f"seed={seed}", MLFLOW_TRACKING_URI=uri)
        for seed, name in enumerate(kinds)
    }
    for process in processes.values():
        process.wait_for("epoch")
    answers = {}

    def stop(name: str) -> None:
        processes[name].send(kinds[name])
        answers[name] = processes[name].answer()

    def by_seed() -> dict[str, "Run"]:
        return {run.data.tags["seed"]: run for run in runs(uri)}

    stop("SIGKILL")
    stop("SIGINT")
    next_one = train("seed=9", "tracking.experiment=endless", MLFLOW_TRACKING_URI=uri)
    assert next_one.returncode == 0, next_one.stderr
    between = {seed: run.info.status for seed, run in by_seed().items()}
    stop("SIGTERM")
    found = by_seed()
    ends = {name: (answers[name], found[str(seed)]) for seed, name in enumerate(kinds)}
    return ends, between


Stopped = tuple[dict[str, tuple[CompletedProcess[str], "Run"]], dict[str, str]]


def test_the_next_command_marks_what_was_killed_and_leaves_what_lives(stopped: Stopped) -> None:
    _, between = stopped
    assert between == {"0": "KILLED", "1": "KILLED", "2": "RUNNING", "9": "FINISHED"}


@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 128 + signal.SIGINT), ("SIGTERM", 128 + signal.SIGTERM)]
)
def test_a_run_that_is_stopped_says_so_itself(stopped: Stopped, name: str, code: int) -> None:
    answer, run = stopped[0][name]
    assert run.info.status == "KILLED"
    assert run.info.end_time is not None
    assert run.data.tags["failure"]
    assert answer.returncode == code
    assert "Traceback" not in answer.stderr
    assert answer.stderr.count("\n") <= 1


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_what_was_recorded_before_stays(stopped: Stopped, name: str) -> None:
    _, run = stopped[0][name]
    assert {"loss", "train_accuracy", "test_accuracy"} <= set(run.data.metrics)
