"""README.zh-CN.md says what README.md says: section by section, beside the words."""

import re
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAIRS = [
    *zip_longest(*(re.split(r"^(?=#+ )", t, flags=re.MULTILINE)[1:] for t in (ENGLISH, CHINESE)))
]


def shape(table: str) -> list[int]:
    """The number of columns of each line of the tables."""
    return [line.count("|") for line in table.splitlines() if line.startswith("|")]


def commands(text: str) -> list[str]:
    """The lines of all code blocks, outputs included, without comments."""
    return [
        line.partition("  #")[0].strip()
        for block in BLOCK.findall(text)
        for line in block.splitlines()
    ]


def links(text: str) -> Counter[str]:
    return Counter(re.findall(r"\]\((\S+?)\)", text))


def code(text: str) -> Counter[str]:
    return Counter(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)))


def numbers(text: str) -> Counter[str]:
    """Numbers outside of links, with their signs."""
    return Counter(re.findall(r"[+−±]?\d[\d.,]*\d|\d", re.sub(r"\]\(\S+?\)", "]", text)))


def test_sections_are_the_same() -> None:
    assert None not in [section for pair in PAIRS for section in pair]
    levels = [[section.split(" ")[0] for section in pair] for pair in PAIRS]
    assert [here for here, _ in levels] == [there for _, there in levels]


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda text: text.split("\n")[0])
def test_section_says_the_same(english: str, chinese: str) -> None:
    assert commands(chinese) == commands(english)
    assert shape(chinese) == shape(english)
    assert code(chinese) == code(english)
    assert numbers(chinese) == numbers(english)
    language = {"README.zh-CN.md": "README.md"}  # each links to the other
    assert links(chinese) == Counter({language.get(k, k): n for k, n in links(english).items()})
    assert chinese.count("\n* ") == english.count("\n* ")


def test_chinese_page_is_written_in_chinese_punctuation() -> None:
    """A comma or a full stop after a Chinese character is a Chinese one."""
    text = re.sub(r"`[^`]*`", "", BLOCK.sub("", CHINESE))
    assert re.findall(r"[\u4e00-\u9fff][,.;:!?()]", text) == []
