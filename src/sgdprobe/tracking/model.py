"""The folder `model` of a finished run: an MLflow model, written without MLflow's help.

`mlflow.pyfunc.log_model` imports for a second, adds a row to the store for each model, and keeps
its files outside of the run's folder. What MLflow loads is a folder with a file MLmodel: as an
artifact of the run it goes where the run goes, and `runs:/ID/model` finds it in every store.
"""

import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from numpy.typing import NDArray

from sgdprobe.config.settings import Settings
from sgdprobe.nn.foreign import foreign_source, is_foreign
from sgdprobe.nn.functions import OUTPUTS
from sgdprobe.provenance.redact import redact

__all__ = ["MODEL", "ModelFacts", "model_files"]

MODEL = "model"  # the folder among a run's artifacts
WEIGHTS = "weights.npz"
CODE = Path(__file__).with_name("network_model.py")
EXAMPLE = "input_example.json"
SERVING = "serving_input_example.json"  # the same as the body of a request to a server
REQUIREMENTS = "mlflow>=3.13,<4\nnumpy>=2,<3\n"


@dataclass(frozen=True)
class ModelFacts:
    """Facts that a model needs beside its settings and its weights.

    height, width : of an image. classes : number of outputs. factor, offset : the network sees
    factor · pixel - offset. example : (n, height, width) images, uint8.
    """

    height: int
    width: int
    classes: int
    factor: float
    offset: float
    example: NDArray[Any]


def model_files(settings: Settings, facts: ModelFacts, run_id: str) -> dict[str, str]:
    """Return the texts of the folder by file name; the weights are missing.

    Taken before training, so that the user's own activation is the one that is trained with.
    """
    activation = settings.network.activation
    network = {
        "activation": activation,
        "output": asdict(OUTPUTS[settings.network.output]),
        "factor": facts.factor,
        "offset": facts.offset,
        "height": facts.height,
        "width": facts.width,
    }
    files = {
        "MLmodel": yaml.safe_dump(_mlmodel(settings, facts, run_id), sort_keys=False),
        CODE.name: CODE.read_text(encoding="utf-8"),
        "network.json": json.dumps(network, indent=1),
        "requirements.txt": REQUIREMENTS,
        "python_env.yaml": yaml.safe_dump(
            {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
        ),
        EXAMPLE: json.dumps(facts.example.tolist()),
        SERVING: json.dumps({"inputs": facts.example.tolist()}),
    }
    if is_foreign(activation):
        files["activation.py"] = redact(foreign_source(activation))
    return files


def _mlmodel(settings: Settings, facts: ModelFacts, run_id: str) -> dict[str, Any]:
    """Return the content of MLmodel.

    The signature's input is any array: MLflow would take images of one shape and one type only.
    """
    pixels = facts.height * facts.width
    return {
        "artifact_path": MODEL,
        "flavors": {
            "python_function": {
                "env": {"virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.pyfunc.model",
                "model_code_path": CODE.name,
                "python_version": platform.python_version(),
                "streamable": False,
            }
        },
        "metadata": {
            "images": f"(n, {facts.height}, {facts.width}) or (n, {pixels}), pixels 0 to 255",
            "output": f"(n, {facts.classes}) probabilities",
        },
        "mlflow_version": version("mlflow"),
        "run_id": run_id,
        "saved_input_example_info": {
            "artifact_path": EXAMPLE,
            "serving_input_path": SERVING,
            "type": "ndarray",
        },
        "signature": {
            "inputs": _tensor("object", [-1]),
            "outputs": _tensor(settings.dtype, [-1, facts.classes]),
            "params": None,
        },
        "utc_time_created": str(datetime.now(UTC).replace(tzinfo=None)),
    }


def _tensor(dtype: str, shape: list[int]) -> str:
    spec = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
    return json.dumps([spec])


def write_model(folder: Path, files: Mapping[str, str], weights: Path) -> None:
    """Write the folder `model` in a folder of artifacts, as a whole.

    weights : the file weights.npz, which gets a second name there and takes no space twice; it is
    copied where the disk knows no second names.
    """
    draft = folder / f".new-{MODEL}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        for name, text in files.items():
            (draft / name).write_text(text, encoding="utf-8")
        try:
            (draft / weights.name).hardlink_to(weights)
        except OSError:
            shutil.copy(weights, draft / weights.name)
        draft.rename(folder / MODEL)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
