"""MLflow's pages as a person sees them: a real sweep, the real server, Chromium.

SGDPROBE_SCREENSHOTS names a folder that keeps a picture of each page.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from support import Answer, Process, free_port, runs_in

if TYPE_CHECKING:
    from mlflow.entities import Run
    from playwright.sync_api import BrowserContext, Locator, Page

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
if not Path(CHROMIUM).exists():
    pytest.skip("Chromium is not installed", allow_module_level=True)

FLAGS = [
    f"--{flag}"
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
    )
]
WAIT_MS = 120_000  # the machine may be busy
WIDTH, HEIGHT = 1280, 900
RATES, SCALES, SEEDS = ("0.01", "0.1"), ("0.01", "1"), ("0", "1", "2")
SWEEP = (
    *("-m", "book", f"training.learning_rate={','.join(RATES)}", f"init.scale={','.join(SCALES)}"),
    *(f"seed={','.join(SEEDS)}", "training.iterations=40"),
)
CELLS = len(RATES) * len(SCALES)
CARD = "experiment-view-compare-runs-card"
SECTION = "experiment-view-compare-runs-section-header"


@pytest.fixture(scope="module")
def uri(train: Callable[..., Answer], new_store: Callable[[], str]) -> str:
    """A store with one sweep: four cells of three seeds."""
    uri = new_store()
    answer = train(*SWEEP, f"tracking.uri={uri}")
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    assert "not in MLflow" not in answer.stdout
    return uri


@pytest.fixture(scope="module")
def link(uri: str, start: Callable[..., Process]) -> Iterator[str]:
    """The link that ui.py prints, while it serves the store."""
    command = start("--uri", uri, "--port", str(free_port()), script="src/ui.py")
    command.wait_for("Ctrl-C ends it\n")
    yield command.stdout.splitlines()[0]
    command.send_to_group(SIGINT)
    assert (command.wait(), command.stderr) == (0, "")


@pytest.fixture(scope="module")
def person() -> "Iterator[BrowserContext]":
    """Somebody who has closed MLflow's assistant before; each test has a tab of the same browser.

    So MLflow's scripts are loaded and compiled once.
    """
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        person = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        person.set_default_timeout(WAIT_MS)
        key = "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"
        person.add_init_script(f"localStorage.setItem('{key}', 'true')")
        yield person
        browser.close()


@pytest.fixture
def page(person: "BrowserContext") -> "Iterator[Page]":
    page = person.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def recorded(uri: str) -> "list[Run]":
    runs = runs_in(uri)
    assert len(runs) == CELLS * len(SEEDS)
    return runs


@pytest.fixture(scope="module")
def best(recorded: "list[Run]") -> "Run":
    return max(recorded, key=lambda run: run.data.metrics["test_accuracy"])


def keep(page: "Page", name: str) -> None:
    """Keep a picture of the page, once its charts are drawn, if somebody wants to see it."""
    if folder := os.environ.get("SGDPROBE_SCREENSHOTS"):
        page.wait_for_timeout(1500)
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


def open_charts(page: "Page", link: str) -> "list[Locator]":
    """Open an experiment's view, and return the cards of its charts."""
    page.goto(link)
    cards = page.get_by_test_id(CARD)
    cards.nth(3).get_by_text("Step").first.wait_for()
    return cards.all()


def legend(card: "Locator") -> list[str]:
    """The lines of a chart: "lr=0.1 seed=0 (loss)"."""
    card.get_by_text("(test_accuracy)").first.wait_for(state="attached")
    return [line for line in card.inner_text().splitlines() if line.endswith(")")]


def shown_runs(page: "Page") -> list[str]:
    """The ids of the runs in the table, from top to bottom."""
    rows = page.locator('[role="row"][row-id]')
    found: list[dict[str, Any]] = rows.evaluate_all(
        "rows => rows.map(r => ({id: r.getAttribute('row-id'), row: +r.getAttribute('row-index')}))"
    )
    return list(dict.fromkeys(one["id"] for one in sorted(found, key=lambda one: one["row"])))


def test_the_link_opens_all_runs_best_first(link: str, page: "Page", recorded: "list[Run]") -> None:
    open_charts(page, link)
    accuracy = {run.info.run_id: run.data.metrics["test_accuracy"] for run in recorded}
    found = shown_runs(page)
    assert sorted(found) == sorted(accuracy), "all runs, and no band"
    values = [accuracy[run_id] for run_id in found]
    assert values == sorted(values, reverse=True)
    page.get_by_text(f"{len(accuracy)} matching runs").wait_for()
    assert page.get_by_text("Evaluation runs").count() == 0, "opened among language models"
    keep(page, "experiment")


def test_charts_stand_in_order_and_symptoms_are_folded(link: str, page: "Page") -> None:
    cards = open_charts(page, link)
    titles = [card.inner_text().splitlines()[0] for card in cards]
    assert titles == ["Parallel Coordinates", "loss", "train_accuracy", "test_accuracy"]
    tops = [box["y"] if (box := card.bounding_box()) else 9999 for card in cards]
    assert max(tops) < HEIGHT - 150, f"below the fold: {tops}"
    axes = cards[0].locator(".dimension .label").all_text_contents()
    assert len(axes) == 4, "two swept settings and two accuracies"
    assert {"init.scale", "train_accuracy", "test_accuracy"} <= set(axes)
    assert len(legend(cards[3])) == CELLS * len(SEEDS), "a line for each run"
    main, symptoms = page.get_by_test_id(SECTION).all()
    assert main.inner_text().startswith("Model metrics")
    assert re.match(r"symptom\s*\(\d+\)", symptoms.inner_text())


def test_columns_are_what_was_swept_and_the_accuracies(link: str, page: "Page") -> None:
    page.set_viewport_size({"width": 1600, "height": HEIGHT})
    page.goto(link.replace("&compareRunsMode=CHART", ""))
    page.locator('[role="columnheader"]').get_by_text("init.scale").wait_for()
    headers = page.locator('[role="columnheader"][col-id]').evaluate_all(
        "cells => cells.map(cell => cell.getAttribute('col-id'))"
    )
    wanted = {f"metrics.`{name}`" for name in ("test_accuracy", "train_accuracy")}
    wanted |= {f"params.`{name}`" for name in ("training.learning_rate", "init.scale", "seed")}
    assert {name for name in headers if name.startswith(("metrics.", "params."))} == wanted
    keep(page, "columns")


def test_two_runs_are_compared_by_the_swept_settings(
    link: str, page: "Page", recorded: "list[Run]"
) -> None:
    open_charts(page, link)
    first = next(r for r in recorded if r.data.params["init.scale"] == SCALES[0])
    same = ("training.learning_rate", "seed")
    other = next(
        run
        for run in recorded
        if run.data.params["init.scale"] == SCALES[1]
        and all(run.data.params[key] == first.data.params[key] for key in same)
    )
    for run in (first, other):
        row = page.locator(f'[role="row"][row-id="{run.info.run_id}"]')
        row.locator(".ag-checkbox-input").first.click(force=True)
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("Comparing 2 Runs").wait_for()
    switch = page.locator("label, button").get_by_text("Show diff only").first
    switch.click()
    page.get_by_text("init.scale").last.wait_for()
    table = page.inner_text("body")
    assert re.search(rf"init\.scale\s+{SCALES[0]}\s+{SCALES[1]}\s", table), table
    assert "network.activation" not in table, "equal in both runs"
    switch.scroll_into_view_if_needed()
    keep(page, "comparison")


def test_the_experiment_says_its_question_answer_and_report(link: str, page: "Page") -> None:
    open_charts(page, link)
    page.get_by_text("best:", exact=False).first.wait_for(state="attached")
    page.locator('[data-component-id="mlflow.experiment.metadata_editor.expand_button"]').click()
    keep(page, "description")
    link_to_report = page.get_by_role("link", name="Report of the sweep")
    with page.expect_popup() as popup:
        link_to_report.click()
    report = popup.value.frame_locator("iframe").locator("h1")
    report.wait_for()
    assert "test accuracy by" in report.inner_text()
    keep(popup.value, "report")
    popup.value.close()


def test_a_run_has_a_description_and_files(link: str, page: "Page", best: "Run") -> None:
    server = urlsplit(link)
    experiment, run_id = best.info.experiment_id, best.info.run_id
    address = f"http://{server.netloc}/#/experiments/{experiment}/runs/{run_id}"
    page.goto(f"{address}?workflowType=machine_learning")
    accuracy = f"{100 * best.data.metrics['test_accuracy']:.2f} %"
    page.get_by_text(accuracy).first.wait_for()
    text = page.inner_text("body")
    assert "Recipe book: " in text
    assert "Model training" in text
    assert "Evaluation runs" not in text
    keep(page, "run")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("weights.npz").wait_for()
    assert page.get_by_text("provenance.json").count() == 1


def test_bands_show_spread(link: str, uri: str, page: "Page") -> None:
    cards = open_charts(page, link.replace("viewStateShareKey=runs", "viewStateShareKey=bands"))
    bands = runs_in(uri, "tags.kind = 'cell'")
    assert sorted(shown_runs(page)) == sorted(band.info.run_id for band in bands)
    assert len(bands) == CELLS
    assert len(cards) == 4
    lines = Counter(re.sub(r".*\(|\)", "", line) for line in legend(cards[3]))
    assert lines == {f"test_accuracy{end}": CELLS for end in ("", "_low", "_high")}
    keep(page, "bands")
