"""Jinja filters. A `Markup` is Markdown already; every other value is escaped when it is printed.

Links differ between the two forms of a report. In the page (`page` is true in the template) they
lead to its tables, in README.md to the CSV files that list the same runs.
"""

import re
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from sgdprobe.config import formatting
from sgdprobe.study.factors import cell_id
from sgdprobe.study.intervals import Estimate

RUNS_FILE, TUNED_FILE = "cells.csv", "tuned.csv"
FENCE = "```"

TIED, BEYOND = "all seeds equal", "beyond"  # in place of an interval
MARK = "†"  # rests on one seed

# Characters that start markup. An underscore inside of a word starts none.
MARKUP = re.compile(r"[\\`*\[\]<>|&~$]|(?<![^\W_])_|_(?![^\W_])")
# Text that would be or start a heading, a line or a list.
BLOCK = re.compile(r"^(\d*)(#|=+$|[+-](?=\s|$|-)|(?<=\d)[.)](?=\s|$))")


def markdown(value: object) -> Markup:
    """Return Markdown that shows a value from outside as plain text, on one line."""
    if isinstance(value, Markup):
        return value
    text = MARKUP.sub(r"\\\g<0>", " ".join(str(value).split()))
    return Markup(BLOCK.sub(r"\1\\\2", text))


def code(value: object) -> Markup:
    """Return the value as code, or as plain text if it would end the code or a table's cell."""
    text = str(value)
    is_safe = text and text == " ".join(text.split()) and not set(text) & set("`|\\")
    return Markup(f"`{text}`") if is_safe else markdown(text)


def fenced(text: str, language: str) -> Markup:
    """Lines of code; none of them may start with a fence."""
    return Markup(f"\n{FENCE}{language}\n{text.rstrip()}\n{FENCE}\n")


def points(estimate: Estimate) -> Markup:
    """A difference of accuracies in percentage points: +12.34 [+11.90, +12.78]."""
    return _signed(estimate, 100)


def logit(estimate: Estimate) -> Markup:
    """A difference on the logit scale."""
    return _signed(estimate, 1)


def _signed(estimate: Estimate, scale: float) -> Markup:
    return _with_interval(estimate, lambda value: f"{scale * value:+.2f}")


def ends(estimate: Estimate) -> Markup:
    """The interval alone of a difference of accuracies in points: [+11.90, +12.78]."""
    _, bracket, rest = points(replace(estimate, one_seed=None)).partition("[")
    return Markup(bracket + rest)


def interval(estimate: Estimate) -> Markup:
    """An accuracy, which stays inside 0 … 100 %: 70.12 % [69.80, 70.44]."""
    if estimate.low > 1 or estimate.high < 0:  # a prediction
        return Markup(f"{100 * min(max(estimate.mean, 0), 1):.2f} % [{BEYOND}]")
    return _with_interval(estimate, lambda value: f"{100 * min(max(value, 0), 1):.2f}", " %")


def _with_interval(estimate: Estimate, text: Callable[[float], str], unit: str = "") -> Markup:
    mean, low, high = (_minus(text(v)) for v in (estimate.mean, estimate.low, estimate.high))
    ends = TIED if estimate.is_tied else f"{low}, {high}"
    return Markup(f"{mean}{unit} [{ends}]{MARK if estimate.one_seed else ''}")


def short(value: float | None) -> str:
    """Three digits, whatever the size; a dash if nothing was recorded."""
    return "–" if value is None else _minus(f"{value:.3g}")


def _minus(text: str) -> str:
    """A minus as wide as a plus, and no sign for 0."""
    return "0.00" if text in ("-0.00", "+0.00") else text.replace("-", "−")


def listing(words: Iterable[object]) -> Markup:
    """The words with commas and a last "and"."""
    return Markup(formatting.listing([markdown(word) for word in words]))


def counted(things: Sized | int, word: str) -> str:
    """For example 1 run, 36 runs."""
    return formatting.counted(things if isinstance(things, int) else len(things), word)


def header(names: Sequence[object]) -> Markup:
    """The first two lines of a table."""
    return Markup(f"| {' | '.join(map(markdown, names))} |\n|{' --- |' * len(names)}")


@pass_context
def link_cell(context: Context, text: object, anchor: str) -> Markup:
    """Link to the runs of a cell; anchors of tuned runs begin with "tuned"."""
    file = TUNED_FILE if anchor.startswith("tuned") else RUNS_FILE
    return Markup(f"[{markdown(text)}]({f'#{anchor}' if context['page'] else file})")


@pass_context
def link_all(context: Context, text: object, anchor: str = "runs") -> Markup:
    """Link to the table of all runs; plain text in README.md, which has no such table."""
    return Markup(f"[{markdown(text)}](#{anchor})") if context["page"] else markdown(text)


@pass_context
def anchor(context: Context, text: object, name: str) -> Markup:
    """Text that links of the page can lead to."""
    return Markup(f'[{markdown(text)}](#{name} "anchor")') if context["page"] else markdown(text)


@pass_context
def link_run(context: Context, run: Any, remark: str = "") -> Markup:
    """Link to a recorded run in MLflow; show its id alone in README.md."""
    words = markdown(f"{run.run_id[:8]} {remark}")
    address = quote(run.url, safe="/:#?=&%@,;+~")
    return Markup(f"[{words}]({address})") if context["page"] else words


FILTERS = {
    function.__name__: function
    for function in (
        markdown, code, fenced, points, logit, ends, interval, short, formatting.percent, listing,
        counted, header, link_cell, link_all, anchor, link_run, cell_id,
    )
}  # fmt: skip
