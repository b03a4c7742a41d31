"""Functions from a user's own file."""

import json
from pathlib import Path

import numpy as np
import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError
from sgdprobe.nn import Network, Optimizer, draw_params
from sgdprobe.nn.foreign import foreign_hash, load_foreign
from sgdprobe.nn.functions import activation_function
from sgdprobe.nn.numerical import numerical_gradient
from sgdprobe.nn.optimizer import CONSTANTS, make_optimizer

SWISH = """
import numpy as np

def swish(a):
    return a / (1 + np.exp(-a))

def swish_derivative(a):
    s = 1 / (1 + np.exp(-a))
    return s + a * s * (1 - s)

def lonely(a):
    return a * np.abs(a)

def wrong(a):
    return a * a

def wrong_derivative(a):
    return 20 * a

def row_softmax(a):
    return np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)

def total(a):
    return a.sum()

def logarithm(a):
    return np.log(a)

def in_place(a):
    a += 1
    return a

def two(a, b):
    return a

def zero(network, x, t):
    network.grad[:] = 0
    return network.loss(x, t)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(SWISH)
    return tmp_path


def test_own_activation_has_the_right_gradient(own: Path) -> None:
    rng = np.random.default_rng(0)
    params = draw_params(rng, (6, 5, 4, 3), scheme="lecun", scale=1.0, dtype="float64")
    network = Network(params, activation="own.py:swish")
    x, t = rng.random((7, 6)), rng.integers(0, 3, 7)
    network.gradient(x, t)
    central = numerical_gradient(lambda _: network.loss(x, t), network.theta)
    np.testing.assert_allclose(network.grad, central, atol=1e-7)
    assert network.activation.max_slope == pytest.approx(1.0998, abs=1e-3), (
        "swish is steepest at 2.4"
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("activation", "other.py:swish", "there is no file other.py"),
        ("activation", "own.py:missing", "own.py has no missing"),
        ("activation", "broken.py:swish", "cannot be executed: ZeroDivisionError"),
        ("activation", "gelu", "one of sigmoid, relu, tanh, identity, or FILE.py:NAME; got gelu"),
        ("activation", "absent:swish", "there is no absent.py in .*, and no module absent in"),
        ("activation", "math:tanh", "no module math in Python to import"),
        (
            "activation",
            "own.py:wrong",
            r"wrong_derivative\(8.2623\) is 165.246; central differences of wrong give 16.5246",
        ),
        ("activation", "own.py:row_softmax", "must treat each element by itself; row_softmax"),
        (
            "activation",
            "own.py:total",
            r"total\(a\) must return floats of the shape of a, \(40, 50",
        ),
        ("activation", "own.py:logarithm", r"logarithm\(-9.9871\) is nan"),
        ("activation", "own.py:in_place", r"in_place\(a\) changes a"),
        ("activation", "own.py:two", "two cannot be called: TypeError: two.. missing 1 required"),
        ("activation", "own.py:np", "np must be a function; got <module"),
    ],
)
def test_refused(own: Path, key: str, value: str, message: str) -> None:
    (own / "broken.py").write_text("1 / 0")
    with pytest.raises(SettingsError, match=f"network.{key}.*{message}"):
        Settings.from_dict({"network": {key: value}})


def test_an_edit_of_the_file_makes_another_run(own: Path) -> None:
    settings = Settings.from_dict({"training": {"gradient": "own.py:zero"}})
    before = settings.foreign()
    (own / "own.py").write_text(SWISH + "\n")
    assert list(before) == ["own.py:zero"]
    assert before != settings.foreign()


def test_without_a_derivative_central_differences_are_taken(own: Path) -> None:
    # d (a |a|) / da = 2 |a|; in float32, too, since the differences are computed in float64.
    function = activation_function("own:lonely")
    a = np.array([[-1.5, 0.25]], np.float32)
    np.testing.assert_allclose(function.derivative(a, np.empty_like(a)), [[3, 0.5]], rtol=1e-6)


def test_a_module_is_found_beside_the_user_and_in_python(own: Path) -> None:
    (own / "pack").mkdir()
    (own / "pack" / "inner.py").write_text(SWISH)
    assert load_foreign("pack.inner:swish")(0.0) == 0.0
    assert load_foreign("json.decoder:JSONDecoder") is json.JSONDecoder
    assert foreign_hash("pack.inner:swish") == foreign_hash("own.py:swish")


def test_an_edit_is_executed_and_neighbours_can_be_imported(own: Path) -> None:
    (own / "neighbour.py").write_text("VALUE = 2.0")
    (own / "edited.py").write_text("from neighbour import VALUE\ndef f(a):\n    return VALUE * a\n")
    assert load_foreign("edited.py:f")(3.0) == 6.0
    (own / "edited.py").write_text("def f(a):\n    return -a\n")
    assert load_foreign("edited.py:f")(3.0) == -3.0


OTHERS = """
import numpy as np
from dataclasses import dataclass
from sgdprobe.nn import Optimizer

def fan_average(fan_in, fan_out):
    return (3 / (fan_in + fan_out)) ** 0.5

def weights(fan_in, fan_out):
    return np.ones((fan_in, fan_out))

def negative(fan_in, fan_out):
    return -1.0

def named(fan_in, fan_out):
    return "he"

def sign_descent(theta, grad, learning_rate):
    theta -= learning_rate * np.sign(grad)

def heavy_ball(theta, grad, learning_rate, momentum, state):
    state["t"] = state.get("t", 0) + 1
    state["v"] = momentum * state.get("v", np.zeros_like(theta)) - learning_rate * grad
    return theta + state["v"]

@dataclass(eq=False)
class Nesterov(Optimizer):
    momentum: float = 0.5
    extra: float = 3.0

    def update(self, theta, grad):
        v = self.kept("v", theta)
        v[:] = self.momentum * v - self.learning_rate * grad
        theta += self.momentum * v - self.learning_rate * grad

def nothing(theta, grad):
    pass

def short(theta, grad):
    return theta[:2]

def nan(theta, grad):
    theta /= 0

def strange(weights, lr):
    weights -= lr

def texts(theta, grad, state):
    state["name"] = "mine"
    theta -= grad

class Plain:
    pass
"""


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("init.scheme", "weights", r"weights\(784, 50\) must return one number.*shape \(784, 50\)"),
        ("init.scheme", "negative", "standard deviation of 0 or more; got -1"),
        ("init.scheme", "named", r"the standard deviation of the weights; got 'he'"),
        ("training.optimizer", "nothing", "nothing changes no weight: change theta in place"),
        ("training.optimizer", "short", r"must return None or the new theta, \(7,\); got an array"),
        ("training.optimizer", "nan", "nan makes weights NaN or infinite"),
        (
            "training.optimizer",
            "strange",
            "strange must take theta and grad, and may take state, learning_rate, momentum, beta1, "
            "beta2; got weights, lr",
        ),
        ("training.optimizer", "texts", r"state\['name'\] of texts must be an array of numbers"),
        ("training.optimizer", "Plain", "must be a function of theta and grad, or a subclass of"),
    ],
)
def test_other_functions_are_refused(own: Path, key: str, value: str, message: str) -> None:
    (own / "others.py").write_text(OTHERS)
    block, name = key.split(".")
    with pytest.raises(SettingsError, match=f"^{key}=others.py:{value}: .*{message}") as refusal:
        Settings.from_dict({block: {name: f"others.py:{value}"}})
    assert "\n" not in str(refusal.value)


def test_own_initializer_gives_the_deviation(own: Path) -> None:
    (own / "others.py").write_text(OTHERS)
    drawn = [
        draw_params(np.random.default_rng(0), (4, 8), scheme=scheme, scale=2.0, dtype="float64")
        for scheme in ("normal", "others.py:fan_average")
    ]
    # sqrt(3 / (4 + 8)) = 1/2 of the deviation 1 that "normal" has.
    np.testing.assert_allclose(drawn[1]["W1"], 0.5 * drawn[0]["W1"])


def optimizer(name: str, **constants: float) -> Optimizer:
    return make_optimizer(f"others.py:{name}", CONSTANTS | constants)


def test_own_optimizers_take_their_steps(own: Path) -> None:
    (own / "others.py").write_text(OTHERS)
    theta, grad = np.array([1.0, -2.0]), np.array([0.5, -1.0])
    # 0.1 along the sign of the gradient, whatever its size.
    optimizer("sign_descent").update(theta, grad.copy())
    np.testing.assert_allclose(theta, [0.9, -1.9])
    # -0.1 grad, then 0.9 · -0.1 grad - 0.1 grad: together -0.29 grad, as momentum does.
    ball = optimizer("heavy_ball")
    theta = np.array([1.0, -2.0])
    for _ in range(2):
        ball.update(theta, grad.copy())
    np.testing.assert_allclose(theta, [0.855, -1.71])
    assert ball.state["t"] == 2
    assert all(isinstance(array, np.ndarray) for array in ball.state.values())
    # The settings' momentum reaches a subclass's field; fields of its own keep their defaults.
    nesterov = optimizer("Nesterov", momentum=0.8, weight_decay=0.5)
    assert (nesterov.momentum, nesterov.extra, nesterov.weight_decay) == (0.8, 3.0, 0.5)  # type: ignore[attr-defined]
    theta = np.array([1.0, -2.0])
    nesterov.update(theta, grad.copy())
    np.testing.assert_allclose(theta, [1 - 0.18 * 0.5, -2 + 0.18])
    for name in ("sign_descent", "heavy_ball", "Nesterov"):
        Settings.from_dict({"training": {"optimizer": f"others.py:{name}"}})
