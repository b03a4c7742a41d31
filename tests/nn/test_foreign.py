"""Functions from a user's own file."""

from pathlib import Path

import numpy as np
import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError
from sgdprobe.nn import Network, draw_params
from sgdprobe.nn.numerical import numerical_gradient

SWISH = """
import numpy as np

def swish(a):
    return a / (1 + np.exp(-a))

def swish_derivative(a):
    s = 1 / (1 + np.exp(-a))
    return s + a * s * (1 - s)

def lonely(a):
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
        ("activation", "own.py:lonely", "own.py has no lonely_derivative"),
        ("activation", "broken.py:swish", "cannot be executed: ZeroDivisionError"),
        (
            "activation",
            "own:swish",
            "must be one of sigmoid, relu, tanh, identity, or FILE.py:NAME",
        ),
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
