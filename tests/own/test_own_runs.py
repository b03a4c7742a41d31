"""Runs with an activation, an initializer and an optimizer of the user's own, as processes."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support import runs_in

from sgdprobe import tracking
from sgdprobe.config.settings import Settings
from sgdprobe.errors import OwnFileError
from sgdprobe.nn import TrainingState
from sgdprobe.provenance.hashes import weights_hash
from sgdprobe.run.build import load_data
from sgdprobe.run.checkpoint import Checkpoint, restore, save
from sgdprobe.run.setup import TrainingSetup

OWN = """
import numpy as np

def swish(a):
    return a / (1 + np.exp(-a))

def half_he(fan_in, fan_out):
    return (1 / fan_in) ** 0.5

def heavy_ball(theta, grad, learning_rate, momentum, state):
    state["t"] = state.get("t", 0) + 1
    state["v"] = momentum * state.get("v", np.zeros_like(theta)) - learning_rate * grad
    theta += state["v"]
"""
WORDS = [
    "network.activation=own:swish",
    "init.scheme=own.py:half_he",
    "init.scale=1",
    "training.optimizer=own.py:heavy_ball",
    "training.learning_rate=0.01",
]
Answers = list[CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(OWN)
    return folder


@pytest.fixture(scope="module")
def uri(new_store: Callable[[], str]) -> str:
    return new_store()


def test_a_sweep_in_workers_is_rerun_to_the_same_bits(
    folder: Path, uri: str, run_commands: Callable[..., Answers]
) -> None:
    at = [*WORDS, "-m", "seed=0,1", "sweep.n_jobs=2"]
    options = {"cwd": folder, "MLFLOW_TRACKING_URI": uri}
    (first,) = run_commands([at], **options)
    assert first.returncode == 0, first.stdout + first.stderr
    (rerun,) = run_commands([["last"]], script="src/rerun.py", **options)
    assert rerun.returncode == 0, rerun.stdout + rerun.stderr
    assert "IDENTICAL: all " in rerun.stdout
    (folder / "own.py").write_text(OWN.replace("1 / fan_in", "4 / fan_in"))
    (differs,) = run_commands([["last"]], script="src/rerun.py", **options)
    (folder / "own.py").write_text(OWN)
    assert differs.returncode == 1
    assert "1. file of own" in differs.stdout, differs.stdout


def test_a_checkpoint_of_an_own_optimizer_resumes_to_the_same_bits(
    folder: Path, digits: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder)
    settings = Settings.from_dict(
        {
            "data": {"root": str(digits)},
            "training": {
                "optimizer": "own.py:heavy_ball",
                "iterations": 9,
                "learning_rate": 0.01,
            },
        }
    )
    data = load_data(settings)
    whole, file = TrainingSetup.of(settings, data), tmp_path / "checkpoint"

    def keep(state: TrainingState) -> None:
        if state.updates == 4:
            save(file, Checkpoint("abc", state, [], {}))

    assert len(list(whole.train(on_update=keep))) == 2
    resumed = TrainingSetup.of(settings, data)
    found = restore(file, {}, resumed)
    assert found is not None
    assert sorted(found.state.optimizer) == ["t", "v"]
    assert found.state.optimizer["t"] == 4
    list(resumed.train(found.state))
    assert weights_hash(resumed.network.params) == weights_hash(whole.network.params)


def test_nothing_is_written_for_a_wrong_derivative(
    tmp_path: Path, project: Path, train: Callable[..., CompletedProcess[str]]
) -> None:
    text = OWN + "\n\ndef swish_derivative(a):\n    return 1 / (1 + np.exp(-a))\n"
    (tmp_path / "own.py").write_text(text)
    store = tmp_path / "store" / "runs.db"
    answer = train("network.activation=own.py:swish", f"tracking.uri=sqlite:///{store}",
                   cwd=tmp_path)  # fmt: skip
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("\n") == 1
    # The slope of a / (1 + exp(-a)) is off by a s (1 - s), most where a = 1.54 or -1.54.
    assert "swish_derivative(" in answer.stderr
    assert "central differences of swish give" in answer.stderr
    assert not store.parent.exists()


def test_own_data_in_a_npz_file_and_a_folder_is_one_data_set(
    tmp_path: Path, digits: Path, run_commands: Callable[..., Answers], uri: str
) -> None:
    """Four IDX files, gzipped, and the same arrays in a .npz file."""
    import gzip

    import numpy as np

    from sgdprobe.data.readers import read

    raw = read(digits)
    names = ("x_train", "t_train", "x_test", "t_test")
    np.savez(tmp_path / "mine.npz", **{name: getattr(raw, name).values for name in names})
    (tmp_path / "zipped").mkdir()
    for file in digits.iterdir():
        (tmp_path / "zipped" / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    before = len(runs_in(uri))
    commands = [["data.root=mine.npz"], ["data.root=zipped", "data.name=my"]]
    answers = run_commands([[*words, f"tracking.uri={uri}"] for words in commands], cwd=tmp_path)
    assert [answer.returncode for answer in answers] == [0, 0], [a.stderr for a in answers]
    made = runs_in(uri)[before:]
    assert len({run.data.tags["key"] for run in made}) == 1
    assert len({run.data.metrics["loss"] for run in made}) == 1
    called = [run.inputs.dataset_inputs[0].dataset.name for run in made if run.inputs]
    assert called == ["mine", "my"]


def test_the_records_have_no_contradiction(
    uri: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, *_) = tracking.connect(uri).find()
    with pytest.raises(OwnFileError, match="needs a file that is not here"):
        tracking.read_files(uri, first)
    monkeypatch.chdir(folder)
    for run in tracking.connect(uri).find(details=("tags", "metrics", "params")):
        if run.status == "FINISHED" and "rerun_of" not in run.tags:
            assert tracking.read_files(uri, run).run.contradictions == ()
