"""The recipe that a report gives to paste: composed by Hydra, it has the settings that it names."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sgdprobe.config import compose
from sgdprobe.config.compose import known_recipes, open_composer
from sgdprobe.config.settings import Settings
from sgdprobe.paths import CONF
from sgdprobe.reports import StudySummary
from sgdprobe.reports.recipe import recipe_yaml, yaml_value
from sgdprobe.study.design import Factorial
from sgdprobe.study.factors import comparable
from sgdprobe.study.results import StudyResults
from sgdprobe.study.spec import StudySpec

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipes() -> dict[str, Settings]:
    return known_recipes()


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Compose a recipe's text as if it were saved in conf/experiment/."""
    shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.setattr(compose, "CONF", tmp_path / "conf")

    def settings(text: str) -> Settings:
        (tmp_path / "conf/experiment/repaired.yaml").write_text(text + "\n")
        with open_composer() as composer:
            return composer.compose(["experiment=repaired"]).settings

    return settings


def summary(recipes: dict[str, Settings], changes: dict[str, Any]) -> StudySummary:
    """A study of notes and book in float32, the target with further changes."""
    fixed = {"dtype": "float32", "training.iterations": 300}
    design = Factorial.between(
        recipes["notes"].replace(fixed), recipes["book"].replace(fixed | changes), (), 2
    )
    spec = StudySpec("why", "notes", "book", 2, recipe="notes", written=recipes["notes"])
    return StudySummary(StudyResults(spec, design, {}))


@pytest.mark.parametrize("cell", [(0, 0, 0, 0, 0), (0, 1, 0, 1, 0), (1, 1, 1, 1, 1)])
def test_the_recipe_of_a_cell_composes_to_its_settings(
    recipes: dict[str, Settings], composed: Any, cell: tuple[int, ...]
) -> None:
    study = summary(recipes, {})
    found = composed(study.recipe(cell))
    assert comparable(found) == comparable(study.design.settings(cell, 0))


def test_values_that_yaml_reads_otherwise_are_quoted(
    recipes: dict[str, Settings], composed: Any
) -> None:
    changes = {"init.scale": 1e-05, "training.epochs": None, "init.scheme": "he"}
    study = summary(recipes, changes)
    found = composed(study.recipe(study.design.target))
    assert comparable(found) == comparable(study.design.settings(study.design.target, 0))
    for value, text in {
        "no": '"no"', "1e-5": '"1e-5"', "a: b # c": '"a: b # c"', "mine:swish": '"mine:swish"',
        "sample": "sample", "": '""',
    }.items():  # fmt: skip
        assert yaml_value(value) == text
    assert yaml_value([50, 100]) == "[50, 100]"


def test_the_lines_say_what_was_there(recipes: dict[str, Settings]) -> None:
    assert summary(recipes, {}).recipe((0, 1, 0, 1, 0)).splitlines() == [
        "# @package _global_",
        "defaults:",
        "  - notes",
        "  - _self_",
        "dtype: float32     # the same in all runs",
        "network:",
        "  hidden: [50]     # was [50,100]",
        "init:",
        "  scale: 0.01      # was 1",
        "training:",
        "  iterations: 300  # the same in all runs",
    ]
    study = summary(recipes, {})
    unknown = replace(study.results, spec=replace(study.results.spec, recipe="", written=None))
    assert StudySummary(unknown).recipe((0, 0, 0, 1, 0)) == "init:\n  scale: 0.01  # was 1"


def test_settings_of_no_block_come_first() -> None:
    lines = recipe_yaml("", {"init.scale": 1, "dtype": "float32"}, {}).splitlines()
    assert lines == ["dtype: float32", "init:", "  scale: 1"]


@pytest.mark.parametrize("study", ["why-70-percent", "why-70-percent-tuned"])
def test_the_published_recipe_has_the_settings_of_its_cell(
    recipes: dict[str, Settings], composed: Any, study: str
) -> None:
    readme = (ROOT / "experiments" / study / "README.md").read_text()
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    same = ("data.scale", "network.hidden", "init.scale", "training.learning_rate")
    expected = recipes["book"].flat()
    changed = {key: expected[key] for key in same} | {"dtype": "float32"}
    assert comparable(composed(text)) == comparable(recipes["notes"].replace(changed))
