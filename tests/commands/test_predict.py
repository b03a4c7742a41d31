"""predict.py as a process: what it prints, its JSON, and what it refuses."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from support import Answer, artifacts_of, load_model, runs_in

from sgdprobe import tracking
from sgdprobe.commands.pictures import Picture
from sgdprobe.commands.predict import Classifier, beside
from sgdprobe.config.settings import Settings
from sgdprobe.data import load
from sgdprobe.errors import UserError
from sgdprobe.nn.foreign import foreign_hash
from sgdprobe.tracking import RecordedRun

if TYPE_CHECKING:
    pass

COUNT = 20  # test images as files


@pytest.fixture(scope="module")
def uri(train: Callable[..., Answer], new_store: Callable[[], str]) -> str:
    """A store with a run, and one that diverged."""
    uri = new_store()
    words = ("data.scale=standard", "training.iterations=60", f"tracking.uri={uri}")
    assert train("book", *words).returncode == 0
    diverges = ("training.learning_rate=1e30", "training.batch_size=600", f"tracking.uri={uri}")
    assert train("network.activation=relu", *diverges).returncode == 1
    return uri


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """The first test images as pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    images = load("mnist", str(digits)).test_images[:COUNT].reshape(-1, 28, 28)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    (folder / "text.png").write_text("a text")
    return folder


@pytest.fixture(scope="module")
def answers(uri: str, folder: Path, run_commands: Callable[..., list[Answer]]) -> dict[str, Answer]:
    run, diverged = (run.info.run_id for run in runs_in(uri))
    files = [str(folder / f"{number:02}.png") for number in range(COUNT)]
    commands = {
        "json": [run, *files, "--json"],
        "text": [run[:8], files[0]],
        "diverged": [diverged, files[0]],
        "no picture": ["--uri", uri, run, files[0], str(folder / "text.png")],
        "missing": [run, str(folder / "nowhere.png")],
        "no run": ["nosuch", files[0]],
        "no file": [run],
    }
    found = run_commands(
        [*commands.values()], script="src/predict.py", MLFLOW_TRACKING_URI=uri, COLUMNS="80"
    )
    return dict(zip(commands, found, strict=True))


def test_pictures_of_test_images_are_classified_as_the_test_images(
    answers: dict[str, Answer], uri: str, project: Path
) -> None:
    answer = answers["json"]
    assert answer.returncode == 0
    assert "00.png: " in answer.stderr, "all that is no JSON"
    found = json.loads(answer.stdout)
    run, _ = runs_in(uri)
    assert found["run_id"] == run.info.run_id
    model = load_model(str(artifacts_of(project, run) / "model"))
    pixels = np.array([picture["pixels"] for picture in found["pictures"]], np.uint8)
    probabilities = np.array([picture["probabilities"] for picture in found["pictures"]])
    np.testing.assert_allclose(probabilities, model.predict(pixels), rtol=1e-4)
    assert [picture["class"] for picture in found["pictures"]] == [*probabilities.argmax(axis=1)]


def test_a_person_sees_the_drawing_and_the_probabilities(answers: dict[str, Answer]) -> None:
    answer = answers["text"]
    assert (answer.returncode, answer.stderr) == (0, "")
    first, *lines = answer.stdout.splitlines()
    assert first.split("/")[-1].startswith("00.png: ")
    assert "28 × 28 as the training images: used as it is" in answer.stdout
    assert max(map(len, lines)) <= 80
    assert sum("█" in line[:30] for line in lines) > 5, answer.stdout
    rows = [line[30:].split()[:3] for line in lines if "%" in line[30:]]
    assert [row[0] for row in rows] == [str(k) for k in range(10)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("diverged", " has no weights to classify with: it is diverged\n"),
        ("no picture", "text.png is no picture of a known kind"),
        ("missing", "nowhere.png can't be read: No such file or directory"),
        ("no run", "nosuch: no such run; the newest are "),
        ("no file", "PICTURE"),
    ],
)
def test_refusals(answers: dict[str, Answer], name: str, message: str) -> None:
    answer = answers[name]
    assert (answer.returncode, answer.stdout) == (2, "")
    assert message in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_narrow_terminal_gets_the_probabilities_below(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Picture(Path("x"), np.full((28, 28), 255, np.uint8), ())
    y = np.array([0.25, 0.75])
    monkeypatch.setenv("COLUMNS", "40")
    below = beside(picture, y)
    assert len(below) == 16
    assert max(map(len, below)) <= 40
    monkeypatch.setenv("COLUMNS", "80")
    assert len(beside(picture, y)) == 14


def record(run_id: str, **files: Any) -> tuple[RecordedRun, dict[str, Any]]:
    """A run, and what it recorded: a network of 2 × 2 pixels in two classes."""
    recorded = {
        "settings.yaml": Settings().replace({"network.hidden": []}),
        "provenance.json": {"seen": {"factor": 1.0, "offset": 0.0}},
        "weights.npz": {"W1": np.eye(4, 2), "b1": np.zeros(2)},
    }
    return RecordedRun(run_id, "FINISHED", "one"), recorded | files


def classifier(
    monkeypatch: pytest.MonkeyPatch, run: RecordedRun, files: dict[str, Any]
) -> Classifier:
    monkeypatch.setattr(tracking, "recorded_files", lambda *_: files, raising=False)
    return Classifier.of("sqlite:////x.db", run)


def test_a_run_of_an_older_version_has_square_images(monkeypatch: pytest.MonkeyPatch) -> None:
    run, files = record("1")
    found = classifier(monkeypatch, run, files)
    assert (found.kind.height, found.kind.width) == (2, 2)
    found = classifier(monkeypatch, run, files | {"diagnostics.json": {"images": KIND}})
    assert (found.kind.height, found.kind.width, found.kind.border) == (1, 4, 200.0)


KIND = {"height": 1, "width": 4, "border": 200.0}


def test_records_from_which_nothing_can_be_classified(monkeypatch: pytest.MonkeyPatch) -> None:
    run, files = record("1")
    for other, message in (
        ({"weights.npz": {"W1": np.eye(3, 2), "b1": np.zeros(2)}}, "size of its images of 3 pixel"),
        ({"provenance.json": {"seen": {}}}, "does not record how pixels were scaled"),
    ):
        with pytest.raises(UserError, match=message):
            classifier(monkeypatch, run, files | other)


def test_a_loop_of_ones_own_has_a_network_that_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, files = record("1")
    with pytest.raises(UserError, match="a loop of your own"):
        classifier(monkeypatch, replace(run, tags={"own_loop": "mine.py"}), files)


def test_an_activation_that_was_changed_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "own.py"
    own.write_text("def twice(a):\n    return 2 * a\n")
    name = f"{own}:twice"
    run, files = record("1")
    files["settings.yaml"] = Settings().replace({"network.activation": name})
    files["provenance.json"] |= {"foreign": {name: foreign_hash(name)}}
    assert classifier(monkeypatch, run, files).network.depth == 1
    own.write_text("def twice(a):\n    return 3 * a\n")
    with pytest.raises(UserError, match="twice has changed since this run"):
        classifier(monkeypatch, run, files)
