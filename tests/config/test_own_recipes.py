"""Recipes of a person's own beside those of the wheel."""

from pathlib import Path

import pytest

from sgdprobe.config import arguments
from sgdprobe.config.arguments import check_keys, check_recipe, recipe_file, recipes
from sgdprobe.errors import SettingsError
from sgdprobe.paths import CONF


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory conf/experiment of a working directory."""
    monkeypatch.setattr(arguments, "OWN_CONF", tmp_path)
    folder = tmp_path / "experiment"
    folder.mkdir()
    return folder


def test_own_recipes_are_known_beside_the_others(own: Path) -> None:
    before = recipes()
    (own / "mine.yaml").write_text("")
    assert recipes() == sorted([*before, "mine"])
    assert recipe_file("mine") == own / "mine.yaml"
    assert recipe_file("book") == CONF / "experiment/book.yaml"


def test_a_recipe_that_would_hide_another_is_refused_wherever_it_is_named(own: Path) -> None:
    file = own / "book.yaml"
    file.write_bytes((CONF / "experiment/book.yaml").read_bytes())
    assert recipe_file("book") == file, "a copy is the same recipe"
    file.write_text("# @package _global_\nseed: 3\n")
    refused = "sgdprobe has another recipe book; rename"
    with pytest.raises(SettingsError, match=refused):
        check_recipe("book", recipes())
    for word in ("experiment=book", "experiment=notes,book"):
        with pytest.raises(SettingsError, match=refused):
            check_keys([word])
    check_keys(["experiment=notes"])
