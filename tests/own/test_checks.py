"""Faulty variants of the book's network: each is named, with its line; right ones pass."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sgdprobe.errors import UserError
from sgdprobe.own.checks import Result, examine
from sgdprobe.own.network import NetworkClass

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "examples/two_layer_net.py").read_text()
SIZES = (20, 12, 5)  # small, so that learning by heart takes a tenth of a second

Edit = tuple[str, str]

PREDICT_SIGMOID = 'z1 = sigmoid(x @ self.params["W1"] + self.params["b1"])'
RELU = [
    (PREDICT_SIGMOID, PREDICT_SIGMOID.replace("sigmoid(", "np.maximum(0, ")),
    ("* z1 * (1 - z1)", "* (z1 > 0)"),
]
RELU_INPUT = [RELU[0], ("* z1 * (1 - z1)", "* (z1 <= 0)")]
STABLE = "np.exp(a - a.max(axis=1, keepdims=True))"
FINITE = "y + 1e-7"
LAYERED = '''

class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


class LayeredNet(TwoLayerNet):
    """Chapter 5: layers that share the arrays of params; predict() returns scores."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        p = self.params
        self.layers = {"1": Affine(p["W1"], p["b1"]), "2": Affine(p["W2"], p["b2"])}

    def predict(self, x):
        self.mask = self.layers["1"].forward(x)
        return self.layers["2"].forward(np.maximum(self.mask, 0))

    def loss(self, x, t):
        return cross_entropy_error(softmax(self.predict(x)), t)

    def gradient(self, x, t):
        y = softmax(self.predict(x))
        dout = self.layers["2"].backward((y - one_hot(t, y)) / len(x))
        self.layers["1"].backward(dout * (self.mask > 0))
        first, second = self.layers["1"], self.layers["2"]
        return {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}
'''


def write(folder: Path, *edits: Edit) -> Path:
    """The network with these edits, each of a text that is there."""
    text = SOURCE
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    file = folder / "net.py"
    file.write_text(text)
    return file


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Result]]:
    monkeypatch.chdir(tmp_path)

    def run(*edits: Edit, name: str = "TwoLayerNet", more: str = "") -> list[Result]:
        file = write(tmp_path, *edits)
        file.write_text(file.read_text() + more)
        return list(examine(NetworkClass.load(f"net.py:{name}", SIZES)))

    return run


def failed(results: list[Result]) -> list[str]:
    return [f"{r.check.name}: {p.what}; {p.found}" for r in results for p in r.problems]


# Edits, the first check that fails, words of its problem, and the code of the line to look at.
FAULTS: dict[str, tuple[list[Edit], str, str, str]] = {
    "softmax over the batch": (
        [("exp_a.sum(axis=1, keepdims=True)", "exp_a.sum()")],
        "softmax", "the softmax spans the whole batch", "y: Array = exp_a / exp_a.sum()",
    ),
    "softmax over the examples": (
        [("exp_a.sum(axis=1, keepdims=True)", "exp_a.sum(axis=0)")],
        "softmax", "sums over the examples: it must sum over the classes", "exp_a.sum(axis=0)",
    ),
    "batch statistics": (
        [("return softmax(z1", "z1 = z1 - z1.mean(axis=0)\n        return softmax(z1")],
        "softmax", "the output of an example depends on the others in its batch", "exp_a.sum(",
    ),
    "no derivative of the sigmoid": (
        [(" * z1 * (1 - z1)", "")],
        "differences", "the derivative of the sigmoid is missing on the way back: W1, b1 wrong",
        'grads["W1"] = x.T @ da1',
    ),
    "derivative of the sigmoid at its output": (
        [("* z1 * (1 - z1)", "* sigmoid(z1) * (1 - sigmoid(z1))")],
        "differences", "the derivative of the sigmoid is computed from its output", 'grads["W1"]',
    ),
    "ReLU in the gradient alone": (
        [("* z1 * (1 - z1)", "* (z1 > 0.5)"), RELU[0], (RELU[0][1], PREDICT_SIGMOID)],
        "differences", "those above it are right: look at the activation between them", '["b1"]',
    ),
    "ReLU mask inverted": (
        RELU_INPUT, "differences", "the derivative of the relu is 1 where it must be 0", '["W1"]',
    ),
    "ReLU without a mask": (
        [RELU[0], (" * z1 * (1 - z1)", "")],
        "differences", "the derivative of the relu is missing on the way back", 'grads["W1"]',
    ),
    "bias gradient over the wrong axis": (
        [('grads["b1"] = da1.sum(axis=0)', 'grads["b1"] = da1.sum(axis=1)')],
        "gradient", "the gradient of b1 has another shape than b1: sum over the examples (axis=0)",
        'grads["b1"] = da1.sum(axis=1)',
    ),
    "bias gradient without an axis": (
        [('grads["b2"] = dy.sum(axis=0)', 'grads["b2"] = dy.sum()')],
        "gradient", "the gradient of b2 has another shape", 'grads["b2"] = dy.sum()',
    ),
    "mean in a bias gradient": (
        [('grads["b2"] = dy.sum(axis=0)', 'grads["b2"] = dy.mean(axis=0)')],
        "differences", "the gradient of b2 is 1/7 of what it must be", 'grads["b2"] = dy.mean',
    ),
    "bias not updated": (
        [('        grads["b2"] = dy.sum(axis=0)\n', "")],
        "gradient", "b2 does not change: gradient() returns no 'b2'", "return grads",
    ),
    "bias gradient 0": (
        [('grads["b1"] = da1.sum(axis=0)', 'grads["b1"] = 0 * da1.sum(axis=0)')],
        "differences", "the gradient of b1 is 0: b1 does not learn", 'grads["b1"] = 0',
    ),
    "W2 transposed": (
        [("z1.T @ dy", "dy.T @ z1")],
        "gradient", "the gradient of W2 has another shape than W2", 'grads["W2"] = dy.T @ z1',
    ),
    "W2 from the sums": (
        [("z1.T @ dy", '(x @ self.params["W1"] + self.params["b1"]).T @ dy')],
        "differences", "made with the layer's input before its sigmoid, not after", 'grads["W2"]',
    ),
    "W2 with another matrix": (
        [("z1.T @ dy", "z1[::-1].T @ dy")],
        "differences", "the gradient of W2 is not that of the loss", 'grads["W2"] = z1[::-1]',
    ),
    "loss a sum": (
        [("np.log(y + 1e-7)) / len(y))", "np.log(y + 1e-7)))")],
        "loss", "the loss is the sum over the batch, not the mean", "return float(-np.sum",
    ),
    "loss a mean over the classes, too": (
        [("np.sum(one_hot(t, y) * np.log(y + 1e-7)) / len(y)",
          "np.mean(one_hot(t, y) * np.log(y + 1e-7))")],
        "loss", "the loss is a mean over the classes, too", "return float(-np.mean",
    ),
    "sign of the loss": (
        [("return float(-np.sum", "return float(np.sum")],
        "loss", "the loss has the wrong sign", "return float(np.sum",
    ),
    "gradient of the wrong sign": (
        [("dy = (y - one_hot(t, y)) / len(x)", "dy = (one_hot(t, y) - y) / len(x)")],
        "differences", "the whole gradient is of the wrong sign", "dy = (one_hot(t, y) - y)",
    ),
    "no division by the batch size": (
        [("dy = (y - one_hot(t, y)) / len(x)", "dy = y - one_hot(t, y)")],
        "differences", "the whole gradient is 7 times too large, the size of the batch", "dy = y -",
    ),
    "derivative of the softmax twice": (
        [("(y - one_hot(t, y)) / len(x)", "(y - one_hot(t, y)) * y * (1 - y) / len(x)")],
        "differences", "the derivative of the softmax is counted twice", "",
    ),
    "log of 0": (
        [(FINITE, "y")], "large scores", "it takes log 0; add 1e-7", "np.log(y)",
    ),
    "softmax overflows": (
        [(STABLE, "np.exp(a)")],
        "large scores", "the softmax overflows for scores of about 2000", "np.exp(a)",
    ),
    "labels off by one in both": (
        [("np.eye(like.shape[1], dtype=like.dtype)[t]", "np.eye(like.shape[1])[t - 1]")],
        "labels", "integer labels and one-hot labels of the same classes give different losses", "",
    ),
    "labels off by one in the loss": (
        [("-np.sum(one_hot(t, y) *", "-np.sum(np.roll(one_hot(t, y), 1, axis=1) *")],
        "loss", "the labels in the loss are one too large", "return float(-np.sum(np.roll",
    ),
    "labels off by one in the gradient": (
        [("dy = (y - one_hot(t, y))", "dy = (y - np.roll(one_hot(t, y), 1, axis=1))")],
        "differences", "the labels in gradient() are one too large", "",
    ),
    "softmax twice": (
        [("return cross_entropy_error(self.predict(x), t)",
          "return cross_entropy_error(softmax(self.predict(x)), t)")],
        "loss", "the softmax is applied twice: predict() has it", "",
    ),
    "initial weights too large": (
        [("weight_init_std: float = 0.01", "weight_init_std: float = 10")],
        "first weights", "the initial weights are too large", 'rng.standard_normal((hidden_size,',
    ),
    "initial weights all 0": (
        [("weight_init_std: float = 0.01", "weight_init_std: float = 0")],
        "first weights", "all units of W1 start with the same weights", "standard_normal",
    ),
    "params copied": (
        [("    def predict(self, x: Array)", "    @property\n    def params(self):\n        "
          "return {k: +v for k, v in self._params.items()}\n\n    def predict(self, x: Array)"),
         ("        self.params = {", "        self._params = {")],
        "parameters", "updates do not reach the network", "",
    ),
    "a bias that is not used": (
        [('@ self.params["W2"] + self.params["b2"])', '@ self.params["W2"])')],
        "parameters", "the loss does not depend on params['b2']", "",
    ),
    "predict returns the winner": (
        [('self.params["b2"])\n\n    def', 'self.params["b2"]).argmax(axis=1)\n\n    def')],
        "predict", "predict() returns another shape", "argmax",
    ),
    "predict changes x": (
        [("    def predict(self, x: Array) -> Array:\n",
          "    def predict(self, x: Array) -> Array:\n        x /= 255\n")],
        "predict", "predict() changes its argument x", "def predict",
    ),
    "an error in gradient": (
        [("da1 = (dy @ self.params", "da1 = (dy.T @ self.params")],
        "labels", "gradient() raises ValueError: matmul", "da1 = (dy.T @ self.params",
    ),
    "gradients that add up": (
        [("        grads = {}", "        grads = self.__dict__.setdefault('g', {})"),
         ('grads["b2"] = dy.sum(axis=0)', 'grads["b2"] = grads.get("b2", 0) + dy.sum(axis=0)')],
        "gradient", "gradient() gives other values for b2 at the second call", 'grads["b2"]',
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_line(fault: str, check: Callable[..., list[Result]]) -> None:
    edits, name, words, code = FAULTS[fault]
    results = check(*edits)
    found = next((result for result in results if result.problems), None)
    assert found is not None, "every check passed"
    assert found.check.name == name, failed(results)
    problem = found.problems[0]
    assert words in problem.what, failed(results)
    assert problem.place is not None
    lines = Path("net.py").read_text().splitlines()
    assert lines[problem.place.line - 1].strip() == problem.place.code
    assert code in problem.place.code, str(problem.place)
    assert problem.place.file == "net.py"


SINGLE = [
    ("(input_size, hidden_size))", '(input_size, hidden_size), "f")'),
    ("(hidden_size, output_size))", '(hidden_size, output_size), "f")'),
    ("np.zeros(hidden_size)", 'np.zeros(hidden_size, "f")'),
    ("np.zeros(output_size)", 'np.zeros(output_size, "f")'),
    ('weight_init_std * rng', 'np.float32(weight_init_std) * rng'),
]  # fmt: skip
CAST = [("        z1 = sigmoid(x @", "        x = x.astype(np.float32)\n        z1 = sigmoid(x @"),
        ("return softmax(z1 @", "z1 = z1.astype('f')\n        return softmax(z1 @")]  # fmt: skip
RIGHT: dict[str, dict[str, object]] = {
    "sigmoid": {},
    "ReLU": {"edits": RELU},
    "float32": {"edits": SINGLE},
    "ReLU in float32": {"edits": [*SINGLE, *RELU]},
    "rounded to float32": {"edits": [("    return y\n", '    return y.astype("f")\n')]},
    "layers, scores": {"name": "LayeredNet", "more": LAYERED},
    "one-hot labels alone": {
        "edits": [("np.eye(like.shape[1], dtype=like.dtype)[t] if t.ndim == 1 else t", "t")]
    },
    "mean squared error": {
        "edits": [
            ("-np.sum(one_hot(t, y) * np.log(y + 1e-7))", "0.5 * np.sum((y - one_hot(t, y)) ** 2)"),
            (
                "dy = (y - one_hot(t, y)) / len(x)",
                "dy = y - one_hot(t, y)\n"
                "        dy = y * (dy - (dy * y).sum(axis=1, keepdims=True)) / len(x)",
            ),
        ]
    },
}


@pytest.mark.parametrize("variant", RIGHT)
def test_a_right_network_passes(variant: str, check: Callable[..., list[Result]]) -> None:
    options = dict(RIGHT[variant])
    edits = options.pop("edits", [])
    results = check(*edits, **options)  # type: ignore[misc]
    assert failed(results) == []
    assert {result.status for result in results} == {"passed"}


def test_the_published_network_passes_on_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    results = list(examine(NetworkClass.load("examples/two_layer_net.py:TwoLayerNet")))
    assert failed(results) == []


def test_a_network_that_takes_one_form_of_labels_is_told_so(
    check: Callable[..., list[Result]],
) -> None:
    edits = RIGHT["one-hot labels alone"]["edits"]
    notes = [note for result in check(*edits) for note in result.notes]  # type: ignore[misc]
    assert len(notes) == 1
    assert notes[0].startswith("takes one-hot labels only; with integer labels loss() raises Value")
    assert "For a batch of 5 examples NumPy may take their shape" in notes[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.py:Missing", "net.py has no Missing"),
        ("other.py:TwoLayerNet", "there is no file other.py"),
        ("net.py:softmax", "net.py:softmax is no class but function"),
        ("net.py", "net.py is not FILE.py:NAME or MODULE:NAME"),
        ("net:Broken", r"Broken\(input_size=20\) cannot be made, at net.py:\d+: 1 / 0: ZeroDiv"),
    ],
)
def test_refused(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path)
    file.write_text(
        file.read_text() + "\n\nclass Broken:\n    def __init__(self, input_size):\n        1 / 0\n"
    )
    with pytest.raises(UserError) as refusal:
        NetworkClass.load(name, SIZES)
    assert re.search(message, str(refusal.value)), str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_class_without_arguments_tells_its_sizes_by_its_weights(
    check: Callable[..., list[Result]],
) -> None:
    more = "\n\nclass Fixed(TwoLayerNet):\n    def __init__(self):\n"
    more += "        super().__init__(9, 8, 3)\n"
    assert failed(check(name="Fixed", more=more)) == []
