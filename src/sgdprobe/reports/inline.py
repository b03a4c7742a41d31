"""Figures inside a page: SVG that takes the page's colours, with a tooltip and a link on each mark.

Matplotlib draws; this module changes what it has drawn: colours become CSS variables, so that a
page has a light and a dark form, text stays text, and marked artists become links.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from sgdprobe.reports import plotting as style

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
ET.register_namespace("", SVG.strip("{}"))

# The colours of a page by those of a figure; every other colour stays as it is.
VARIABLES = {
    "#ffffff": "paper", "white": "paper", "#b0b0b0": "rule", "#cccccc": "rule",
    style.BLACK: "ink", style.GREY: "grey", style.BLUE: "blue", style.ORANGE: "orange",
    "#009E73": "green", "#CC79A7": "pink", "#E69F00": "yellow",
}  # fmt: skip
COLOURS = {colour.lower(): f"var(--{name})" for colour, name in VARIABLES.items()}
DRAWN = {SVG + name for name in ("path", "use", "text")}
USELESS = {SVG + name for name in ("metadata", "style")}
REFERENCE = re.compile(r"(url\(#)([^)]+)")


class Drawing(NamedTuple):
    """A drawing of one width: the view box of its SVG, and the content."""

    view: str
    content: Markup


class Picture(NamedTuple):
    """A figure in all its forms: a file, and drawings inside the page for a screen and a phone."""

    file: bytes
    wide: Drawing
    narrow: Drawing


def pictures(draw: Callable[[], Mapping[str, Figure]]) -> dict[str, Picture]:
    """Draw figures in all forms; pictures by file name."""
    wide = draw()
    with style.narrow():
        narrow = draw()
    return {name: _picture(name.partition(".")[0], wide[name], narrow[name]) for name in wide}


def _picture(name: str, wide: Figure, narrow: Figure) -> Picture:
    file = style.svg(wide)
    wide.set_layout_engine("none")  # it is laid out already
    return Picture(file, drawing(wide, f"{name}-w"), drawing(narrow, f"{name}-n"))


def drawing(figure: Figure, prefix: str) -> Drawing:
    """Return the figure for a page. prefix : of all ids, which are unique in a page."""
    marked = {f"mark-{i}": artist for i, artist in enumerate(_marked(figure))}
    for gid, artist in marked.items():
        artist.set_gid(gid)
    root = ET.fromstring(style.svg(figure, text="none"))  # noqa: S314 (matplotlib's own)
    for gid, artist in marked.items():
        for group in root.iter(SVG + "g"):
            if group.get("id") == gid:
                _link(group, style.marks_of(artist))
    _clean(root, prefix)
    content = "".join(ET.tostring(child, "unicode") for child in root)
    content = content.replace(f' xmlns="{SVG.strip("{}")}"', "")
    return Drawing(root.get("viewBox", ""), Markup(re.sub(r">\s+<", "><", content)))


def _marked(figure: Figure) -> Iterator[Artist]:
    return (artist for artist in figure.findobj() if style.marks_of(artist))


def _link(group: ET.Element, marks: Sequence[style.Mark]) -> None:
    """Make a group a link, or each of its parts if there are several marks."""
    if len(marks) == 1:
        link = _anchor(marks[0], list(group))
        link[1:1] = [_hit(path) for path in group.findall(SVG + "path")]
        group[:] = [link]
        return
    places = [
        (parent, part)
        for parent in group.iter()
        if parent.tag != SVG + "defs"
        for part in parent
        if part.tag in DRAWN
    ]
    for mark, (parent, part) in zip(marks, places, strict=True):
        parent[list(parent).index(part)] = _anchor(mark, [_hit(part), part])


def _anchor(mark: style.Mark, parts: Sequence[ET.Element]) -> ET.Element:
    link = ET.Element(SVG + "a", {"href": f"#{mark.anchor}"})
    ET.SubElement(link, SVG + "title").text = mark.text
    link.extend(parts)
    return link


def _hit(part: ET.Element) -> ET.Element:
    """Return an unseen copy with a wide border, which a pointer finds more easily."""
    if part.tag == SVG + "use":  # its form has a style of its own, a circle has not
        at = {"cx": part.get("x", "0"), "cy": part.get("y", "0"), "r": "2"}
        return ET.Element(SVG + "circle", at | {"class": "hit"})
    copy = deepcopy(part)
    copy.attrib.pop("style", None)
    copy.set("class", "hit")
    return copy


def _clean(root: ET.Element, prefix: str) -> None:
    """Remove what only a file needs, name ids anew and take the page's colours."""
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in USELESS]:
            parent.remove(child)
    _rename(root, prefix)
    for element in root.iter():
        for key in {"fill", "stroke"} & set(element.attrib):
            element.set(key, _themed(f"{key}:{element.attrib[key]}").partition(":")[2])
        if "style" in element.attrib:
            element.set("style", _themed(element.attrib["style"]))


def _rename(root: ET.Element, prefix: str) -> None:
    """Keep only the ids that are used, under names of this drawing."""
    for element in root.iter():
        if XLINK in element.attrib:
            element.set("href", f"url({element.attrib.pop(XLINK)})")  # like other references
    values = [value for element in root.iter() for value in element.attrib.values()]
    used = dict.fromkeys(found[1] for value in values for found in REFERENCE.findall(value))
    names = {name: f"{prefix}{number}" for number, name in enumerate(used)}
    for element in root.iter():
        name = element.attrib.pop("id", "")
        if name in names:
            element.set("id", names[name])
        for key, value in element.attrib.items():
            element.set(key, REFERENCE.sub(lambda found: found[1] + names[found[2]], value))
        if element.get("href", "").startswith("url("):
            element.set("href", element.attrib["href"][4:-1])


def _themed(css: str) -> str:
    """Return a style in the page's colours and font."""
    pairs = (part.partition(":") for part in css.split(";") if part.strip())
    kept = {key.strip(): value.strip() for key, _, value in pairs}
    kept.pop("font-family", None)
    return ";".join(f"{key}:{COLOURS.get(value.lower(), value)}" for key, value in kept.items())
