"""The walls of the house: which part may import what."""

import ast
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = SRC / "sgdprobe"


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def files_that_import(*packages: str) -> set[str]:
    return {
        path.relative_to(SRC).as_posix()
        for path in SRC.rglob("*.py")
        if any(name.partition(".")[0] in packages for name in imported(path))
    }


def test_only_tracking_imports_mlflow() -> None:
    found = files_that_import("mlflow")
    assert found, "nothing imports mlflow: this test looks in the wrong place"
    assert {path for path in found if not path.startswith("sgdprobe/tracking/")} == set()


def test_only_analysis_imports_matplotlib() -> None:
    found = files_that_import("matplotlib")
    assert found, "nothing imports matplotlib: this test looks in the wrong place"
    assert {path for path in found if not path.startswith("sgdprobe/analysis/")} == set()


def test_only_doors_and_plugins_import_hydra() -> None:
    found = files_that_import("hydra", "omegaconf")
    inside = {path for path in found if path.startswith("sgdprobe/")}
    assert found, "nothing imports hydra: this test looks in the wrong place"
    assert inside <= {"sgdprobe/settings.py"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "nn").glob("*.py")), ids=lambda path: path.name)
def test_nn_imports_numpy_only(path: Path) -> None:
    allowed = {"numpy", "sgdprobe"} | sys.stdlib_module_names
    names = imported(path)
    assert {name.partition(".")[0] for name in names} <= allowed
    ours = {name for name in names if name.startswith("sgdprobe")}
    assert all(name.startswith("sgdprobe.nn") for name in ours), ours


def test_nothing_imports_a_door() -> None:
    doors = {path.stem for path in SRC.glob("*.py")}
    assert "train" in doors
    assert files_that_import(*doors) == set()
