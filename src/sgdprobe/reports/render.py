"""Render a report: Markdown from templates, one HTML page from that Markdown, files beside both.

Templates escape every value for Markdown, and Markdown is read with HTML disabled, so that no text
from a store becomes markup. A link with the title "anchor" is the place that it leads to.
"""

import base64
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from sgdprobe.provenance.redact import redact
from sgdprobe.reports import format as filters
from sgdprobe.reports.inline import Picture

PAGE, README = "index.html", "README.md"
OF_REPORTS = (PAGE, README, filters.RUNS_FILE, filters.TUNED_FILE, "*.svg")
TEMPLATES = Path(__file__).parent / "templates"
FENCED = re.compile(rf"^({filters.FENCE}.*?^{filters.FENCE})$", re.MULTILINE | re.DOTALL)

Image = bytes | Picture


def write_report(
    folder: Path,
    template: str,
    facts: Mapping[str, Any],
    tables: Mapping[str, str],
    images: Mapping[str, Image],
) -> list[Path]:
    """Write both forms of a report and what lies beside them; return the files, the page first.

    facts : the template's variables; tables : CSV by file name; images : pictures by file name,
    or bytes of SVG.
    """
    page, readme = (to_markdown(template, facts, page=page) for page in (True, False))
    texts = {PAGE: to_html(page, images), README: readme, **tables}
    files = {n: image if isinstance(image, bytes) else image.file for n, image in images.items()}
    return write_files(folder, {n: text.encode() for n, text in texts.items()} | files)


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files and return them. The folder's old report stays until the new one is whole.

    Other files of the folder are kept. Raises OSError.
    """
    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=place.parent) as draft:
        new, old = Path(draft, "new"), Path(draft, "old")
        new.mkdir()
        if place.exists():
            copytree(place, new, ignore=ignore_patterns(*OF_REPORTS), dirs_exist_ok=True)
        for name, content in files.items():
            (new / name).write_bytes(content)
        if place.exists():
            place.rename(old)
        new.rename(place)
    return [folder / name for name in files]


def to_markdown(template: str, facts: Mapping[str, Any], *, page: bool) -> str:
    """Render a Markdown template, as README.md or as the source of the page."""
    text = _environment(filters.markdown).get_template(template).render(facts, page=page)
    parts = (
        part if part.startswith(filters.FENCE) else _joined(part) for part in FENCED.split(text)
    )
    return redact(re.sub(r"\n{3,}", "\n\n", "\n\n".join(filter(None, parts))).strip() + "\n")


def _joined(text: str) -> str:
    """Join the lines of each paragraph: templates wrap them freely."""
    text = "\n".join(line.strip() for line in text.splitlines())
    return re.sub(r"(?<!\n)\n(?!\n|\| |\* |#|$)", " ", text)


@cache
def _environment(finalize: Callable[[object], Markup] | None) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=finalize,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters.FILTERS
    return environment


class _Parser(MarkdownIt):
    """Markdown with tables and without HTML; links lead to the web, the page or its figures."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False})
        self.enable("table")

    def validateLink(self, url: str) -> bool:  # noqa: N802 (markdown-it's name)
        """Every other address stays text."""
        return bool(re.match(r"#|https?://|\w+\.svg$", url))


def to_html(markdown: str, images: Mapping[str, Image]) -> str:
    """Render Markdown as one HTML file that needs no other."""
    parser = _Parser()
    tokens = parser.parse(markdown)
    for token in tokens:
        if token.type == "th_open":
            token.attrSet("scope", "col")
        for child in token.children or ():
            _adapt(child, images)
    _set_figures(tokens)
    body = parser.renderer.render(tokens, parser.options, {})
    body = body.replace("<table>", '<div class="wide"><table>')
    body = body.replace("</table>", "</table></div>")
    title = "".join(child.content for child in tokens[1].children or ())
    return page_of(title, body)


def page_of(title: str, body: str) -> str:
    """Return a page with the head that all pages share; body : HTML."""
    template = _environment(None).get_template("page.html.j2")
    return template.render(title=title, body=Markup(body))


def _adapt(token: Token, images: Mapping[str, Image]) -> None:
    """Put an image into the page; turn a link that is an anchor into one."""
    if token.type == "image":
        image = images[str(token.attrs["src"])]
        if isinstance(image, bytes):
            data = base64.b64encode(image).decode()
            token.attrs = {"alt": "", "src": f"data:image/svg+xml;base64,{data}"}
        else:
            alt = "".join(child.content for child in token.children or ())
            template = _environment(None).get_template("figure.html.j2")
            token.type, token.content = "html_inline", template.render(image=image, alt=alt)
    elif token.type == "link_open" and token.attrs.get("title") == "anchor":
        address = str(token.attrs["href"])
        token.attrs = {"id": address.removeprefix("#"), "href": address}


def _set_figures(tokens: list[Token]) -> None:
    """Make a figure of each paragraph that holds an image alone, with the next as its caption."""
    for i in range(len(tokens) - 6, -1, -1):
        image, caption = (tokens[i + offset].children or () for offset in (1, 4))
        if [one.type for one in image] not in (["image"], ["html_inline"]):
            continue
        if caption and caption[0].type == "em_open" and caption[-1].type == "em_close":
            tokens[i].tag, tokens[i + 2].hidden = "figure", True
            tokens[i + 3].tag = tokens[i + 5].tag = "figcaption"
            tokens.insert(i + 6, Token("figure_close", "figure", -1, block=True))
