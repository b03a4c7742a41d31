"""Pages of sweeps and studies in Chromium: on a phone, light and dark, by pointer and keyboard."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
if not Path(CHROMIUM).exists():
    pytest.skip("Chromium is not installed", allow_module_level=True)

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PAGES = sorted(EXPERIMENTS.glob("*/index.html"))
SWEEP = EXPERIMENTS / "sweep/index.html"
PHONE, SCREEN = (390, 844), (1280, 900)


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    with playwright.sync_playwright() as driver:
        args = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        browser.close()


def opened(browser: "Browser", file: Path, size: tuple[int, int], scheme: str = "light") -> "Page":
    """Open a page, which may load nothing else."""
    view = {"width": size[0], "height": size[1]}
    page = browser.new_page(viewport=view, color_scheme=scheme)  # type: ignore[arg-type]
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(file.as_uri())
    assert [url for url in loaded if not url.startswith("data:")] == [file.as_uri()]
    return page


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.parent.name)
def test_a_phone_shows_the_answer_first_and_does_not_scroll_sideways(
    chromium: "Browser", file: Path
) -> None:
    page = opened(chromium, file, PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    answer = page.locator("strong").first.bounding_box()
    assert answer is not None
    assert answer["y"] + answer["height"] < PHONE[1] / 2, answer
    assert page.locator("svg.screen:visible").count() == 0
    page.set_viewport_size({"width": SCREEN[0], "height": SCREEN[1]})
    assert page.locator("svg.phone:visible").count() == 0
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_axes_differ_from_their_ground(chromium: "Browser", scheme: str) -> None:
    page = opened(chromium, SWEEP, SCREEN, scheme)

    def brightness(selector: str, name: str) -> float:
        css = f"getComputedStyle(document.querySelector({selector!r}))[{name!r}]"
        return float(sum(int(part) for part in page.evaluate(css)[4:-1].split(",")[:3]) / 765)

    ground = brightness("body", "backgroundColor")
    assert (ground < 0.2) == (scheme == "dark")
    for selector, name in (("body", "color"), ("svg.screen text", "fill"), ("p a", "color")):
        assert abs(brightness(selector, name) - ground) > 0.4, selector
    page.close()


def test_a_cell_of_the_heat_map_leads_to_its_row(chromium: "Browser") -> None:
    page = opened(chromium, SWEEP, SCREEN)
    cell = page.locator("figure").first.locator("svg.screen a[href='#cell-25']")
    title = cell.locator("title").text_content()
    assert title == (
        "network.hidden=[100], init.scale=0.01, training.learning_rate=0.01: 94.92 %, 1 run"
    )
    cell.click()  # its number lies on it and must not be in the way
    assert page.evaluate("location.hash") == "#cell-25"
    row = page.locator("tr:has(:target)")
    assert "94.92 %" in row.inner_text()
    page.close()


def test_a_curve_can_be_reached_by_the_keyboard(chromium: "Browser") -> None:
    page = opened(chromium, EXPERIMENTS / "why-70-percent/index.html", SCREEN)
    bar = page.locator("figure").first.locator("svg.screen a").first
    bar.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#runs"
    page.close()
