"""The import rules: which package may import what. One table, read by every test here."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = SRC / "sgdprobe"

# A package imports only from levels to its left; packages of one level do not import each other.
ORDER = (
    {"errors"},
    {"paths"},
    {"nn", "data"},
    {"provenance"},
    {"config"},
    {"rules"},
    {"tracking"},
    {"run"},
    {"own"},
    {"sweep"},
    {"study"},
    {"diagnosis"},
    {"reports"},
    {"commands", "notebook"},
    {"__main__"},
)
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
LEVEL["__init__"] = len(ORDER)  # what `import sgdprobe` offers in a notebook

# Heavy libraries, and the only places that may import each.
ONLY_IN = {
    "mlflow": ("sgdprobe/tracking/",),
    "matplotlib": ("sgdprobe/reports/",),
    "jinja2": ("sgdprobe/reports/",),
    "PIL": ("sgdprobe/commands/pictures.py",),
    "markdown_it": ("sgdprobe/reports/",),
    "hydra": ("sgdprobe/config/", "train.py", "hydra_plugins/"),
    "omegaconf": ("sgdprobe/config/", "train.py", "hydra_plugins/"),
}


def imported(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Full names of all modules that a file imports, the line, and whether at module level."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        top = node in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno, top) for alias in node.names)


FILES = sorted(SRC.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def test_every_package_has_its_place_in_the_order() -> None:
    found = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()
    }
    assert found - {"__init__"} == set(LEVEL) - {"__init__"}


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_run_one_way(path: Path) -> None:
    if not path.is_relative_to(PACKAGE) or path.parent == SRC:
        return
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    back = [
        f"{place(path)}:{line} imports {name}"
        for name, line, _ in imported(path)
        if name.startswith("sgdprobe.")
        and (other := name.split(".")[1]) != own
        and other in LEVEL
        and LEVEL[other] >= LEVEL.get(own, 0)
    ]
    assert back == [], f"{own} may import only from {[sorted(s) for s in ORDER[: LEVEL[own]]]}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_heavy_libraries_have_one_place(library: str) -> None:
    found = {
        place(path)
        for path in FILES
        if any(name.partition(".")[0] == library for name, _, _ in imported(path))
    }
    assert found, f"nothing imports {library}: this test looks in the wrong place"
    assert {path for path in found if not path.startswith(ONLY_IN[library])} == set()


def test_plugins_import_nothing_of_ours_at_module_level() -> None:
    files = [path for path in FILES if place(path).startswith("hydra_plugins/")]
    assert files
    early = [
        f"{place(path)}:{line} imports {name}"
        for path in files
        for name, line, top in imported(path)
        if top and name.startswith("sgdprobe")
    ]
    assert early == [], "Hydra executes these modules in every Hydra program of the environment"


@pytest.mark.parametrize("path", sorted((PACKAGE / "nn").glob("*.py")), ids=lambda path: path.name)
def test_nn_imports_numpy_only(path: Path) -> None:
    allowed = {"numpy", "sgdprobe"} | sys.stdlib_module_names
    names = {name for name, _, _ in imported(path)}
    assert {name.partition(".")[0] for name in names} <= allowed
    ours = {name for name in names if name.startswith("sgdprobe")}
    assert all(name.startswith("sgdprobe.nn") for name in ours), ours


def test_nothing_imports_an_entry_point() -> None:
    entry_points = {path.stem for path in SRC.glob("*.py")}
    assert "train" in entry_points
    assert {
        place(path)
        for path in FILES
        if any(name.partition(".")[0] in entry_points for name, _, _ in imported(path))
    } == set()
