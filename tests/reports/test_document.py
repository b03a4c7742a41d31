"""One page, as Markdown and as HTML."""

from sgdprobe.reports.document import Block, BulletList, FigureBlock, Heading, Table, Text, html
from sgdprobe.reports.document import markdown as to_markdown

PAGE: list[Block] = [
    Heading("a < b", 1),
    Text("**+1.00 [−0.50, +2.50]** of `[50,100]`, see [+1.00 [−0.50, +2.50]](#cell-01)"),
    BulletList(["one", "two"]),
    Table(["name", "n"], [["`x`", "1"], ["`y`", "2"]], ["cell-01", "cell-10"]),
    FigureBlock("a.svg", 'says "so"', "below"),
]


def test_markdown() -> None:
    assert to_markdown(PAGE) == (
        "# a < b\n\n"
        "**+1.00 [−0.50, +2.50]** of `[50,100]`, see [+1.00 [−0.50, +2.50]](cells.csv)\n\n"
        "* one\n* two\n\n"
        "| name | n |\n| --- | --- |\n| `x` | 1 |\n| `y` | 2 |\n\n"
        '![says "so"](a.svg)\n\n*below*\n'
    )


def test_html() -> None:
    page = html(PAGE, {"a.svg": b"<svg/>"})
    assert "<title>a &lt; b</title>" in page
    assert "<strong>+1.00 [−0.50, +2.50]</strong> of <code>[50,100]</code>" in page
    assert '<a href="#cell-01">+1.00 [−0.50, +2.50]</a>' in page
    assert '<tr id="cell-10"><td><code>y</code></td><td>2</td></tr>' in page
    assert 'alt="says &quot;so&quot;" src="data:image/svg+xml;base64,PHN2Zy8+"' in page


def test_numbers_of_all_runs_lead_to_their_table_on_the_page_alone() -> None:
    blocks: list[Block] = [
        Heading("Runs", place="runs"),
        Text("[+1.00 [0.00, +2.00]](#runs) and [90.00](#tuned-01-3), [all](#tuned-runs)"),
    ]
    assert to_markdown(blocks) == ("## Runs\n\n+1.00 [0.00, +2.00] and [90.00](tuned.csv), all\n")
    page = html(blocks, {})
    assert '<h2 id="runs">Runs</h2>' in page
    assert '<a href="#tuned-01-3">90.00</a>' in page
