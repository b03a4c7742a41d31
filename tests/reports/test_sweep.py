"""The report of a sweep, from made data: sections, cells, links, words from outside."""

import csv
import re
from pathlib import Path

import pytest
from reports.made import ATTRIBUTES, HOSTILE_NAME, HOSTILE_TAG, Attributes, diverged, sweep

from sgdprobe.reports import write_sweep_report

MAP = {"init.scale": ["0.01", "1"], "training.learning_rate": ["0.1", "0.5"], "seed": ["0", "1"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    tags = {"preflight.saturated_1": "layer 1: 99.9 % of units are saturated"}
    write_sweep_report(diverged(diverged(sweep(MAP, **tags), 6), 7), folder)
    return folder


def test_the_readme(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    head, _, rest = readme.partition("\n## Test accuracy\n")
    assert head.splitlines() == [
        "# made: 20260101-000000-made",
        "",
        "8 runs in 4 cells: 6 finished, 2 diverged. Varied: `init.scale` and "
        "`training.learning_rate`. All runs are listed in [`cells.csv`](cells.csv). Made by "
        "`train.py -m made`.",
        "",
        "* best: [75.00 % [75.00, 75.00]](cells.csv), "
        "`init.scale=0.01, training.learning_rate=0.1`",
        "* worst: [75.00 % [75.00, 75.00]](cells.csv), `init.scale=1, training.learning_rate=0.1`",
        "* `book`: [75.00 % [75.00, 75.00]](cells.csv), "
        "`init.scale=0.01, training.learning_rate=0.1`",
    ]
    assert (
        "| `network.hidden=[50]` init.scale ↓ training.learning_rate → | 0.1 | 0.5 |\n"
        "| --- | --- | --- |\n"
        "| 0.01 | [75.00 % [75.00, 75.00]](cells.csv) `book` | "
        "[75.00 % [75.00, 75.00]](cells.csv) |\n"
        "| 1 | [75.00 % [75.00, 75.00]](cells.csv) | [diverged](cells.csv) |\n"
    ) in rest
    assert "| `saturated_1` | 8 | layer 1: 99.9 % of units are saturated (00000000) |" in rest
    assert "127.0.0.1" not in readme
    assert re.findall("^## (.*)$", readme, re.MULTILINE) == [
        "Test accuracy", "Learning curves", "Saturation", "Warnings before training", "cells.csv",
    ]  # fmt: skip


def test_every_link_of_the_page_leads_somewhere(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    anchors = re.findall(r'id="([^"]+)"', page)
    assert sorted(anchors) == ["cell-1", "cell-2", "cell-3", "cell-4", "columns"]
    links = set(re.findall(r'href="([^"]+)"', page))
    assert {link[1:] for link in links if link.startswith("#")} == set(anchors)
    runs = {link for link in links if not link.startswith("#")}
    assert len(runs) == 8
    assert '">00000007 diverged</a>' in page


def test_the_table_holds_every_run_and_documents_its_columns(folder: Path) -> None:
    with (folder / "cells.csv").open() as file:
        columns, *rows = csv.reader(file)
    assert columns[:6] == ["cell", "init.scale", "training.learning_rate", "seed", "run_id",
                           "recipe"]  # fmt: skip
    assert [row[:4] for row in rows[:3]] == [["1", "0.01", "0.1", "0"], ["1", "0.01", "0.1", "1"],
                                             ["2", "0.01", "0.5", "0"]]  # fmt: skip
    assert rows[-1][5:] == ["", "diverged", "0", "", "", "", "saturated_1", ""]
    section = (folder / "README.md").read_text().partition("## cells.csv")[2]
    names = re.findall(r"^\| (`.*`) \| .+ \|$", section, re.MULTILINE)
    assert re.findall("`([^`]+)`", " ".join(names)) == columns


@pytest.mark.usefixtures("undrawn_figures")
@pytest.mark.parametrize(
    ("values", "sections"),
    [
        ({"seed": ["0", "1", "2"]}, ["Learning curves"]),
        ({"network.activation": ["relu", "tanh"]}, ["Learning curves"]),
        ({"training.batch_size": [str(n) for n in range(1, 21)]}, ["Learning curves"]),
        ({"init.scale": ["1", "2"], "training.learning_rate": ["1", "2"],
          "network.hidden": ["[50]", "[50,100]"]},
         ["Test accuracy", "Learning curves", "Saturation"]),
    ],
)  # fmt: skip
def test_sections_follow_the_axes(
    tmp_path: Path, values: dict[str, list[str]], sections: list[str]
) -> None:
    write_sweep_report(sweep(values), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert re.findall("^## (.*)$", readme, re.MULTILINE) == [*sections, "cells.csv"]


@pytest.mark.usefixtures("undrawn_figures")
def test_a_sweep_without_any_result_has_a_report(tmp_path: Path) -> None:
    table = sweep({"init.scale": ["1", "2"], "training.learning_rate": ["1", "2"]})
    for number in range(4):
        table = diverged(table, number)
    write_sweep_report(table, tmp_path)
    assert "4 runs in 4 cells: 4 diverged." in (tmp_path / "README.md").read_text()


@pytest.mark.usefixtures("undrawn_figures")
def test_words_from_a_store_are_text(tmp_path: Path) -> None:
    tags = {"recipe": HOSTILE_NAME, "mlflow.source.name": HOSTILE_TAG}
    tags |= {f"preflight.{HOSTILE_NAME}": f"{HOSTILE_TAG} | <img src=x onerror=alert(1)>\n# x"}
    write_sweep_report(sweep(MAP, **tags), tmp_path)
    page, readme = ((tmp_path / name).read_text() for name in ("index.html", "README.md"))
    assert r"\[x\](javascript:alert(1)) \| \<img src=x onerror=alert(1)\> # x" in readme
    assert "<img src=x" not in page
    links = re.findall(r'href="([^"]*)"', page)
    assert all(link.startswith(("#", "http://127.0.0.1:5000/")) for link in links)
    assert Attributes(page).names <= ATTRIBUTES
