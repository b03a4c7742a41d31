"""Answers for programs: JSON on stdout, everything else on stderr."""

import json
import math

import numpy as np
import pytest

from sgdprobe.commands.answers import answer, answering
from sgdprobe.commands.console import plain_console


def test_the_answer_alone_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console = plain_console()  # made before, as that of rerun is
    with answering(as_json=True):
        print("to a person")
        console.print("to a person, too")
        answer({"n": 1})
        print("afterwards")
    print("of another command")
    out, err = capsys.readouterr()
    text, _, rest = out.partition("}\n")
    assert (json.loads(text + "}"), rest) == ({"n": 1}, "of another command\n")
    assert err == "to a person\nto a person, too\nafterwards\n"


def test_without_the_option_there_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(as_json=False):
        answer({"n": 1})
        print("to a person")
    assert capsys.readouterr() == ("to a person\n", "")


def test_stdout_is_put_back_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), answering(as_json=True):
        raise ZeroDivisionError
    print("afterwards")
    answer({"n": 1})
    assert capsys.readouterr() == ("afterwards\n", "")


def test_numbers_that_json_does_not_have_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(as_json=True):
        answer({"loss": math.nan, "all": [math.inf, (-math.inf, 0.5)], "n": np.float64("nan")})
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found == {"loss": None, "all": [None, [None, 0.5]], "n": None}
