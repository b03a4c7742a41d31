"""What is said before training: each warning where it must speak, and where it must be silent."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.provenance.environment import Environment
from sgdprobe.rules import Evidence, findings
from sgdprobe.run.build import load_data
from sgdprobe.run.setup import TrainingSetup

if TYPE_CHECKING:
    from mlflow.entities import Run

NOTES = {
    "dtype": "float64",
    "data.scale": "none",
    "network.hidden": [50, 100],
    "network.softmax_over": "batch",
    "init.scale": 1,
    "training.learning_rate": 0.01,
}
RELU = {"network.activation": "relu", "network.hidden": [50, 100]}
HE = RELU | {"init.scheme": "he", "init.scale": 1}
# So large outputs that every true class has a y of 0, where the loss is flat.
IDENTITY = {"network.activation": "identity", "network.hidden": [100] * 3, "init.scale": 1e5}
DEEP = {"network.hidden": [50] * 5}

# A warning: settings where it must speak, what it must say, settings where it must be silent.
CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "saturated_1": (
        NOTES,
        r"layer 1: 99\.\d % of units are saturated before the first update: "
        r"weights of scale 1 on pixels of 0\.\.255",
        NOTES | {"data.scale": "unit", "init.scale": 0.1},
    ),
    "saturated_2": (
        NOTES | {"init.scale": 10},
        r"layer 2: \d\d\.\d % of units are saturated .* weights of scale 10 on 50 inputs",
        NOTES,
    ),
    # One unit's output, never below 0, times one weight, which is below 0.
    "dead_2": (
        RELU | {"network.hidden": [1, 1], "seed": 1},
        r"layer 2: 100\.0 % of units are dead for every image",
        HE,
    ),
    "batch_softmax": (
        NOTES,
        r"softmax over the batch: the loss can't fall below ln 100 = 4\.605",
        NOTES | {"training.batch_size": 1},
    ),
    "first_loss": (
        HE | {"data.scale": "none"},
        r"loss at the start is \d+\.\d, a guess scores 2\.303",
        HE | {"data.scale": "standard"},
    ),
    "no_gradient": (IDENTITY, r"no weight has a gradient: nothing can be learned", HE),
    "vanishing_gradient": (
        DEEP,
        r"vanishes on its way back: its norm is 0\.\d+ at layer 6 and \d\.\d+e-\d\d at layer 1",
        DEEP | {"network.activation": "tanh", "init.scheme": "xavier", "init.scale": 1},
    ),
    "exploding_gradient": (
        {
            "network.activation": "tanh",
            "network.hidden": [50] * 20,
            "init.scheme": "lecun",
            "init.scale": 3,
        },
        r"explodes on its way back: its norm is \S+ at layer 21 and \S+ at layer 1",
        HE | {"data.scale": "none"},
    ),
    "learning_rate": (
        {"training.learning_rate": 100},
        r"learning rate 100: 50 trial updates raise the loss to \d+\.\d; at the start, or for a "
        r"guess, it is 2\.3",
        {"training.learning_rate": 1},
    ),
    # One layer of one unit cannot be on and off in ten ways.
    "narrow": (
        {"network.hidden": [50, 1]},
        r"a hidden layer has 1 unit, which is few to tell 10 classes apart",
        {"network.hidden": [4]},  # log2 of 10 is 3.3
    ),
    "too_short": (
        {"training.iterations": 99},
        r"99 updates: a network that learns well takes thousands",
        {"training.iterations": 100},
    ),
    "too_slow": (
        HE | {"training.learning_rate": 1e-6},
        r"learning rate 1e-06: at the pace of 50 trial updates, all 10,000 lower the loss by "
        r"0\.0\d+; a guess scores 2\.303",
        HE | {"training.learning_rate": 0.001},
    ),
}
SANE: list[dict[str, Any]] = [{}, {"network.activation": "relu"}, HE, {"network.hidden": []}]


@pytest.fixture
def warned(digits: Path) -> Callable[[dict[str, Any]], dict[str, str]]:
    """The warnings under these settings, by name."""

    def look(flat: dict[str, Any]) -> dict[str, str]:
        with Environment().single_threaded_blas():  # as in a run; else two test processes wait
            found = findings("before", begun(flat, digits))
        return {caution.name: caution.text for caution in found}

    return look


def begun(flat: dict[str, Any], root: Path) -> Evidence:
    blocks: dict[str, Any] = {"data": {"root": str(root)}}
    for key, value in flat.items():
        block, _, name = key.rpartition(".")
        (blocks.setdefault(block, {}) if block else blocks)[name] = value
    settings = Settings.from_dict(blocks)
    return TrainingSetup.of(settings, load_data(settings)).evidence()


Warned = Callable[[dict[str, Any]], dict[str, str]]


@pytest.mark.parametrize("name", CASES)
def test_speaks(warned: Warned, name: str) -> None:
    settings, text, _ = CASES[name]
    found = warned(settings)
    assert name in found
    assert re.search(text, found[name]), found[name]


@pytest.mark.parametrize("name", CASES)
def test_is_silent(warned: Warned, name: str) -> None:
    assert name not in warned(CASES[name][2])


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "adam"])
def test_too_slow_is_known_of_every_optimizer(warned: Warned, optimizer: str) -> None:
    slow, fast = (
        warned(HE | {"training.optimizer": optimizer, "training.learning_rate": rate})
        for rate in (1e-8, 0.01)
    )
    assert ([*slow], [*fast]) == (["too_slow"], [])


@pytest.mark.parametrize("settings", SANE, ids=str)
def test_nothing_is_said_of_what_learns_well(warned: Warned, settings: dict[str, Any]) -> None:
    assert warned(settings) == {}


def test_what_it_says_of_the_notes(warned: Warned) -> None:
    assert [*warned(NOTES)] == ["saturated_1", "batch_softmax", "first_loss", "large_pixels"]


@pytest.mark.parametrize("value", ["mean_squared_error", "cross_entropy"])
def test_what_is_infinite_is_said_without_a_crash(warned: Warned, value: str) -> None:
    found = warned({"init.scale": 1e300, "network.loss": value})
    assert found["first_loss"].startswith("loss at the start is nan")


def test_the_floor_under_the_other_loss(warned: Warned) -> None:
    found = warned(NOTES | {"network.loss": "mean_squared_error", "training.batch_size": 10})
    # Ten outputs of 1/10 where a 1 should be: 0.5 · (9/10)².
    assert found["batch_softmax"].endswith("can't fall below 0.405")


@pytest.mark.parametrize("rate", [1.5, 1000.0, 1e30])
def test_a_learning_rate_that_kills_relu_units_is_said(warned: Warned, rate: float) -> None:
    found = warned(HE | {"network.hidden": [100], "training.learning_rate": rate})
    assert found["learning_rate"].startswith(f"learning rate {format_value(rate)}: ")


def test_a_first_step_back_is_no_fault_of_the_learning_rate(warned: Warned) -> None:
    # It learns to 95 %: its first update raises the loss, and the next ones lower it.
    settings = {"network.hidden": [100, 100], "init.scheme": "he", "init.scale": 1}
    assert warned(settings | {"training.learning_rate": 2, "training.batch_size": 500}) == {}


def test_one_image_does_not_tell_that_units_are_dead(warned: Warned) -> None:
    for seed in range(10):
        found = warned(
            HE | {"training.batch_size": 1, "training.learning_rate": 0.01, "seed": seed}
        )
        assert not [name for name in found if name.startswith("dead")], (seed, found)


def test_a_run_prints_and_records_them_before_it_trains(
    recorded: "tuple[CompletedProcess[str], Run]",
) -> None:
    answer, run = recorded
    before = answer.stdout.partition("epoch 1/")[0].splitlines()
    tags = {k: v for k, v in run.data.tags.items() if k.startswith("preflight.")}
    assert "preflight.saturated_1" in tags
    assert before == [f"warning: {text}" for text in sorted(tags.values(), key=before_as(before))]


def before_as(lines: list[str]) -> Callable[[str], int]:
    return lambda text: lines.index(f"warning: {text}")


def test_a_sweep_counts_them(
    run_commands: Callable[..., list[CompletedProcess[str]]],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
) -> None:
    words = "-m network.softmax_over=sample,batch seed=0,1 training.iterations=100"
    uri = new_store()
    (answer,) = run_commands(
        [[*words.split(), "sweep.backend=sequential", "sweep.n_jobs=1"]], MLFLOW_TRACKING_URI=uri
    )
    assert answer.returncode == 0, answer.stderr
    assert "warning:" not in answer.stdout
    counts = "4 runs with warnings before training, in their tags: batch_softmax 2, too_slow 4"
    assert counts in answer.stdout
    tagged = [run for run in runs(uri) if "preflight.batch_softmax" in run.data.tags]
    assert {run.data.params["network.softmax_over"] for run in tagged} == {"batch"}
