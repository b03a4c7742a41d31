"""The stress program's short form: a sweep that is killed again and again, and first commands."""

import pytest
from stress import main


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "words",
    [("--kills", "3", "--seed", "0"), ("--kills", "0", "--first-starts", "1", "--claims", "1")],
    ids=["killed", "started at once"],
)
def test_nothing_is_lost_or_doubled(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(words)
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert printed.endswith("no problems\n")
