"""A report: blocks, rendered as Markdown and as one HTML file, with figures and tables beside them.

Inline, in every text: `code`, **strong**, [words](address). An address that begins with # is a
place in the HTML page; Markdown links to cells.csv instead, or for #tuned-… to tuned.csv, where the
same runs are listed, and leaves out those to all runs, #runs and #tuned-runs.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

PAGE, README = "index.html", "README.md"
RUNS_FILE = "cells.csv"
TUNED_FILE = "tuned.csv"
OF_ALL = ("#runs", "#tuned-runs")

# [words](address), the words with at most one more pair of brackets, as those of an interval.
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(([^)\s]+)\)")

STYLE = """
body { font: 16px/1.5 Georgia, serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #111; background: #fff }
h1, h2, h3, table, figcaption, code { font-family: system-ui, sans-serif }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
h3 { font-size: 1.05rem }
code { font: .9em ui-monospace, monospace }
table { border-collapse: collapse; font-size: .82rem; margin: 1rem 0 }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; border-bottom: 1px solid #ccc;
  vertical-align: top }
td { font-variant-numeric: tabular-nums }
tr:target { outline: 2px solid #0072b2 }
.wide { overflow-x: auto }
figure { margin: 1.2rem 0 } img { max-width: 100%; height: auto }
figcaption { font-size: .82rem; color: #333 } a { color: #00528a }
@media print { body { max-width: none; margin: 0; font-size: 10pt } .wide { overflow: visible }
  figure, tr { break-inside: avoid } h2 { break-after: avoid } thead { display: table-header-group }
  table { font-size: 7.5pt } a { color: inherit; text-decoration: none } }
"""


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is the page's own. `place` is the name that a link can lead to."""

    text: str
    level: int = 2
    place: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class BulletList:
    """A list with bullets."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of texts; `places` are the names that a link can lead to, one for each row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    places: Sequence[str] = ()


@dataclass(frozen=True)
class FigureBlock:
    """An image file beside the page. `alt` says what it shows to someone who can't see it."""

    file: str
    alt: str
    caption: str


Block = Heading | Text | BulletList | Table | FigureBlock


def write_report(
    folder: Path,
    page: Sequence[Block],
    readme: Sequence[Block],
    tables: Mapping[str, str],
    images: Mapping[str, bytes],
) -> list[Path]:
    """Write both forms and what lies beside them; the files, the page first.

    tables : CSV by file name; images : SVG by file name.
    """
    files = {
        PAGE: html(page, images).encode(),
        README: markdown(readme).encode(),
        **{name: text.encode() for name, text in tables.items()},
        **images,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def markdown(blocks: Sequence[Block]) -> str:
    """The page as Markdown, its images as files."""
    return "\n\n".join(_in_markdown(block) for block in blocks) + "\n"


def _in_markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text):
            return _to_file(text)
        case BulletList(texts):
            return "\n".join(f"* {_to_file(text)}" for text in texts)
        case Table(columns, rows):
            lines = [columns, ["---"] * len(columns), *rows]
            return "\n".join(_to_file(f"| {' | '.join(line)} |") for line in lines)
        case FigureBlock(file, alt, caption):
            return f"![{alt}]({file})\n\n*{caption}*"


def _to_file(text: str) -> str:
    text = LINK.sub(lambda link: link[1] if link[2] in OF_ALL else link[0], text)
    text = re.sub(r"\]\(#tuned-[^)]*\)", f"]({TUNED_FILE})", text)
    return re.sub(r"\]\(#[^)]*\)", f"]({RUNS_FILE})", text)


def html(blocks: Sequence[Block], images: Mapping[str, bytes]) -> str:
    """The page as one file that needs no other; images : SVG by file name."""
    title = next(block.text for block in blocks if isinstance(block, Heading))
    body = "\n".join(_in_html(block, images) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _in_html(block: Block, images: Mapping[str, bytes]) -> str:
    match block:
        case Heading(text, level, place):
            named = f' id="{escape(place)}"' if place else ""
            return f"<h{level}{named}>{_inline(text)}</h{level}>"
        case Text(text):
            return f"<p>{_inline(text)}</p>"
        case BulletList(texts):
            return "<ul>" + "".join(f"<li>{_inline(text)}</li>" for text in texts) + "</ul>"
        case Table():
            return _table(block)
        case FigureBlock(file, alt, caption):
            data = base64.b64encode(images[file]).decode()
            return (
                f'<figure><img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">'
                f"<figcaption>{_inline(caption)}</figcaption></figure>"
            )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{_inline(name)}</th>' for name in table.columns)
    lines = []
    for number, row in enumerate(table.rows):
        place = f' id="{escape(table.places[number])}"' if table.places else ""
        lines.append(f"<tr{place}>{''.join(f'<td>{_inline(cell)}</td>' for cell in row)}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{chr(10).join(lines)}</tbody></table></div>"
    )


def _inline(text: str) -> str:
    text = escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return LINK.sub(r'<a href="\2">\1</a>', text)
