"""Changes of a recipe as a recipe: YAML to save in conf/experiment/."""

import json
import re
from collections.abc import Mapping
from typing import Any

from sgdprobe.config.formatting import format_value
from sgdprobe.study.design import Factorial
from sgdprobe.study.factors import Cell, comparable
from sgdprobe.study.spec import StudySpec

# Text that YAML reads as the same text; all other text is quoted.
PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|nan|inf)$)[a-z_][\w./-]*", re.IGNORECASE)


def recipe_yaml(base: str, values: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """Return a recipe of these values, by key; the others are those of the recipe `base`.

    comments : on some of the lines, by key. base : "" leaves the head of the recipe to the reader.
    """
    head = ["# @package _global_", "defaults:", f"  - {base}", "  - _self_"] if base else []
    blocks: dict[str, list[tuple[str, str]]] = {}
    for key, value in values.items():
        block, _, name = key.rpartition(".")
        line = f"{'  ' if block else ''}{name}: {yaml_value(value)}"
        blocks.setdefault(block, []).append((line, comments.get(key, "")))
    width = max((len(line) for rows in blocks.values() for line, _ in rows), default=0)
    lines = [
        line
        for block, rows in sorted(blocks.items(), key=lambda item: item[0] != "")
        for line in (
            *([f"{block}:"] if block else []),
            *(f"{row:<{width}}  # {comment}" if comment else row for row, comment in rows),
        )
    ]
    return "\n".join([*head, *lines])


def recipe_of_cell(spec: StudySpec, design: Factorial, cell: Cell) -> str:
    """Return a study's cell as a recipe: the lines that the baseline's recipe has not."""
    changed = {
        key
        for factor, level in zip(design.factors, cell, strict=True)
        if level
        for key in factor.keys
    }
    baseline = comparable(design.settings(design.baseline, 0))
    written = comparable(spec.written) if spec.written else baseline
    found = comparable(design.settings(cell, 0))
    values = {key: value for key, value in found.items() if value != written[key]}
    comments = {
        key: f"was {format_value(baseline[key])}" if key in changed else "the same in all runs"
        for key in values
    }
    return recipe_yaml(spec.recipe, values, comments)


def yaml_value(value: Any) -> str:
    """Return a setting's value as YAML."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(yaml_value, value))}]"
    if isinstance(value, str) and not PLAIN.fullmatch(value):
        return json.dumps(value)
    return format_value(value)
