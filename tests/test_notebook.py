"""The example notebook runs, and what `import sgdprobe` offers has the bits of the commands."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, Answer, artifacts_of, runs_in, weights_of

import sgdprobe
from sgdprobe.errors import SettingsError

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


def code_of(notebook: Path) -> str:
    """All code cells, without lines for Jupyter alone, and with a hundredth of the updates."""
    cells = json.loads(notebook.read_text())["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    assert code.count("iterations=1800") == 3, "its runs are as long as they were"
    lines = code.replace("iterations=1800", "iterations=18").splitlines()
    return "\n".join(line for line in lines if not line.startswith("%"))


def test_the_example_runs(project: Path, environment: dict[str, str]) -> None:
    folder = project / "examples"
    folder.mkdir()
    shutil.copy(NOTEBOOK, folder)
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code_of(folder / NOTEBOOK.name)],
        cwd=folder, env=environment | {"PYTHONPATH": str(project / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    shutil.rmtree(folder)
    assert (done.returncode, done.stderr) == (0, ""), done


def test_the_bits_are_those_of_the_command(
    train: Callable[..., Answer], new_store: Callable[[], str], project: Path
) -> None:
    uri = new_store()
    words = ("data.root=" + data_root(project), "training.batch_size=128", "training.iterations=12")
    answer = train("notes", *words, f"tracking.uri={uri}")
    assert answer.returncode == 0, answer
    (run,) = runs_in(uri)
    training = sgdprobe.train("notes", *words)
    first = next(iter(training))  # a loop that is left goes on where it stopped
    assert [epoch.epoch for epoch in [first, *training]] == [1, 2, 3]
    recorded = weights_of(artifacts_of(project, run))
    assert recorded.keys() == training.weights.keys()
    for name, values in recorded.items():
        np.testing.assert_array_equal(values, training.weights[name])
    assert training.epochs[-1].metrics["loss"] == run.data.metrics["loss"]
    assert sgdprobe.epochs("notes", uri)["loss"].tolist()[-1] == run.data.metrics["loss"]
    frame = sgdprobe.runs("notes", uri)
    assert frame.index.tolist() == [run.info.run_id]
    assert frame["init.scale"].tolist() == [1.0]
    assert sorted(sgdprobe.figures("last", uri)) == ["learning_curve", "loss_at_every_update"]


def data_root(project: Path) -> str:
    text = (project / "conf/data/mnist.yaml").read_text()
    return text.partition("root: ")[2].split()[0]


def test_what_does_not_exist_is_refused(new_store: Callable[[], str]) -> None:
    with pytest.raises(SettingsError, match="boook: no such recipe"):
        sgdprobe.settings("boook")
    with pytest.raises(SettingsError, match=r"init.scale must be .*; got -1"):
        sgdprobe.settings("book", "init.scale=-1")
    with pytest.raises(SettingsError, match="sweep: this recipe is a sweep"):
        sgdprobe.settings("sweep")
    with pytest.raises(SettingsError, match="nothing: the store holds no such sweep"):
        sgdprobe.runs("nothing", new_store())
