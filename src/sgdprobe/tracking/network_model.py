"""A recorded network as an MLflow model: pixels in, probabilities out.

sgdprobe copies this file into each run's folder `model`, and MLflow executes it there. It needs
NumPy and MLflow, and nothing of sgdprobe, so that a model can be served where sgdprobe is not
installed. Beside it are `weights.npz`, `network.json` and, for a user's own activation,
`activation.py`.
"""

import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

HERE = Path(__file__).parent
CHUNK = 1000  # images at a time: their activations stay small


def sigmoid(a: Any) -> Any:
    """1 / (1 + exp(-a))."""
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is 0, as it should be
        return 1 / (1 + np.exp(-a))


def softmax(a: Any) -> Any:
    """Return exp(a) / sum(exp(a)) of each row."""
    y = np.exp(a - a.max(axis=1, keepdims=True))
    return y / y.sum(axis=1, keepdims=True)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": sigmoid,
    "relu": lambda a: np.maximum(a, 0),
    "tanh": np.tanh,
    "identity": lambda a: a,
    "softmax": softmax,
}


class NetworkModel(PythonModel):
    """A fully connected network.

    predict(images) : (n, height, width) or (n, pixels), any integers or floats, raw pixels
    0 … 255. Returns (n, classes) probabilities; the rows sum to 1.
    """

    def __init__(self) -> None:
        self.facts = json.loads((HERE / "network.json").read_text(encoding="utf-8"))
        with np.load(HERE / "weights.npz", allow_pickle=False) as arrays:
            self.params = dict(arrays)
        name = self.facts["activation"]
        self.activation = FUNCTIONS.get(name) or _own_function(name)

    def predict(self, model_input: np.ndarray) -> np.ndarray:  # type: ignore[override]
        """Return the probabilities. Raises MlflowException for what are no images.

        MLflow knows this type hint as it stands, and warns of others.
        """
        x = self._pixels(model_input)
        with np.errstate(over="ignore", invalid="ignore"):  # large weights may overflow
            parts = [self._probabilities(x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)]
        return np.concatenate(parts)

    def _pixels(self, images: Any) -> Any:
        """Return images as x : (n, pixels), in the weights' precision."""
        height, width = self.facts["height"], self.facts["width"]
        try:
            x = np.asarray(images).astype(self.params["W1"].dtype)
        except (TypeError, ValueError) as error:
            raise MlflowException.invalid_parameter_value(f"images: {error}") from error
        if not len(x) or x.shape[1:] not in ((height, width), (height * width,)):
            raise MlflowException.invalid_parameter_value(
                f"images must be (n, {height}, {width}) or (n, {height * width}); got {x.shape}"
            )
        if not (x.min() >= 0 and x.max() <= 255):  # NaN is neither
            raise MlflowException.invalid_parameter_value(
                f"pixels must be 0 … 255; got {x.min():g} … {x.max():g}"
            )
        if 0 < x.max() <= 1:
            warnings.warn("no pixel is above 1; this model takes 0 … 255", stacklevel=4)
        return x.reshape(len(x), -1)

    def _probabilities(self, x: Any) -> Any:
        first, has_softmax = self.facts["output"]["first"], self.facts["output"]["softmax"]
        depth = len(self.params) // 2
        W, b = self.params["W1"], self.params["b1"]
        # (factor · x - offset) W + b, multiplied out as in training
        a = (x @ W) * W.dtype.type(self.facts["factor"])
        a = a - W.dtype.type(self.facts["offset"]) * W.sum(axis=0) + b
        for k in range(2, depth + 1):
            a = self.activation(a) @ self.params[f"W{k}"] + self.params[f"b{k}"]
        scores = FUNCTIONS[first](a) if first else a
        y = softmax(scores)
        if has_softmax:
            return y
        positive = np.maximum(scores, 0)
        total = positive.sum(axis=1, keepdims=True)
        return np.divide(positive, total, out=y, where=total > 0)


def _own_function(name: str) -> Callable[[Any], Any]:
    """Return the function NAME of FILE.py:NAME; the file is beside this one."""
    spec = importlib.util.spec_from_file_location("sgdprobe_activation", HERE / "activation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[Any], Any] = getattr(module, name.rpartition(":")[2])
    return function


set_model(NetworkModel())
