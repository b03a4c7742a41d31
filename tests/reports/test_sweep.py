"""The report of a sweep, from made data: sections, cells, links, words from outside."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from reports.made import ATTRIBUTES, HOSTILE_NAME, HOSTILE_TAG, Attributes, diverged, sweep

from sgdprobe.errors import UserError
from sgdprobe.reports import SweepTable, check_sweep_folder, sweep_answer, write_sweep_report
from sgdprobe.tracking import RecordedRun

MAP = {"init.scale": ["0.01", "1"], "training.learning_rate": ["0.1", "0.5"], "seed": ["0", "1"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    tags = {"preflight.saturated_1": "layer 1: 99.9 % of units are saturated"}
    table = diverged(diverged(sweep(MAP, **tags), 6), 7)
    # Two seeds of each cell: half of the studies drawn again have one of them twice.
    # The deviations are 0.005 √2, 0 and 0; pooled, √(0.00005 / 3).
    accuracies = (0.795, 0.805, 0.7, 0.7, 0.5, 0.5)
    runs = [with_accuracy(run, a) for run, a in zip(table.runs, accuracies, strict=False)]
    table = replace(table, runs=[*runs, *table.runs[6:]])
    write_sweep_report(table, folder, "Do initial *weights* matter?")
    return folder


def with_accuracy(run: RecordedRun, accuracy: float) -> RecordedRun:
    return replace(run, metrics={**run.metrics, "test_accuracy": accuracy})


def test_the_readme(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    head, _, rest = readme.partition("\n## Test accuracy\n")
    assert [line for line in head.splitlines() if line] == [
        "# made: test accuracy by init.scale and training.learning_rate",
        "*Do initial \\*weights\\* matter?*",
        "**Best: [80.00 % [73.65, 86.35]](cells.csv) with `init.scale=0.01, "
        "training.learning_rate=0.1`; worst: [50.00 % [all seeds equal]](cells.csv) with "
        "`init.scale=1, training.learning_rate=0.1`.**",
        "`init.scale` matters most: in the mean "
        # Of seed 0: (79.5 + 70) / 2 - 50 = 24.75, of seed 1 25.25: t(1) √2 0.25 / √2 = 3.18.
        "75.00 % at 0.01, 50.00 % at 1, a difference of +25.00 [+21.82, +28.18] points; then "
        "`training.learning_rate` (5.00). Chance alone moves a run by 0.41 points (standard "
        "deviation between seeds); best and worst are 30.00 apart. Without a result: 2 of 8 runs "
        "(6 finished, 2 diverged).",
        "**Chance:** runs that differ in the seed only have a standard deviation of 0.41 points "
        "(pooled over 3 cells; at most 0.71 in one). Brackets are 95 % intervals of the mean over "
        "the seeds: in 95 of 100 sweeps like this one such an interval holds the mean of all "
        "seeds. In studies drawn again from these runs they hold in 52 % or more; a few runs "
        "unlike the rest make that less. Best and worst were selected after seeing the data.",
        "* `book`: [80.00 % [73.65, 86.35]](cells.csv), "
        "`init.scale=0.01, training.learning_rate=0.1`",
        "Mean test accuracy over all settings of the other axes; runs without a result are left "
        "out. Brackets are 95 % intervals of the difference, paired by seed:",
        "| setting | difference, points | best value | worst value |",
        "| --- | --- | --- | --- |",
        "| `init.scale` | +25.00 [+21.82, +28.18] | 0.01: 75.00 % | 1: 50.00 % |",
        # Of seed 0: 70 - (79.5 + 50) / 2 = 5.25, of seed 1 4.75.
        "| `training.learning_rate` | +5.00 [+1.82, +8.18] | 0.5: 70.00 % | 0.1: 65.00 % |",
        "Sweep `20260101-000000-made`: 8 runs in 4 cells, 6 finished, 2 diverged; float32, 10000 "
        "updates. Varied: `init.scale` and `training.learning_rate`. All runs are listed in "
        "[`cells.csv`](cells.csv). Made by `train.py -m made`.",
    ]
    assert (
        "| `network.hidden=[50]` init.scale ↓ training.learning_rate → | 0.1 | 0.5 |\n"
        "| --- | --- | --- |\n"
        "| 0.01 | [80.00 % [73.65, 86.35]](cells.csv) `book` | "
        "[70.00 % [all seeds equal]](cells.csv) |\n"
        "| 1 | [50.00 % [all seeds equal]](cells.csv) | [diverged](cells.csv) |\n"
    ) in rest
    assert "| `saturated_1` | 8 | layer 1: 99.9 % of units are saturated (00000000) |" in rest
    assert "127.0.0.1" not in readme
    assert re.findall("^## (.*)$", readme, re.MULTILINE) == [
        "Test accuracy", "Learning curves", "Saturation", "Warnings before training", "cells.csv",
    ]  # fmt: skip


def test_runs_of_another_source_are_cells_of_their_own(tmp_path: Path) -> None:
    before = sweep({"seed": ["0", "1"]}, source_hash="a" * 64, data_hash="d" * 64).runs
    after = sweep({"seed": ["0", "1"]}, source_hash="b" * 64, data_hash="d" * 64).runs
    runs = [
        replace(run, run_id=f"{n:032x}", tags={**run.tags, "key": f"{n % 4}"})
        for n, run in enumerate([*before, *after, *after, *after])
    ]
    table = SweepTable.of("made", runs, {})
    assert len(table.runs) == 4, "runs of the same key count once"
    assert table.axes == ("source",)
    assert {cell: len(found) for cell, found in table.cells.items()} == {
        ("aaaaaaaa",): 2, ("bbbbbbbb",): 2,
    }  # fmt: skip
    write_sweep_report(table, tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert (
        "Source `aaaaaaaa` and `bbbbbbbb`, data `dddddddd`: **runs of another version are cells "
        "of their own**." in readme
    )
    one = SweepTable.of("made", before, {})
    write_sweep_report(one, tmp_path)
    assert "Source `aaaaaaaa`, data `dddddddd`." in (tmp_path / "README.md").read_text()


@pytest.mark.usefixtures("undrawn_figures")
def test_a_record_that_contradicts_itself_is_named_on_the_page(tmp_path: Path) -> None:
    table = sweep(MAP)
    wrong = replace(table.runs[3], contradictions=("loss of epoch 2: the store has 1 <b>", "b"))
    table = replace(table, runs=[*table.runs[:3], wrong, *table.runs[4:]])
    write_sweep_report(table, tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert "**Records that contradict themselves.** This page shows what the store has." in readme
    assert f"* `{wrong.run_id}`: loss of epoch 2: the store has 1" in readme
    assert "<b>" not in (tmp_path / "index.html").read_text()


def test_every_link_of_the_page_leads_somewhere(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    places = re.findall(r' id="([^"]+)"', page)
    assert len(places) == len(set(places))
    anchors = sorted(place for place in places if not re.search(r"-[wn]\d+$", place))
    assert anchors == ["cell-1", "cell-2", "cell-3", "cell-4", "columns"]
    links = set(re.findall(r'<a [^>]*href="([^"]+)"', page))
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
    readme = (tmp_path / "README.md").read_text()
    assert "4 runs in 4 cells, 4 diverged;" in readme
    assert "**No run has a result:** 4 diverged." in readme
    assert "matters" not in readme
    assert "chance" not in readme


@pytest.mark.usefixtures("undrawn_figures")
def test_one_seed_says_nothing_about_chance(tmp_path: Path) -> None:
    write_sweep_report(sweep({"init.scale": ["1", "2"]}), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert "How much of this is chance, one run for each cell cannot say: `seed=0,1,2`" in readme
    assert "intervals" not in readme.partition("\n## ")[0]


def test_a_difference_that_may_be_chance_is_said_to_be() -> None:
    table = sweep({"init.scale": ["1", "2"], "seed": ["0", "1"]})
    accuracies = (0.7, 0.5, 0.6, 0.8)  # of scale 2 minus scale 1: -10 and +30 points
    runs = [with_accuracy(run, a) for run, a in zip(table.runs, accuracies, strict=True)]
    answer = sweep_answer(replace(table, runs=runs))
    # Student's t of two values: 12.71 · 28.28 / √2 = 254.
    assert (
        "In the mean 70.00 % at 2, 60.00 % at 1, a difference of +10.00 [−244.12, +264.12] points, "
        "which may be chance (its interval includes 0)."
    ) in answer
    assert "](" not in answer, "text for MLflow, without links"


@pytest.mark.usefixtures("undrawn_figures")
def test_a_sweep_over_seeds_is_one_cell(tmp_path: Path) -> None:
    table = sweep({"seed": ["0", "1"]})
    runs = [with_accuracy(run, a) for run, a in zip(table.runs, (0.6, 0.7), strict=True)]
    write_sweep_report(replace(table, runs=runs), tmp_path)
    title, result, chance, *_ = (tmp_path / "README.md").read_text().split("\n\n")
    assert (title, result) == (
        "# made: 2 runs",
        "**All runs have the same settings: [65.00 % [1.47, 100.00]](cells.csv).** Chance alone "
        "moves a run by 7.07 points (standard deviation between seeds).",
    )
    assert "standard deviation of 7.07 points" in chance


def test_a_phone_shows_the_accuracy_and_figures_of_its_own(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    rows = page.partition("All cells</h2>")[2]
    assert re.findall(r'<th scope="col">(.*?)</th>', rows)[:2] == ["cell", "test accuracy"]
    phone = page.partition("@media screen and (max-width")[2].partition("@media")[0]
    assert "svg.screen { display: none } svg.phone { display: block }" in phone
    shown = re.findall(r'<svg class="(\w+)" viewBox="0 0 ([\d.]+) ', page)
    assert [kind for kind, _ in shown] == ["screen", "phone"] * 3
    assert {(kind, float(width)) for kind, width in shown} == {("screen", 648), ("phone", 302.4)}


def test_each_cell_and_each_curve_has_a_tooltip_and_a_link(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    figures = [
        re.findall(r"<svg .*?</svg>", figure, re.DOTALL)
        for figure in re.findall(r"<figure>.*?</figure>", page, re.DOTALL)
    ]
    best = "book, init.scale=0.01, training.learning_rate=0.1: 80.00 % [73.65, 86.35], 2 runs"
    heat_map, curves = figures[:2]
    for drawn, places in ((heat_map, "1234"), (curves, "123")):
        for form in drawn:
            marks = re.findall(r'<a href="#cell-(\d)"><title>(.*?)</title>', form)
            assert "".join(place for place, _ in marks) == places
            assert dict(marks)["1"] == best
    assert dict(re.findall(r'#cell-(\d)"><title>(.*?)</title>', heat_map[0]))["4"].endswith(
        ": diverged, 2 runs"
    )


def test_another_report_is_replaced_by_force_only(tmp_path: Path) -> None:
    table = sweep({"init.scale": ["1", "2"]})
    check_sweep_folder(tmp_path / "none", table)
    write_sweep_report(table, tmp_path)
    check_sweep_folder(tmp_path, table)
    more = [*table.runs, replace(table.runs[0], run_id="f" * 32)]
    check_sweep_folder(tmp_path, replace(table, runs=more))
    for other in (replace(table, runs=table.runs[1:]), replace(table, name="other")):
        with pytest.raises(
            UserError, match="holds another report; --study gives another name, --f"
        ):
            check_sweep_folder(tmp_path, other)
    (tmp_path / "README.md").write_text("# Notes of somebody\n")
    with pytest.raises(UserError, match="holds another report"):
        check_sweep_folder(tmp_path, table)


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
