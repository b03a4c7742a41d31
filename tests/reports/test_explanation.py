"""The report of a study, from made data: every section in both forms, numbers, links, words."""

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
from reports.made import ATTRIBUTES, HOSTILE_NAME, HOSTILE_TAG, Attributes, results, study

from sgdprobe.config.settings import Settings
from sgdprobe.errors import UserError
from sgdprobe.reports import StudySummary, check_study_folder, verdict, write_study_report
from sgdprobe.reports.format import code, interval
from sgdprobe.reports.symptoms import least_loss, never_predicted
from sgdprobe.study.claim import Claim
from sgdprobe.study.diagnostics import FinalDiagnostics
from sgdprobe.study.factors import Factor, merge
from sgdprobe.study.intervals import Estimate, stopping_level
from sgdprobe.study.results import StudyResults
from sgdprobe.study.screening import Screening, as_screen
from sgdprobe.study.tuning import Tuned

SECTIONS = ["Shares of the gap", "Interactions", "Orderings", "Getting stuck", "Diagnostics"]
SECTIONS += ["Prediction of held-out cells", "Method"]
TUNED = "Each cell at its best training.learning_rate"
FIGURES = ["waterfall.svg", "interactions.svg", "orderings.svg", "waterfall_tuned.svg"]
FIGURES += ["interactions_tuned.svg", "orderings_tuned.svg", "learning_curves.svg"]
FIGURES += ["every_cell.svg", "saturation.svg"]
OVER_BATCH = {"network.softmax_over": "batch"}


@pytest.fixture(scope="module")
def folder(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a tuned study of three factors."""
    folder = tmp_path_factory.mktemp("study")
    own, tuned = study(digits, tuned=True)
    page, *_ = write_study_report(StudySummary(own, tuned), folder)
    assert page == folder / "index.html"
    return folder


@pytest.fixture(scope="module")
def readme(folder: Path) -> str:
    return (folder / "README.md").read_text()


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "index.html").read_text()


def test_both_forms_have_every_section(readme: str, page: str) -> None:
    body = [*SECTIONS[:4], TUNED, *SECTIONS[4:]]
    assert re.findall(r"^## (.*)$", readme, re.MULTILINE) == [*body, "cells.csv", "tuned.csv"]
    shown = [re.sub("<[^>]*>", "", text) for text in re.findall("<h2>(.*?)</h2>", page)]
    assert shown == [*body, "Runs", "Tuned runs"]


def test_every_figure_lies_beside_the_readme_and_in_the_page(
    folder: Path, readme: str, page: str
) -> None:
    shown = re.findall(r"^!\[(.{60,})\]\((\w+\.svg)\)$", readme, re.MULTILINE)
    assert [file for _, file in shown] == FIGURES
    assert all((folder / file).read_bytes().startswith(b"<?xml") for file in FIGURES)
    shown = re.findall(r'<svg class="(\w+)" .* role="group" aria-label="[^"]{60,}">', page)
    assert shown.count("screen") == shown.count("phone") == 9


def test_every_link_of_the_page_leads_somewhere(page: str) -> None:
    places = re.findall(r' id="([^"]+)"', page)
    assert len(places) == len(set(places))
    anchors = {place for place in places if not re.search(r"-[wn]\d+$", place)}
    assert len(anchors) == 2 + 8 + 4 * 2
    links = re.findall(r'<a [^>]*href="([^"]+)"', page)
    assert {link[1:] for link in links if link.startswith("#")} == anchors
    others = {link for link in links if not link.startswith("#")}
    assert all(link.startswith("http://127.0.0.1:5000/#/experiments/1/runs/") for link in others)
    assert len(others) == 24, "as many as runs; made runs of one number share their address"


def test_the_readme_links_files_and_no_server(readme: str) -> None:
    assert set(re.findall(r"\]\(([^)]*)\)", readme)) == {"cells.csv", "tuned.csv", *FIGURES}
    assert "127.0.0.1" not in readme


def test_the_summary_says_the_gap(readme: str) -> None:
    title, answer, recipe, sets, brackets, claim, size, table, _, gap, diverged, command, *_ = (
        readme.split("\n\n")
    )
    assert title == "# made: notes → book"
    assert re.fullmatch(
        r"\*\*From \[16\.\d\d % \[.*\]\]\(cells\.csv\) to \[80\.\d\d % \[.*\]\]\(cells\.csv\): "
        r"change these lines of `notes`\.\*\*",
        answer,
    )
    assert recipe.splitlines() == [
        "```yaml", "network:", "  softmax_over: sample  # was batch", "init:",
        "  scale: 0.01           # was 1", "training:", "  learning_rate: 0.1    # was 0.01", "```",
    ]  # fmt: skip
    assert "an interval holds the mean of all seeds. A † marks a number that rests on" in brackets
    assert size.startswith("Another threshold can ask for another number of changes.")
    assert claim.startswith("**`notes` does not reproduce its claim of 70.12 %.** It reaches 1")
    assert "anything outside the settings." in claim
    assert re.fullmatch(
        r"`notes` reaches \[16\.\d\d % \[.*\]\]\(cells\.csv\), `book` \[80\.\d\d % \[.*\]\]"
        r"\(cells\.csv\): a gap of \*\*\+6\d\.\d\d \[.*\] points\*\* "
        r"\(n = 3 seeds; float32, 12 updates; all 2\^3 = 8 cells were run\)\. "
        r"A cell is one combination of the 3 differences; all cells have the same seeds\. "
        r"\*\*3 seeds are few:\*\* each interval reaches 2\.5 standard .*10 seeds 0\.7;.*",
        gap,
    )
    assert sets.startswith("It takes all 3 changes to come within 1 point of `book`, or beyond it.")
    found = re.findall(r"^\| (\d) \| \[(\d\d)\..* \| \+(\d\d)\.\d\d \[", table, re.MULTILINE)
    assert found == [("1", "40", "39"), ("2", "60", "19")]
    assert diverged == "**1 run diverged** and count as guessing, 10 %; `cells.csv` marks them."
    assert command == "`python src/explain.py notes book --study made`"


def test_the_shares_sum_up(readme: str) -> None:
    table = readme.partition("share (Shapley)")[2].partition("\n\n")[0]
    *shares, total = (float(n) for n in re.findall(r"\*\*\+(\d+\.\d\d) \[", table))
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(total, abs=0.02), "two decimals each"


def test_the_columns_are_documented_in_their_order(folder: Path, readme: str) -> None:
    for name in ("cells.csv", "tuned.csv"):
        with (folder / name).open() as file:
            columns = next(csv.reader(file))
        section = readme.partition(f"## {name}")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| (`.*`) \| (.+) \|$", section, re.MULTILINE)
        assert re.findall("`([^`]+)`", " ".join(names for names, _ in rows)) == columns


def test_the_tables_hold_every_run(folder: Path) -> None:
    with (folder / "cells.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert [row["cell"] for row in cells[:4]] == ["000", "000", "000", "001"]
    assert cells[2]["diverged"] == "1"
    assert cells[2]["test_accuracy"] == "0.1", "guessing"
    assert (cells[0]["first_loss"], cells[0]["never_predicted"]) == ("2.3", "3 5")
    with (folder / "tuned.csv").open() as file:
        tuned = list(csv.DictReader(file))
    best = {(row["cell"], row["training.learning_rate"]) for row in tuned if row["best"] == "1"}
    assert best == {(cell, "0.1") for cell in ("00", "01", "10", "11")}


def test_the_same_study_gives_the_same_bytes(folder: Path, digits: Path, tmp_path: Path) -> None:
    own, tuned = study(digits, tuned=True)
    for file in write_study_report(StudySummary(own, tuned), tmp_path):
        assert file.read_bytes() == (folder / file.name).read_bytes(), file.name


@pytest.mark.usefixtures("undrawn_figures")
@pytest.mark.parametrize("factors", [1, 2])
def test_a_study_of_few_factors_has_every_section(
    digits: Path, tmp_path: Path, factors: int
) -> None:
    own, _ = study(digits, factors)
    write_study_report(StudySummary(own), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert re.findall(r"^## (.*)$", readme, re.MULTILINE) == [*SECTIONS, "cells.csv"]
    assert ("interactions.svg" in readme) == (factors > 1)
    assert "At least three factors are needed to hold out a cell." in readme
    assert (
        "`network.activation` stays `sigmoid`, as in `notes`; the recipe of the target has `relu`"
        in readme
    )


@pytest.mark.usefixtures("undrawn_figures")
def test_names_from_outside_are_text(digits: Path, tmp_path: Path) -> None:
    own, _ = study(digits)
    spec = replace(own.spec, baseline=HOSTILE_TAG, target=HOSTILE_NAME, name="<b>a|b</b>")
    write_study_report(StudySummary(replace(own, spec=spec)), tmp_path)
    page = (tmp_path / "index.html").read_text()
    links = re.findall(r'href="([^"]*)"', page)
    assert all(link.startswith(("#", "http://127.0.0.1:5000/")) for link in links)
    assert "<title>&lt;b&gt;a|b&lt;/b&gt;: [x](javascript:alert(1))" in page
    assert Attributes(page).names <= ATTRIBUTES
    readme = (tmp_path / "README.md").read_text()
    assert r"# \<b\>a\|b\</b\>: \[x\](javascript:alert(1)) → " in readme
    assert "[x](javascript" not in readme.replace("`[x](javascript:alert(1))`", "")


@pytest.mark.parametrize(
    ("values", "least"),
    [
        ({}, 0.0),
        (OVER_BATCH, log(100)),
        (OVER_BATCH | {"training.batch_size": 7}, log(7)),
        (OVER_BATCH | {"network.loss": "mean_squared_error"}, None),
        ({"network.loss": "mean_squared_error"}, 0.0),
    ],
)
def test_the_least_possible_loss(values: dict[str, object], least: float | None) -> None:
    assert least_loss(Settings().replace(values)) == least


def test_classes_that_some_runs_never_predict() -> None:
    every, two, one, diverged = (FinalDiagnostics(2.3, found) for found in ((), (5, 8), (8,), None))
    assert never_predicted([every, two, one, diverged]) == "5, 8 in 2 of 3 runs"
    assert never_predicted([every, every]) == "none"
    assert never_predicted([diverged]) is None


def test_a_symptom_is_shown_after_the_first_epoch_and_after_the_last(digits: Path) -> None:
    summary = StudySummary(study(digits)[0])
    assert summary.symptoms == {
        "symptom/saturated_1": "saturated 1", "symptom/gradient_norm_1": "gradient 1",
    }  # fmt: skip
    rows = list(summary.diagnostics())
    assert [row.sign for row in rows] == ["", "+", "+", "+", "", "−", "−", "−"]
    assert all(row.symptoms == [(0.25, 0.5), (1.0, 2.0)] for row in rows)


def test_the_verdict_fits_a_terminal(digits: Path) -> None:
    own, tuned = study(digits, tuned=True)
    claimed = replace(own, spec=replace(own.spec, claim=Claim(0.1234, 0)))
    lines = verdict(StudySummary(claimed, tuned))
    assert max(map(len, lines)) <= 80
    assert lines[0] == "notes does not reproduce its claim of 12.34 %"
    assert lines[1].startswith("notes 16.")
    text = " ".join(" ".join(lines).split())
    assert re.search(
        r"left to book with the best 1 change \+39.* 2 changes \+19.* points enough", text
    )
    assert "points, of which (right: at each cell's best training.learning_rate)" in text
    assert text.endswith(
        "enough to come within 1 point of book: network.softmax_over, init.scale and "
        "training.learning_rate"
    )


def at(own: StudyResults, values: Mapping[tuple[int, ...], list[float]]) -> StudyResults:
    """The same study with these test accuracies of each seed."""
    runs = {
        (cell, seed): replace(own.runs[cell, seed], status="FINISHED", tags={},
                              metrics={**own.runs[cell, seed].metrics, "test_accuracy": accuracy})
        for cell, accuracies in values.items()
        for seed, accuracy in enumerate(accuracies)
    }  # fmt: skip
    return replace(own, runs=runs)


@pytest.mark.usefixtures("undrawn_figures")
@pytest.mark.parametrize(
    ("values", "page_says", "terminal_says"),
    [
        (
            {(0,): [0.5, 0.6, 0.9], (1,): [0.9, 0.6, 0.5]},
            "**The two do not differ clearly:** the interval of the gap includes 0, so no set",
            "the two do not differ clearly: the interval of the gap includes 0",
        ),
        (
            {(0,): [0.25, 0.25, 0.25], (1,): [0.75, 0.75, 0.75]},
            "**All seeds give the same gap**, which says nothing about other seeds: no set",
            "all seeds give the same gap, which says nothing about other seeds",
        ),
    ],
)
def test_terminal_and_page_agree_on_a_gap_that_is_not_clear(
    digits: Path, tmp_path: Path, values: dict[tuple[int, ...], list[float]], page_says: str,
    terminal_says: str,
) -> None:  # fmt: skip
    own = at(study(digits, 1)[0], values)
    write_study_report(StudySummary(own), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert page_says in readme
    assert verdict(StudySummary(own))[-1] == terminal_says
    assert "enough to come" not in " ".join(verdict(StudySummary(own)))
    assert "within 1 point" not in readme
    if "All" in page_says:
        assert "**+50.00 [all seeds equal] points**" in readme
        assert "has no clear share: all seeds give the same, which says nothing" in readme


@pytest.mark.usefixtures("undrawn_figures")
def test_a_share_that_rests_on_one_seed_is_marked(digits: Path, tmp_path: Path) -> None:
    base = study(digits, 1)[0]
    design = replace(base.factorial, seeds=6)
    six = {(c, s): base.runs[c, s % 3] for c in design.cells() for s in range(6)}
    low = [0.50, 0.51, 0.49, 0.50, 0.51, 0.20]  # the gap of seed 5 is 0.70, of the others 0.40
    own = at(replace(base, factorial=design, runs=six), {(0,): low, (1,): [0.9] * 6})
    write_study_report(StudySummary(own), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert "**+44.83 [+31.87, +57.80]†**" in readme
    assert (
        "* The share of `init.scale` rests on one seed (†): without seed 5 it is "
        "+39.80 [+38.76, +40.84] instead of +44.83 [+31.87, +57.80]†."
    ).replace("init.scale", own.factorial.names[0]) in readme
    assert "† rests on one seed: one of the seeds differs" in readme
    assert "rests on seed 5: without it +39.80 [+38.76, +40.84]" in "\n".join(
        verdict(StudySummary(own))
    )
    name = own.factorial.names[0]
    assert "* [no change](cells.csv): seed 5 ends at 20.00 %, the others at 50.20 % [" in readme
    # Drawn again, a third of the studies have no seed 5: (5/6)^6 = 0.335; those miss 44.83.
    (holds,) = re.findall(rf"^\| `{name}` .* (\d+) % \|$", readme, re.MULTILINE)
    assert 50 < int(holds) < 70


@pytest.mark.usefixtures("undrawn_figures")
def test_runs_that_get_stuck_are_an_outcome_of_their_own(digits: Path, tmp_path: Path) -> None:
    own = at(study(digits, 1)[0], {(0,): [0.1, 0.5, 0.6], (1,): [0.9, 0.91, 0.92]})
    write_study_report(StudySummary(own), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    section = readme.partition("## Getting stuck")[2].partition("\n## ")[0]
    # Halfway from guessing, 10 %, to 91 %, the mean of the target.
    assert "ends below **50.50 %**, halfway from guessing, 10.00 %" in section
    assert "| [no change](cells.csv) | 1 of 3 | 1 to 91 % | – | 40.00 % [" in section
    assert "every run reaches it: of all seeds 29 to 100 % do." in section
    name = own.factorial.names[0]
    assert f"| `{name}` | +51.00 [" in section
    assert "| +66.67 [−76.76, +100.00]† |" in section, "two of three seeds are saved"
    asked = replace(own, spec=replace(own.spec, reach=0.05))
    write_study_report(StudySummary(asked), tmp_path / "asked")
    readme = (tmp_path / "asked" / "README.md").read_text()
    assert "ends below **5.00 %**, the accuracy given by `--reach`." in readme
    # Of 3 seeds none is stuck: 0.025^(1/3) = 0.29, so at most 71 % of all.
    assert "in each cell fewer than 71 % of all seeds do" in readme


@pytest.mark.usefixtures("undrawn_figures")
def test_seeds_that_were_added_are_said(digits: Path, tmp_path: Path) -> None:
    own, _ = study(digits)
    spec = replace(own.spec, within=0.02, looks=(3, 5, 8))
    summary = StudySummary(replace(own, spec=spec))
    write_study_report(summary, tmp_path)
    readme = (tmp_path / "README.md").read_text()
    level = f"{100 * stopping_level((3, 5, 8)):.1f} %"
    assert "reached at most ±2.00 points; 3 seeds did not reach it" in readme
    assert "Looked at are 3, 5 and 8 seeds." in readme
    assert f"each of this page is one of {level}." in readme
    wider = summary.own.gap.high - summary.own.gap.mean
    own_width = StudySummary(own).own.gap.high - StudySummary(own).own.gap.mean
    assert wider > 1.1 * own_width
    assert not summary.within_reached


@pytest.mark.usefixtures("undrawn_figures")
def test_a_screening_says_what_it_kept_and_what_it_cannot_see(digits: Path, tmp_path: Path) -> None:
    own, _ = study(digits)
    factors = tuple(Factor(f"f{i}", (f"k{i}",), ((0,), (1,))) for i in range(9))
    design = as_screen(replace(own.factorial, factors=factors), 6)
    y = np.array([[0.01 * sum(cell[i] * i for i in range(9))] * 3 for cell in design.cells()])
    y += np.random.default_rng(0).normal(0, 0.001, y.shape)
    write_study_report(StudySummary(own, screening=Screening(design, y, 6)), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    section = readme.partition("## Screening")[2].partition("\n## ")[0]
    assert "The recipes differ in 9 settings" in section
    assert "First, 32 of the combinations were run" in section
    assert re.search(r"\| `f8` \| \+(?:7\.9|8\.0)\d \[.*\] \| `0` → `1` \| one by one \|", section)
    assert re.search(r"\| `f2` \| \+[12]\.\d\d \[.*\] \| `0` → `1` \| in the rest \|", section)
    assert "two differences that matter only together can have small effects here" in section


@pytest.mark.usefixtures("undrawn_figures")
def test_accuracies_stay_inside_0_and_100(digits: Path, tmp_path: Path) -> None:
    own, _ = study(digits)  # k = 3: the target is predicted, with an interval up to 1.2
    values = {cell: [0.30 + 0.33 * sum(cell) + 0.1 * s for s in (-1, 0, 1)]
              for cell in own.factorial.cells()}  # fmt: skip
    values[1, 1, 1] = [0.93, 0.95, 0.97]
    write_study_report(StudySummary(at(own, values)), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert re.search(r"\| 100\.00 % \[\d\d\.\d\d, 100\.00\] \| 95\.00 % \| inside \|", readme)
    assert interval(Estimate(1.31, 1.2, 1.4)) == "100.00 % [beyond]"
    for number in re.findall(r"([\d.−]+) % \[([\d.−]+), ([\d.−]+)\]", readme):
        assert all(0 <= float(one) <= 100 for one in number)


@pytest.mark.usefixtures("undrawn_figures")
def test_a_group_is_one_factor_everywhere(digits: Path, tmp_path: Path) -> None:
    _, tuned = study(digits, 3, tuned=True)
    assert tuned is not None
    own = study(digits, 3)[0]
    names = ("network.softmax_over", "init.scale")
    factorials = [
        replace(one, factors=merge(one.factors, [names]))
        for one in (own.factorial, *(tried.factorial for tried in tuned.tried))
    ]
    spec = replace(own.spec, groups=(names,), tuned="training.learning_rate")
    own, *tried = (results(spec, factorial) for factorial in factorials)
    write_study_report(StudySummary(own, Tuned("training.learning_rate", tuple(tried))), tmp_path)
    group = "network.softmax_over+init.scale"
    readme = (tmp_path / "README.md").read_text()
    assert f"| `{group}` | **" in readme
    assert "`batch 1` → `sample 0.01`" in readme
    assert f"`{group}` × `training.learning_rate`" in readme
    for file in ("cells.csv", "tuned.csv"):
        with (tmp_path / file).open() as lines:
            assert {row[group] for row in csv.DictReader(lines)} == {"batch 1", "sample 0.01"}
    assert group in "\n".join(verdict(StudySummary(own)))


def test_another_question_is_replaced_by_force_only(digits: Path, tmp_path: Path) -> None:
    spec = replace(study(digits)[0].spec, command="python src/explain.py --fix 'a b' x|y")
    folder = tmp_path / "study"
    check_study_folder(folder, spec, False)
    folder.mkdir()
    (folder / "README.md").write_text(f"# x\n\n{code(spec.command)}\n")
    check_study_folder(folder, spec, False)
    other = replace(spec, command="python src/explain.py --seeds 3 x y")
    with pytest.raises(
        UserError, match="holds another report; --study gives another name, --force"
    ):
        check_study_folder(folder, other, False)
    check_study_folder(folder, other, True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file takes no report: it is no folder, or you may not"):
        check_study_folder(tmp_path / "file" / "study", other, True)
