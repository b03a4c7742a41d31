"""Examples in public docstrings give what they say."""

import doctest
from importlib import import_module

import pytest

# Modules with examples; those of `sgdprobe.notebook` read recipes and train.
MODULES = (
    "nn.batches",
    "nn.functions",
    "nn.initializers",
    "nn.network",
    "nn.numerical",
    "notebook",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = doctest.testmod(import_module(f"sgdprobe.{name}"))
    printed = capsys.readouterr().out
    assert result.failed == 0, printed
    assert result.attempted > 0, "no example"
