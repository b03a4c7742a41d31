"""The MLflow model of a run: loaded, asked and served as any other, the same answers as our own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import Answer, artifacts_of, free_port, load_model, runs_in, wait_until

from sgdprobe import tracking
from sgdprobe.config.settings import Settings
from sgdprobe.data import load
from sgdprobe.nn import OUTPUTS, Network
from sgdprobe.tracking.model import write_model

if TYPE_CHECKING:
    from mlflow.entities import Run

pytestmark = pytest.mark.slow
OK = 200
SWISH = """import numpy as np

def swish(a):
    return a / (1 + np.exp(-a))

def swish_derivative(a):
    s = 1 / (1 + np.exp(-a))
    return s + a * s * (1 - s)
"""


def small_network(folder: Path, settings: Settings, factor: float, offset: float) -> Network:
    """A random network for images of 3 × 2 pixels in 4 classes; its folder `model` is written."""
    rng = np.random.default_rng(0)
    sizes = (6, 5, 4)
    params = {
        name: array.astype(settings.dtype)
        for k in (1, 2)
        for name, array in (
            (f"W{k}", rng.normal(0, 0.5, sizes[k - 1 : k + 1])),
            (f"b{k}", rng.normal(0, 0.5, sizes[k])),
        )
    }
    np.savez(folder / "weights.npz", **params)  # type: ignore[arg-type]
    facts = tracking.ModelFacts(3, 2, 4, factor, offset, np.zeros((1, 3, 2), np.uint8))
    files = tracking.model_files(settings, facts, "1")
    write_model(folder, files, folder / "weights.npz")
    network = settings.network
    return Network(
        params, activation=network.activation, output=network.output,
        softmax_over=network.softmax_over, factor=factor, offset=offset,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_model_answers_as_its_network(tmp_path: Path, output: str, dtype: str) -> None:
    own = tmp_path / "own.py"
    own.write_text(SWISH)
    activations = ["sigmoid", "relu", "tanh", "identity", f"{own}:swish"]
    for number, activation in enumerate(activations):
        changes = {"network.activation": activation, "network.output": output, "dtype": dtype}
        settings = Settings().replace(changes | {"network.softmax_over": "batch"})
        folder = tmp_path / str(number)
        folder.mkdir()
        network = small_network(folder, settings, 0.01, 0.4)
        model = load_model(str(folder / "model"))
        images = np.random.default_rng(1).integers(0, 256, (7, 3, 2), np.uint8)
        expected = network.probabilities(images.reshape(7, 6).astype(dtype))
        for given in (images, images.reshape(7, 6), images.astype(float), images.astype("f4")):
            found = model.predict(given)
            assert found.dtype == dtype
            np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=f"{activation}")
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 3)), r"must be \(n, 3, 2\) or \(n, 6\); got \(2, 3\)"),
        (np.zeros((0, 6)), r"got \(0, 6\)"),
        (np.full((1, 6), 256.0), "pixels must be 0 … 255; got 256 … 256"),
        (np.full((1, 6), np.nan), "pixels must be 0 … 255"),
        (np.array([["a"] * 6]), "could not convert string to float"),
    ],
)
def test_what_a_model_refuses(tmp_path: Path, images: np.ndarray[Any, Any], message: str) -> None:
    from mlflow.exceptions import MlflowException

    small_network(tmp_path, Settings(), 1.0, 0.0)
    model = load_model(str(tmp_path / "model"))
    with pytest.raises(MlflowException, match=message):
        model.predict(images)
    with pytest.warns(UserWarning, match="no pixel is above 1"):
        model.predict(np.full((1, 6), 0.5))


def test_the_weights_take_no_space_twice(tmp_path: Path) -> None:
    small_network(tmp_path, Settings(), 1.0, 0.0)
    assert (tmp_path / "weights.npz").samefile(tmp_path / "model" / "weights.npz")
    others = [file for file in (tmp_path / "model").iterdir() if file.name != "weights.npz"]
    assert sum(file.stat().st_size for file in others) < 250_000
    assert {file.suffix for file in others} <= {"", ".py", ".json", ".txt", ".yaml"}, "no pickle"


@pytest.fixture(scope="module")
def trained(train: Callable[..., Answer], project: Path) -> "Run":
    """A run in the project's own store, whose artifacts have relative paths."""
    answer = train("book", "seed=7", "data.scale=standard")
    assert answer.returncode == 0, answer
    return runs_in(f"sqlite:///{project}/mlflow.db")[-1]


def test_a_run_of_a_moved_project_is_loaded_by_its_id(
    trained: "Run", project: Path, tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(project / "mlflow.db", moved)
    folder = artifacts_of(project, trained)
    shutil.copytree(folder, moved / folder.relative_to(project))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{moved}/mlflow.db")
    with chdir(moved):
        model = load_model(f"runs:/{trained.info.run_id}/model")
    data = load("mnist", str(digits))
    y = model.predict(data.test_images.reshape(-1, 28, 28))
    right = np.mean(y.argmax(axis=1) == data.test_labels)
    assert right == trained.data.metrics["test_accuracy"]
    assert model.metadata.signature.outputs.inputs[0].shape == (-1, 10)
    assert model.predict(model.input_example).argmax() == y[0].argmax()


def test_a_setting_turns_it_off(train: Callable[..., Answer], new_store: Callable[[], str]) -> None:
    uri = new_store()
    answer = train("book", "tracking.model=false", f"tracking.uri={uri}")
    assert answer.returncode == 0, answer
    (run,) = runs_in(uri)
    folder = artifacts_of(Path("/"), run)
    assert (folder / "weights.npz").is_file()
    assert not (folder / "model").exists()


@pytest.fixture
def port(trained: "Run", project: Path, environment: dict[str, str]) -> Iterator[int]:
    """The port at which `mlflow models serve` answers for the trained run."""
    number = free_port()
    uri = f"runs:/{trained.info.run_id}/model"
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"  # for uvicorn
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", uri),
            *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(number)),
        ],
        cwd=project,
        env=environment | {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def answers() -> bool:
        assert process.poll() is None, "the server ended"
        try:
            return ask(number, "GET", "/ping")[0] == OK
        except (OSError, HTTPException):
            return False

    try:
        wait_until(answers, "the model's server", every=0.2)
        yield number
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_served_model_answers_over_http(port: int, trained: "Run", project: Path) -> None:
    folder = artifacts_of(project, trained) / "model"
    model = load_model(str(folder))
    body = (folder / "serving_input_example.json").read_text()
    status, text = ask(port, "POST", "/invocations", body)
    assert status == OK, text
    found = json.loads(text)["predictions"]
    np.testing.assert_allclose(found, model.predict(model.input_example), rtol=1e-5)
    status, text = ask(port, "POST", "/invocations", json.dumps({"inputs": [[0] * 784] * 2}))
    assert (status, len(json.loads(text)["predictions"])) == (OK, 2)
    status, text = ask(port, "POST", "/invocations", json.dumps({"inputs": [[0] * 3]}))
    assert status == 400
    assert "images must be (n, 28, 28) or (n, 784); got (1, 3)" in text
