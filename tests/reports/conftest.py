"""Fixtures of the reports' tests."""

from collections.abc import Callable, Mapping

import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

from sgdprobe.reports import run, writers
from sgdprobe.reports.inline import Drawing, Picture


@pytest.fixture
def undrawn_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make figures, but do not draw them: that takes most of a report's time."""

    def pictures(draw: Callable[[], Mapping[str, Figure]]) -> dict[str, Picture]:
        drawn = draw()
        assert all(figure.axes for figure in drawn.values())
        empty = Drawing("0 0 1 1", Markup())
        return dict.fromkeys(drawn, Picture(b"<svg/>", empty, empty))

    def svg(figure: Figure) -> bytes:
        assert figure.axes
        return b"<svg/>"

    for module in (run, writers):
        monkeypatch.setattr(module, "pictures", pictures)
        monkeypatch.setattr(module, "svg", svg)
