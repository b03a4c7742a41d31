"""Validators: accepted values, the type they return, and refused values."""

import math
from typing import Any

import pytest

from sgdprobe.config.validators import (
    BOOL,
    LAYER_WIDTHS,
    N_JOBS,
    Validator,
    choice,
    non_empty_str,
    nullable,
    number,
)

COUNT = number(int, least=1)
RATE = number(float, above=0)
SCALE = number(float, least=0)
WORD = choice(("unit", "none"))


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
        (non_empty_str(), " a b ", " a b "),
        (BOOL, False, False),
        (LAYER_WIDTHS, [], ()),  # no hidden layer: softmax regression
        (LAYER_WIDTHS, [50, 100], (50, 100)),
        (LAYER_WIDTHS, (1,), (1,)),
        (N_JOBS, -1, -1),
        (N_JOBS, 3, 3),
        (nullable(COUNT), None, None),
        (nullable(COUNT), 7, 7),
    ],
)
def test_accepted(check: Validator, value: Any, comes_out: Any) -> None:
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
        (non_empty_str(), ["", "  ", None, 5, ["a"]]),
        (BOOL, [0, 1, "true", None]),
        (LAYER_WIDTHS, [5, "50", None, [0], [50, -1], [1.0], [True], [[50]], {50: 100}]),
        (N_JOBS, [0, 1.5, True, None, "1"]),
        (nullable(COUNT), [0, "null", False]),
    ],
    ids=lambda item: "" if isinstance(item, list) else item.expects,
)
def test_refused(check: Validator, values: list[Any]) -> None:
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
        (number(int), "an integer"),
        (RATE, "a finite number above 0"),
        (SCALE, "a finite number of at least 0"),
        (WORD, "one of unit, none"),
        (BOOL, "true or false"),
        (nullable(RATE), "a finite number above 0, or null"),
        (nullable(non_empty_str("a folder")), "a folder, or null"),
    ],
)
def test_says_what_it_expects(check: Validator, sentence_end: str) -> None:
    assert check.expects == sentence_end
