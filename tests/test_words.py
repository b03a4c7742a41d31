"""Docstrings of the program name their subject; only a question begins with a question word."""

import ast
import re
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
QUESTION_WORD = re.compile(r"(What|Whether|Who|Whom|Which|Where|How)\b[^?]*$")
FILES = sorted(SRC.rglob("*.py"))
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SRC)))
def test_docstrings_name_their_subject(file: Path) -> None:
    tree = ast.parse(file.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, DOCUMENTED)]
    first_lines = [(ast.get_docstring(node) or "").partition("\n")[0] for node in nodes]
    assert [line for line in first_lines if QUESTION_WORD.match(line)] == []
