"""Markdown and HTML of a report: escaping, links, anchors, figures."""

import ast
import re
import resource
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from sgdprobe.reports import plotting, render
from sgdprobe.reports.format import FILTERS, code, markdown

REPORTS = render.TEMPLATES.parent
HOSTILE = [
    "[x](javascript:alert(1))",
    '"onmouseover="alert(1)',
    "<script>alert(1)</script>",
    "![x](http://example.org/x.svg)",
    "a | b",
    "`code` **strong** _emphasis_ ~~struck~~",
    "# heading",
    "1. item",
    "- item",
    "two\nlines\n\n# and a heading",
    "&lt;b&gt; \\[x\\](y)",
    "[x]: javascript:alert(1)",
    "``` x",
    "---",
    "===",
    "$x$ and $`x`$",
    "~~~",
]


@pytest.fixture
def form(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Render the text of a template in both forms: Markdown, and HTML without its shell."""
    render._environment.cache_clear()
    for file in render.TEMPLATES.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(render, "TEMPLATES", tmp_path)

    def both(text: str, **facts: object) -> tuple[str, str]:
        render._environment.cache_clear()
        (tmp_path / "test.md.j2").write_text(text)
        page, readme = (render.to_markdown("test.md.j2", facts, page=p) for p in (True, False))
        html = render.to_html("# title\n\n" + page, {"a.svg": b"<svg/>"})
        return readme, html.partition("<h1>title</h1>\n")[2].partition("</body>")[0]

    yield both
    render._environment.cache_clear()


def shown(html: str) -> str:
    text = re.sub(r"<[^>]*>", "", html)
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(entity, char)
    return text.strip()


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("{{ value }}", "p"),
        ("{{ value | code }}", "p"),
        ("* {{ value }}", "li"),
        ("| a |\n| --- |\n| {{ value }} |", "td"),
        ("| a |\n| --- |\n| {{ value | code }} |", "td"),
    ],
)
def test_a_value_from_outside_is_text(form: Any, value: str, template: str, tag: str) -> None:
    _, html = form(template, value=value)
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html)
    assert re.sub("</?code>", "", content).count("<") == 0
    assert shown(content) == " ".join(value.split())
    assert "href" not in html


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_from_outside_in_a_figures_text(form: Any, value: str) -> None:
    _, html = form("![{{ value }}](a.svg)", value=value)
    (alt,) = re.findall(r'^<p><img alt="([^"]*)" src="data:[^"]*"\s*/?></p>$', html.strip())
    assert shown(alt) == " ".join(value.split())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("training.learning_rate=0.01", "training.learning_rate=0.01"),
        ("book_relu", "book_relu"),
        ("_x_", r"\_x\_"),
        ("[50,100]", r"\[50,100\]"),
        ("0.01", "0.01"),
        ("1. x", r"1\. x"),
        ("- x", r"\- x"),
        ("$x$", r"\$x\$"),  # GitHub reads mathematics
    ],
)
def test_text_is_escaped_no_more_than_needed(value: str, expected: str) -> None:
    assert markdown(value) == expected


def test_code_that_would_end_early_is_shown_as_text() -> None:
    assert code("[50,100]") == "`[50,100]`"
    assert code("a`b") == r"a\`b"
    assert code("a|b") == r"a\|b"


def test_links_lead_to_the_page_or_to_the_files(form: Any) -> None:
    text = (
        '## {{ "Runs" | anchor("runs") }}\n\n'
        '{{ "+1.00 [0.00, +2.00]" | markdown | link_all }}, {{ "x" | link_cell("cell-01") }}, '
        '{{ "y" | link_cell("tuned-01-3") }}\n'
    )
    readme, html = form(text)
    assert readme == "## Runs\n\n+1.00 \\[0.00, +2.00\\], [x](cells.csv), [y](tuned.csv)\n"
    assert '<h2><a id="runs" href="#runs">Runs</a></h2>' in html
    assert '<a href="#runs">+1.00 [0.00, +2.00]</a>' in html
    assert '<a href="#cell-01">x</a>, <a href="#tuned-01-3">y</a>' in html


@pytest.mark.parametrize(
    ("address", "is_link"),
    [
        ("http://127.0.0.1:5000/#/experiments/1/runs/0a", True),
        ("https://example.org/(x)?a=b&c=d", True),
        ("javascript:alert(1)", False),
        ("file:///etc/passwd", False),
        ("data:text/html,x", False),
    ],
)
def test_a_run_is_linked_on_the_page_only(form: Any, address: str, is_link: bool) -> None:
    class Run:
        run_id = "0123456789abcdef"
        url = address

    readme, html = form("{{ run | link_run('(diverged)') }}", run=Run())
    assert readme == "01234567 (diverged)\n"
    assert ("<a href=" in html) == is_link
    assert "01234567 (diverged)" in shown(html)


def test_a_paragraph_of_a_template_is_one_line(form: Any) -> None:
    readme, _ = form(
        "one\n{% if true %}\n  two\n{% endif %}\nthree.\n\n\n* a\nb\n* c\n\n| x |\n| --- |\n"
    )
    assert readme == "one two three.\n\n* a b\n* c\n\n| x |\n| --- |\n"


def test_no_form_has_credentials(form: Any) -> None:
    words = ("python", "src/explain.py", "--fix", "tracking.uri=postgresql://u:p/w@host/db")
    for text in form("{{ words | join(' ') | code }} and {{ words[3] }}", words=words):
        assert text.count("***@host/db") == 2, text


def test_a_name_that_is_missing_is_an_error(form: Any) -> None:
    with pytest.raises(UndefinedError, match="nothing"):
        form("{{ nothing }}")


def test_a_figure_has_a_text_and_a_caption(form: Any) -> None:
    text = (
        '{% from "macros.md.j2" import figure %}'
        '{% call figure("a.svg") %}{{ alt }}\n---\nbelow {{ "x" | code }}{% endcall %}'
    )
    readme, html = form(text, alt='says "so" & <more>')
    assert readme == '![says "so" \\& \\<more\\>](a.svg)\n\n*below `x`*\n'
    assert html.startswith('<figure><img alt="says &quot;so&quot; &amp; &lt;more&gt;" src="data:')
    assert 'src="data:image/svg+xml;base64,PHN2Zy8+"' in html
    assert html.endswith("<figcaption><em>below <code>x</code></em></figcaption>\n</figure>\n")


def test_wide_tables_scroll_and_name_their_columns(form: Any) -> None:
    _, html = form('{{ ["a", "b"] | header }}\n| 1 | {{ "x" | code }} |\n')
    assert '<div class="wide"><table>' in html
    assert html.count('<th scope="col">') == 2


def test_every_filter_is_used_by_a_template() -> None:
    text = "".join(file.read_text() for file in render.TEMPLATES.glob("*.md.j2"))
    assert {name for name in FILTERS if not re.search(rf"\b{name}\b", text)} <= {"markdown"}


TERMINAL = ("verdict", "answer_lines")  # the lines of a terminal, which no template makes
MAX_WORDS = 5  # of an f-string: a label or a file name, but no sentence


@pytest.mark.parametrize("path", sorted(REPORTS.rglob("*.py")), ids=lambda path: path.name)
def test_prose_is_in_templates(path: Path) -> None:
    tree = ast.parse(path.read_text())
    verdict = [node for node in ast.walk(tree) if getattr(node, "name", "") in TERMINAL]
    skipped = {id(node) for function in verdict for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in skipped:
            parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            words = re.findall(r"[A-Za-z]{2,}", " ".join(map(str, parts)))
            assert len(words) <= MAX_WORDS, f"{path.name}:{node.lineno} {words}"


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    render.write_files(folder, {"README.md": b"old", "old.svg": b"<svg/>"})
    (folder / "mine.txt").write_text("kept")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a full disk, for files of this size
    try:
        with pytest.raises(OSError, match="too large"):
            render.write_files(folder, {"README.md": b"new", "cells.csv": b"x" * 5000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (folder / "README.md").read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [folder], "nothing half written"
    render.write_files(folder, {"README.md": b"new"})
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "README.md": "new", "mine.txt": "kept",
    }  # fmt: skip
    assert sorted(tmp_path.iterdir()) == [folder]


def test_no_label_of_a_figure_is_read_as_mathematics() -> None:
    figure, axes = plotting.single(2)
    axes.set_title(r"$\frac{$")
    assert b"<svg" in plotting.svg(figure)
