"""Diagnostics of a run, as its tags hold them."""

import pytest

from sgdprobe.study.diagnostics import FinalDiagnostics, final_diagnostics


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"first_loss": "6.907755278982137", "never_predicted": "none"}, (6.907755278982137, ())),
        ({"first_loss": "2.5", "never_predicted": "3 5"}, (2.5, (3, 5))),
        ({"first_loss": "0.1"}, (0.1, None)),  # diverged in a later epoch
        ({}, (None, None)),  # diverged in the first epoch
    ],
)
def test_diagnostics_are_read_from_tags(
    tags: dict[str, str], expected: tuple[float | None, tuple[int, ...] | None]
) -> None:
    found = final_diagnostics({f"diagnostic.{name}": value for name, value in tags.items()})
    assert found == FinalDiagnostics(*expected)
