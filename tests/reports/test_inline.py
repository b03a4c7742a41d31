"""Figures inside a page: colours, ids, tooltips and links."""

import re

from matplotlib.figure import Figure

from sgdprobe.reports import plotting as style
from sgdprobe.reports.inline import drawing, pictures

HOSTILE = '"><script>alert(1)</script>'


def test_a_mark_is_a_link_with_a_tooltip_that_is_text() -> None:
    figure, axes = style.single(2)
    (line,) = axes.plot([0, 1], [0, 1], "o-", color=style.BLUE, label=HOSTILE)
    style.mark(line, style.Mark(HOSTILE, "cell-1"))
    axes.legend()
    content = drawing(figure, "a").content
    assert "<script" not in content
    (link,) = re.findall(r"<a .*?</a>", content)
    assert link.startswith('<a href="#cell-1"><title>"&gt;&lt;script&gt;alert(1)&lt;/script&gt;')
    assert link.count("<path") == 3, "the line, the same for a pointer, and a marker's form"
    assert 'class="hit"' in link
    assert link.count("<use") == 2


def test_each_point_has_its_own_mark() -> None:
    figure, axes = style.single(2)
    (dots,) = axes.plot([0, 1, 2], [0, 1, 0], ".")
    style.mark(dots, *(style.Mark(f"point {i}", f"p{i}") for i in range(3)))
    content = drawing(figure, "a").content
    found = re.findall(r'<a href="#p(\d)"><title>point (\d)</title>(.*?)</a>', content)
    assert [(a, b) for a, b, _ in found] == [("0", "0"), ("1", "1"), ("2", "2")]
    x = [float(re.search(r' cx="([\d.]+)"', shape)[1]) for *_, shape in found]  # type: ignore[index]
    assert x == sorted(x)


def test_colours_are_those_of_the_page_and_text_is_text() -> None:
    figure, axes = style.single(2)
    axes.plot([0, 1], [0, 1], color=style.ORANGE)
    axes.set_title("a title")
    axes.text(0, 0, "on data", color=style.ON_LIGHT)
    content = drawing(figure, "a").content
    assert "a title</text>" in content
    assert "stroke:var(--orange)" in content
    assert "stroke:var(--ink)" in content, "the axes"
    assert set(re.findall("#[0-9a-f]{6}", content)) == {style.ON_LIGHT}
    assert "font-family" not in content
    assert "<style" not in content, "it would hold for the whole page"


def test_the_ids_of_two_figures_differ() -> None:
    def draw() -> dict[str, Figure]:
        found: dict[str, Figure] = {}
        for name in ("one.svg", "two.svg"):
            found[name], axes = style.single(2)
            axes.plot([0, 1], [0, 1], "o", color=style.BLUE)
        return found

    drawn = pictures(draw)
    whole = "".join(form.content for one in drawn.values() for form in (one.wide, one.narrow))
    ids = re.findall(r' id="([^"]+)"', whole)
    assert len(ids) == len(set(ids)) > 4
    assert {found.strip("#") for found in re.findall(r"#[\w-]+", whole)} == set(ids)
    assert drawn["one.svg"].file.startswith(b"<?xml"), "the file stays as matplotlib made it"
    assert b"var(--" not in drawn["one.svg"].file
    assert float(drawn["one.svg"].narrow.view.split()[2]) < 320 < 640
