"""Fixtures of the reports' tests."""

import pytest
from matplotlib.figure import Figure

from sgdprobe.reports import writers


@pytest.fixture
def undrawn_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make figures, but do not draw them: that takes most of a report's time."""

    def svg(figure: Figure) -> bytes:
        assert figure.axes
        return b"<svg/>"

    monkeypatch.setattr(writers, "svg", svg)
