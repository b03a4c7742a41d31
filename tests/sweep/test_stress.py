"""The stress program's short form: a sweep that is killed again and again, and first commands."""

import subprocess
import sys
from pathlib import Path

import pytest

STRESS = Path(__file__).parents[1] / "stress.py"


@pytest.mark.parametrize(
    "words",
    [("--kills", "4", "--seed", "0"), ("--kills", "0", "--first-starts", "1")],
    ids=["killed", "8 at once make the store"],
)
def test_nothing_is_lost_or_doubled(words: tuple[str, ...]) -> None:
    answer = subprocess.run(
        [sys.executable, STRESS, *words], capture_output=True, text=True, timeout=900
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.endswith("no faults\n")
