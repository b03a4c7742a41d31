"""What each kind of setting accepts, in which type it comes out, and what it refuses."""

import math
from typing import Any

import pytest

from sgdprobe.checks import Check, Choice, Flag, Jobs, Number, Optional, Text, Widths

COUNT = Number(int, least=1)
RATE = Number(float, above=0)
SCALE = Number(float, least=0)
WORD = Choice(("unit", "none"))


@pytest.mark.parametrize(
    ("check", "value", "comes_out"),
    [
        (COUNT, 1, 1),
        (COUNT, 10**30, 10**30),
        (RATE, 1, 1.0),  # a whole number is a number: the same 1.0 as if it were typed so
        (RATE, 5e-324, 5e-324),
        (RATE, 1.7e308, 1.7e308),
        (SCALE, 0, 0.0),
        (SCALE, -0.0, 0.0),
        (WORD, "none", "none"),
        (Text(), " a b ", " a b "),
        (Flag(), False, False),
        (Widths(), [], ()),  # no hidden layer: softmax regression
        (Widths(), [50, 100], (50, 100)),
        (Widths(), (1,), (1,)),
        (Jobs(), -1, -1),
        (Jobs(), 3, 3),
        (Optional(COUNT), None, None),
        (Optional(COUNT), 7, 7),
    ],
)
def test_accepted(check: Check, value: Any, comes_out: Any) -> None:
    result = check(value)
    assert result == comes_out
    assert type(result) is type(comes_out)


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (COUNT, [0, -1, 1.0, 1.5, True, "1", None, [1], math.inf]),
        (RATE, [0, 0.0, -0.1, math.nan, math.inf, -math.inf, 10**400, True, "0.1", None, 1j]),
        (SCALE, [-1e-300, math.nan, math.inf, False, "0"]),
        (WORD, ["", "Unit", "unit ", None, 1, ["unit"], {"unit": 1}]),
        (Text(), ["", "  ", None, 5, ["a"]]),
        (Flag(), [0, 1, "true", None]),
        (Widths(), [5, "50", None, [0], [50, -1], [1.0], [True], [[50]], {50: 100}]),
        (Jobs(), [0, 1.5, True, None, "1"]),
        (Optional(COUNT), [0, "null", False]),
    ],
    ids=lambda item: type(item).__name__ if not isinstance(item, list) else "",
)
def test_refused(check: Check, values: list[Any]) -> None:
    accepted = []
    for value in values:
        try:
            accepted.append((value, check(value)))
        except ValueError:
            continue
    assert accepted == [], "accepted, (value, what came out)"


@pytest.mark.parametrize(
    ("check", "sentence_end"),
    [
        (COUNT, "an integer of at least 1"),
        (Number(int), "an integer"),
        (RATE, "a finite number above 0"),
        (SCALE, "a finite number of at least 0"),
        (WORD, "one of unit, none"),
        (Flag(), "true or false"),
        (Optional(RATE), "a finite number above 0, or null"),
        (Optional(Text("a folder")), "a folder, or null"),
    ],
)
def test_says_what_it_expects(check: Check, sentence_end: str) -> None:
    assert check.expects == sentence_end
