"""Each rule that a diagnosis asks, where it must speak and where it must be silent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.nn import EpochMetrics
from sgdprobe.provenance.environment import Environment
from sgdprobe.rules import FAULTS, RULES, Evidence, Finding, findings
from sgdprobe.rules.course import Course
from sgdprobe.run.build import load_data
from sgdprobe.run.setup import TrainingSetup

RELU = {"network.activation": "relu", "init.scheme": "he", "init.scale": 1.0}
SIGN = "import numpy as np\n\ndef wrong(network, x, t):\n    loss = network.gradient(x, t)\n"


def evidence(root: Path, flat: Mapping[str, Any]) -> Evidence:
    settings = Settings().replace({"data.root": str(root), **flat})
    return TrainingSetup.of(settings, load_data(settings)).evidence()


def found_before(root: Path, flat: Mapping[str, Any]) -> dict[str, Finding]:
    e = evidence(root, flat)
    with Environment().single_threaded_blas():  # as in a run; else two test processes wait
        return {f.name: f for f in [*findings("before", e), *findings("diagnosis", e)]}


def save(folder: Path, **changed: Any) -> Path:
    """Write data of 1,200 images that are easy to tell apart: a bright row for each class."""
    rng = np.random.default_rng(0)
    t = np.arange(1200) % 10
    x = rng.integers(0, 60, (1200, 10, 10))
    x[np.arange(1200), t] += 150
    data = {
        "x_train": x[:1000],
        "t_train": t[:1000],
        "x_test": x[1000:],
        "t_test": t[1000:],
    } | changed
    file = folder / "data.npz"
    arrays: Any = {name: np.asarray(values, np.uint8) for name, values in data.items()}
    np.savez(file, **arrays)
    return file


T = np.arange(1000) % 10
SHUFFLED = np.random.default_rng(1).permutation(T)
NOISY = np.where(np.random.default_rng(2).random(1000) < 0.4, SHUFFLED, T)
RARE = np.where((T == 3) & (np.arange(1000) > 50), 4, T)

# A rule about data: what makes it speak, its fault, and part of its sentence.
DATA_CASES = {
    "one_label": (
        {"t_train": np.zeros(1000), "t_test": np.zeros(200)},
        "labels",
        "all 1,000 training images have the label 0",
    ),
    "rare_class": ({"t_train": RARE}, "classes", "of the 1,000 training images: 3 (5)"),
    "unrelated_labels": ({"t_train": SHUFFLED}, "labels", "the largest class has 10 %"),
    "noisy_labels": ({"t_train": NOISY}, "labels", "a vote of 15 in"),
    "different_sources": (
        {"x_test": np.random.default_rng(3).integers(0, 255, (200, 10, 10))},
        "train_test",
        "100 % of training images held out",
    ),
}


@pytest.mark.parametrize("name", DATA_CASES)
def test_a_rule_of_data_speaks(tmp_path: Path, name: str) -> None:
    changed, fault, text = DATA_CASES[name]
    found = found_before(save(tmp_path, **changed), {})
    assert name in found
    assert found[name].fault == fault
    assert text in found[name].text


def test_nothing_is_said_of_good_data(tmp_path: Path) -> None:
    found = found_before(save(tmp_path), RELU)
    assert not set(found) & {name for name, rule in RULES.items() if rule.conclusive}, found


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        (lambda x: x // 200, "small_pixels"),
        (lambda x: 255 - x, "bright_pixels"),
    ],
)
def test_pixels(tmp_path: Path, changed: Any, name: str) -> None:
    with np.load(save(tmp_path)) as data:
        pair = {part: changed(data[part]) for part in ("x_train", "x_test")}
    assert name in found_before(save(tmp_path, **pair), {})


# A rule about network and training: settings where it speaks, its fault, where it is silent.
CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "limited_output": ({"network.output": "softmax_softmax"}, "output", {}),
    "no_softmax": (
        RELU | {"network.output": "identity"},
        "output",
        RELU | {"network.output": "identity", "network.loss": "mean_squared_error"},
    ),
    "symmetric_1": (RELU | {"init.scale": 0.0}, "weights", RELU),
    "ignores_input": (RELU | {"init.scale": 0.0}, "weights", RELU),
    "large_steps": (
        RELU | {"training.optimizer": "adam", "training.learning_rate": 1.0},
        "learning_rate_high",
        RELU,
    ),
    "decay": (RELU | {"training.weight_decay": 3.0}, "weight_decay", RELU),
    "few_images": (RELU | {"data.train_images": 100}, "few_images", RELU),
    "overfit_batch": (RELU | {"training.learning_rate": 1e-6}, "", RELU),
}


@pytest.mark.parametrize("name", CASES)
def test_speaks_and_is_silent(digits: Path, name: str) -> None:
    speaks, fault, silent = CASES[name]
    found = found_before(digits, speaks)
    assert name in found
    assert found[name].fault == fault
    assert name not in found_before(digits, silent)


def test_a_summed_loss_is_named_where_steps_are_too_large(digits: Path) -> None:
    found = found_before(digits, RELU | {"network.loss_reduction": "sum"})
    assert found["learning_rate"].fault == "loss"
    assert found["learning_rate"].repairs[0] == {"network.loss_reduction": "mean"}


@pytest.mark.parametrize(
    ("line", "is_wrong"),
    [
        ("network.grad *= -1", True),
        ("network.grads['b1'][:] = 0", True),
        ("network.grad *= 1", False),
    ],
)
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_a_wrong_gradient_is_found(
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    is_wrong: bool,
    activation: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(f"{SIGN}    {line}\n    return loss\n")
    flat = RELU | {"network.activation": activation, "training.gradient": "own.py:wrong"}
    found = found_before(digits, flat)
    assert ("gradient_check" in found) == is_wrong
    if is_wrong:
        assert found["gradient_check"].repairs[0] == {"training.gradient": "backprop"}


def epochs(
    *accuracies: float, test: float | None = None, losses: Sequence[float] | None = None
) -> list[EpochMetrics]:
    """Epochs of 10 updates with these training accuracies."""
    found = losses or [2.3] * len(accuracies)
    return [
        EpochMetrics(k, 10 * k, loss, accuracy, accuracy if test is None else test)
        for k, (accuracy, loss) in enumerate(zip(accuracies, found, strict=True), start=1)
    ]


COURSES = {
    "diverged": (Course(Settings(), [], diverged=True), "NaN or infinite after 0 whole epochs"),
    "stagnates": (Course(Settings(), epochs(0.1, 0.11)), "the loss of epoch 1 is 2.3"),
    "oscillates": (
        Course(Settings(), epochs(0.5, 0.6, 0.5, 0.6, 0.5, losses=[2, 1, 1, 1, 1])),
        "training accuracy falls in 2 of 4 epochs",
    ),
    "never_predicted": (Course(Settings(), epochs(0.9), [3, 7]), "given to: 3, 7"),
    "overfits": (
        Course(Settings(), epochs(1.0, test=0.8)),
        "accuracy 100.0 % on training images, 80.0 % on test images",
    ),
    "still_improving": (
        Course(Settings(), epochs(0.5, 0.8, losses=[2, 1])),
        "training accuracy rose by 30.0 points in the last 1 epochs",
    ),
}


@pytest.mark.parametrize("name", COURSES)
def test_a_rule_of_the_course_speaks(name: str) -> None:
    course, text = COURSES[name]
    (found,) = (one for one in findings("after", course) if one.name == name)
    assert text in found.text


def test_nothing_is_said_of_a_good_course() -> None:
    good = Course(Settings(), epochs(0.9, 0.94, 0.95, 0.955, losses=[1, 0.5, 0.3, 0.2]))
    assert findings("after", good) == []


def test_a_longer_run_is_suggested_in_the_unit_of_the_recipe() -> None:
    by_epochs = Settings().replace({"training.iterations": None, "training.epochs": 2})
    (found,) = findings("after", Course(by_epochs, epochs(0.5, 0.8, losses=[2, 1])))
    assert found.repairs[0] == {"training.epochs": 6}


def test_every_rule_says_what_it_means() -> None:
    for rule in RULES.values():
        assert rule.fault in FAULTS or rule.fault == "", rule.name
        assert rule.threshold, rule.name
        assert rule.meaning.endswith("."), rule.name
