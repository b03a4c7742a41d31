"""The website of docs/site.py: its pages, its links, and nothing from the net."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def site() -> Any:
    spec = importlib.util.spec_from_file_location("site_of_docs", ROOT / "docs/site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation() -> None:
    listed = site().pages()
    assert len(listed) == len(set(listed))
    assert [name for name in listed if not (ROOT / name).is_file()] == []
    written = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    tracked = ["ls-files", "experiments/*.md", "experiments/**/*.md"]
    answer = subprocess.run(["git", *tracked], cwd=ROOT, capture_output=True, text=True)
    names = {str(page.relative_to(ROOT)) for page in written} | {*answer.stdout.split()}
    assert sorted(names - {*listed}) == [], "add the page to docs/mkdocs.yml"


def test_navigation_and_table_of_contents_have_one_order() -> None:
    contents = (ROOT / "docs/README.md").read_text()
    for part in ("how-to", "reference", "explanation"):
        navigation = [name for name in site().pages() if name.startswith(f"docs/{part}/")]
        listed = re.findall(rf"\(({part}/[\w-]+\.md)\)", contents)
        assert listed == [name.removeprefix("docs/") for name in navigation]


def test_a_page_brings_the_files_that_it_links_to(tmp_path: Path) -> None:
    site().lay_out(tmp_path)
    for name in ("README.md", "docs/two-changes.svg", "LICENSE", "examples/train_by_hand.py"):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.slow
def test_website_is_built_without_the_net(tmp_path: Path) -> None:
    """In strict mode, so that a link or an anchor that leads nowhere fails."""
    if importlib.util.find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: make docs installs it")
    answer = subprocess.run(
        [sys.executable, "docs/site.py", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    built = [*(tmp_path / "site").rglob("*.html")]
    assert len(built) >= len(site().pages())
    loaded = re.compile(
        r"""<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^>]*>"""
    )
    for page in built:
        assert loaded.findall(page.read_text()) == [], page
    for sheet in (tmp_path / "site").rglob("*.css"):
        assert (
            re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", sheet.read_text()) == []
        ), sheet
