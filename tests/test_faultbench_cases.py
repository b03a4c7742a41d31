"""The cases of experiments/faultbench: settings, split, faults of data, gradients."""

import csv
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from experiments.faultbench import faults, gradients  # noqa: E402
from experiments.faultbench.cases import CASES, PLANTED, Case, read_cases  # noqa: E402
from sgdprobe.config.settings import Settings  # noqa: E402
from sgdprobe.nn import Network, draw_params  # noqa: E402
from sgdprobe.nn.functions import Array, Labels  # noqa: E402

PLUGINS = "experiments/faultbench/gradients.py:"
ALL = read_cases()
HARMLESS = read_cases("harmless")


def settings_without_data(case: Case, *, faulty: bool) -> Settings:
    """The settings of a case, on the bundled data."""
    return Settings().replace({**case.twin, **(case.fault if faulty else {}), "data.root": None})


# --- The list.


def test_names_are_unique() -> None:
    names = Counter(case.id for case in (*ALL, *HARMLESS))
    both = {case.id for case in ALL} & {case.id for case in HARMLESS}
    assert both == set()
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("case", [*ALL, *HARMLESS], ids=lambda case: case.id)
def test_case_is_valid(case: Case) -> None:
    assert {case.planted, *case.also} <= {*PLANTED}
    assert case.data is None or case.data in faults.FAULTS
    healthy = settings_without_data(case, faulty=False)
    faulty = settings_without_data(case, faulty=True)
    assert (healthy != faulty) or case.data
    flat = healthy.flat()
    assert [key for key, value in case.fault.items() if flat[key] == value] == []


def test_twins_are_different_programs() -> None:
    twins = Counter(str(settings_without_data(c, faulty=False)) + str(roots(c)) for c in ALL)
    assert len(twins) >= 50
    assert [twin for twin, count in twins.items() if count > 1] == []


def roots(case: Case) -> str | None:
    root = case.twin.get("data.root")
    return None if root is None else str(root)


def test_the_split_is_by_source() -> None:
    halves: dict[str, set[str]] = {}
    for case in ALL:
        halves.setdefault(case.source, set()).add(case.half)
    assert [source for source, found in halves.items() if len(found) > 1] == []


def test_both_halves_have_all_kinds_of_fault() -> None:
    counts = Counter(case.half for case in ALL)
    assert {*counts} == {"dev", "test"}
    assert min(counts.values()) >= 24
    kinds = {half: Counter(case.planted for case in ALL if case.half == half) for half in counts}
    for half, found in kinds.items():
        assert {*found} == {*PLANTED}, half
        assert min(found.values()) >= 2, half


def test_what_is_harmless_or_left_out_says_why() -> None:
    for case in HARMLESS:
        twin, faulty = case.measured
        assert twin - faulty < 8, case.id
    rows = yaml.safe_load(CASES.read_text())["left_out"]
    assert rows
    assert all(row.keys() == {"source", "reason"} for row in rows)


def test_the_measured_accuracies_are_of_the_cases() -> None:
    with CASES.with_name("cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["id"], row["half"], row["planted"]) for row in rows] == [
        (case.id, case.half, case.planted) for case in ALL
    ]
    for row, case in zip(rows, ALL, strict=True):
        twin, faulty = float(row["twin_accuracy"]), float(row["faulty_accuracy"])
        assert twin >= (0.8 if roots(case) else 0.9), case.id
        assert twin - faulty >= 0.08, case.id


# --- Faults of data.


@pytest.fixture
def data() -> faults.Data:
    """500 training and 40 test images of ten classes; the training labels are 0, 1, … 9, 0, …"""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (540, 784), dtype=np.uint8)
    t = (np.arange(540) % 10).astype(np.uint8)
    return faults.Data(x[:500], t[:500], x[500:], t[500:])


TEST_PART = {
    *("pixels_inverted", "pixels_scaled_twice"),
    *("test_inverted", "test_scaled_twice", "test_elsewhere", "test_shifted"),
}


@pytest.mark.parametrize("fault", [name for name in faults.FAULTS if name != "test_elsewhere"])
def test_fault_is_the_same_each_time_and_leaves_the_rest(data: faults.Data, fault: str) -> None:
    one, again = (faults.faulty(data, fault) for _ in range(2))
    for mine, other, name in zip(one, again, data._fields, strict=True):
        np.testing.assert_array_equal(mine, other)
        assert mine.dtype == np.uint8, name
    assert len(one.x_train) == len(one.t_train)
    few = fault == "images_deleted"  # 5 of these 500; 200 of MNIST's
    assert one.t_train.max() == (4 if few else 9), "else there would be fewer classes"
    np.testing.assert_array_equal(one.t_test, data.t_test)
    assert np.array_equal(one.x_test, data.x_test) == (fault not in TEST_PART)
    changed = [not np.array_equal(a, b) for a, b in zip(one, data, strict=True)]
    assert any(changed)


def test_faults_of_labels(data: faults.Data) -> None:
    t = {name: faults.faulty(data, name).t_train for name in faults.FAULTS if "label" in name}
    assert np.flatnonzero(t["labels_zero"]).tolist() == [499]
    assert np.bincount(t["labels_shuffled"]).tolist() == [50] * 10
    assert np.mean(t["labels_shuffled"] == data.t_train) == pytest.approx(0.1, abs=0.05)
    assert t["labels_off_by_one"][:11].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    wrong = t["labels_noisy"] != data.t_train
    assert wrong.mean() == pytest.approx(0.4, abs=0.07)
    assert set((t["labels_noisy"] - data.t_train)[wrong].tolist()) == {1, 256 - 9}
    overlap = faults.faulty(data, "classes_overlap").t_train
    assert (overlap // 2).tolist() == (data.t_train // 2).tolist()
    assert np.mean(overlap != data.t_train) == pytest.approx(0.5, abs=0.07)


def test_faults_that_leave_images_out(data: faults.Data) -> None:
    missing = faults.faulty(data, "classes_missing")
    assert np.bincount(missing.t_train).tolist() == [0] * 4 + [50] * 6
    few = np.bincount(faults.faulty(data, "classes_unbalanced").t_train)
    assert few[5:].tolist() == [50] * 5
    assert few[:5].sum() < 10
    many = faults.Data(*(np.repeat(part, 4, axis=0) for part in data))
    assert len(faults.faulty(many, "images_deleted").x_train) == 20


def test_faults_of_pixels(data: faults.Data) -> None:
    inverted = faults.faulty(data, "pixels_inverted")
    assert (inverted.x_train[0, 0], inverted.x_test[0, 0]) == (
        255 - data.x_train[0, 0],
        255 - data.x_test[0, 0],
    )
    scaled = faults.faulty(data, "pixels_scaled_twice")
    assert np.unique(scaled.x_train).tolist() == [0, 1]
    assert (scaled.x_test == (data.x_test > 127)).all()
    for name in ("test_inverted", "test_shifted"):
        assert faults.faulty(data, name).x_train is data.x_train
    shifted = faults.faulty(data, "test_shifted").x_test.reshape(-1, 28, 28)
    assert (shifted[:, 5:, 5:] == data.x_test.reshape(-1, 28, 28)[:, :-5, :-5]).all()


def test_data_sets_of_two_numbers() -> None:
    for name, classes in (("moons", 2), ("rings", 3), ("board", 2)):
        data = faults.original(f"mlruns/faultbench/{name}.npz")
        assert [part.shape for part in data] == [(3000, 2), (3000,), (1000, 2), (1000,)]
        counts = np.bincount(data.t_train)
        assert len(counts) == classes
        assert counts.min() > 0.9 * 3000 / classes
        # No line is enough: least squares for the classes stays far below the 99 % of the twins.
        X = np.column_stack([data.x_train / 255.0, np.ones(3000)])
        W = np.linalg.lstsq(X, np.eye(classes)[data.t_train], rcond=None)[0]
        accuracy = np.mean((X @ W).argmax(axis=1) == data.t_train)
        assert accuracy < (0.9 if name == "moons" else 0.65), (name, accuracy)


def test_a_file_is_written_once_and_named_after_the_data(tmp_path: Path) -> None:
    assert faults.data_root(None, None, tmp_path) is None
    assert faults.data_root(faults.FASHION, None, tmp_path) == faults.FASHION
    root = faults.data_root("mlruns/faultbench/moons.npz", "labels_shuffled", tmp_path)
    file = tmp_path / "moons-labels_shuffled.npz"
    assert root == str(file)
    before = file.stat().st_mtime_ns
    assert faults.data_root("mlruns/faultbench/moons.npz", "labels_shuffled", tmp_path) == root
    assert file.stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "no draft is left"


def test_a_case_on_made_data_composes_with_them(tmp_path: Path) -> None:
    (case,) = (case for case in ALL if case.id == "skalski-2")
    twin, faulty = case.healthy_settings(tmp_path), case.faulty_settings(tmp_path)
    assert twin.data.root == faulty.data.root == str(tmp_path / "moons.npz")
    assert twin.network.hidden == (25, 50, 50, 25)
    assert (faulty.network.hidden, faulty.init.bias_scale) == ((4, 6, 6, 4), 0.1)


# --- Gradients and activations.

Batch = tuple[Network, Array, Labels]


@pytest.fixture(params=["sigmoid", "relu"])
def batch(request: pytest.FixtureRequest) -> Batch:
    """A network of two hidden layers, 8 examples, and their labels."""
    rng = np.random.default_rng(1)
    params = draw_params(
        rng, (6, 5, 4, 3), scheme="lecun", scale=1.0, dtype="float64", bias_scale=0.1
    )
    return Network(params, activation=request.param), rng.random((8, 6)), rng.integers(0, 3, 8)


def grads(batch: Batch, name: str) -> dict[str, Array]:
    """The gradient that a plugin of the benchmark writes; its loss is that of the network."""
    network, x, t = batch
    loss = getattr(gradients, name)(network, x, t)
    assert loss == pytest.approx(network.loss(x, t))
    return {key: values.copy() for key, values in network.grads.items()}


def right(batch: Batch) -> dict[str, Array]:
    network, x, t = batch
    network.gradient(x, t)
    return {key: values.copy() for key, values in network.grads.items()}


def test_flipped_sign_and_missing_mean_are_multiples(batch: Batch) -> None:
    for key, values in right(batch).items():
        np.testing.assert_array_equal(grads(batch, "flipped_sign")[key], -values)
        np.testing.assert_allclose(grads(batch, "without_mean")[key], 8 * values)


def test_mistakes_in_the_biases_leave_the_weights(batch: Batch) -> None:
    expected, summed, none = (
        right(batch),
        *(grads(batch, name) for name in ("summed_biases", "without_biases")),
    )
    for key, values in expected.items():
        if key.startswith("W"):
            np.testing.assert_array_equal(summed[key], values)
            np.testing.assert_array_equal(none[key], values)
        else:
            np.testing.assert_allclose(summed[key], values.sum(), atol=1e-15)
            assert not none[key].any()


def test_last_layer_only_and_reshaped(batch: Batch) -> None:
    expected, last, reshaped = (
        right(batch),
        *(grads(batch, name) for name in ("last_layer_only", "reshaped")),
    )
    for key, values in expected.items():
        np.testing.assert_array_equal(last[key], values if key.endswith("3") else 0 * values)
    np.testing.assert_array_equal(reshaped["b1"], expected["b1"])
    np.testing.assert_array_equal(reshaped["W1"].ravel(), expected["W1"].T.ravel())


def test_without_slopes_is_the_gradient_of_linear_layers(batch: Batch) -> None:
    network, x, t = batch
    expected, found = right(batch), grads(batch, "without_slopes")
    np.testing.assert_array_equal(found["W3"], expected["W3"])
    # By hand: dL/da3 = (y - t) / n, sent back through W3.T and W2.T alone. The loss takes the log
    # of y + 1e-7, which is the sixth digit.
    dout = (network.forward(x) - np.eye(3)[t]) / 8
    dout = dout @ network.params["W3"].T
    np.testing.assert_allclose(found["b2"], dout.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["W1"], x.T @ (dout @ network.params["W2"].T), rtol=1e-5)


def test_activations() -> None:
    a = np.array([[0.0, 0.0], [0.0, np.log(3)]])
    np.testing.assert_allclose(gradients.hidden_softmax(a), [[0.5, 0.5], [0.25, 0.75]])
    np.testing.assert_allclose(
        gradients.hidden_softmax_derivative(a), [[0.25, 0.25], [0.1875, 0.1875]]
    )
    assert gradients.step(np.array([-1.0, 0.0, 2.0])).tolist() == [0, 0, 1]
    assert not gradients.step_derivative(a).any()


@pytest.mark.parametrize("name", ["hidden_softmax", "step"])
def test_activation_can_be_named_in_a_setting(name: str) -> None:
    settings = Settings.from_dict({"network": {"activation": PLUGINS + name}})
    assert list(settings.foreign()) == [PLUGINS + name]
