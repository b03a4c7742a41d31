"""explain.py as a process: a small study, its report, and requests that it rejects."""

import csv
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest
from support import client_of

from sgdprobe.commands.explain_options import parser, recipe_pairs
from sgdprobe.config.recipe_pair import RecipePair

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RunCommands = Callable[..., list[CompletedProcess[str]]]

DIGITS = "0123456789"
FACTORS = ("data.scale", "init.scale", "training.learning_rate")
SMALL = ["notes", "book", "--fix", "dtype=float32", "--factors", ",".join(FACTORS)]
SMALL += ["--seeds", "2", "--study", "small", "--claim", "70.12", "--tolerance", "1"]
RUNS = 2**3 * 2
# The other studies need no worker processes, which take seconds to start.
HERE = ["--fix", "sweep.backend=sequential"]

TUNE = ["--tune", "training.learning_rate=0.01,0.1"]
TUNED = ["notes", "book", "--fix", "dtype=float32", "--factors", ",".join(FACTORS), *TUNE]
TUNED += ["--seeds", "2", "--study", "tuned", *HERE]

DIVERGING = ["book", "book", "--with", "training.learning_rate=0.1,1e30", "--seeds", "2"]
DIVERGING += ["--fix", "network.activation=identity", *HERE]


@pytest.fixture(scope="module")
def root(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project of its own: a report is written into it."""
    root = tmp_path_factory.mktemp("explained") / "project"
    shutil.copytree(project, root, ignore=shutil.ignore_patterns("mlflow.db*", "mlruns"))
    return root


@pytest.fixture(scope="module")
def explain(root: Path, run_commands: RunCommands) -> RunCommands:
    def run(commands: list[list[str]], store: str) -> list[CompletedProcess[str]]:
        return run_commands(commands, root=root, script="src/explain.py", MLFLOW_TRACKING_URI=store)

    return run


@pytest.fixture(scope="module")
def store(new_store: Callable[[], str]) -> str:
    return new_store()


@pytest.fixture(scope="module")
def study(root: Path, explain: RunCommands, store: str) -> Path:
    """The folder of a small study; beside it are one whose runs diverge, and the same, tuned."""
    answer, diverging, tuned = explain([SMALL, DIVERGING, TUNED], store)
    assert tuned.returncode == 0, tuned.stderr
    said = " ".join(tuned.stdout.split())
    assert "+ 2^2 cells × 2 values of training.learning_rate × 2 seeds = 32 runs" in said
    assert "16 recorded, 16 to run: about" in said
    assert diverging.returncode == 0, diverging.stderr
    assert answer.returncode == 0, answer.stderr
    assert "2^3 cells × 2 seeds = 16 runs, 0 recorded, 16 to run: about" in answer.stdout
    return root / "experiments" / "small"


def lines(study: Path, file: str = "cells.csv") -> list[dict[str, str]]:
    return list(csv.DictReader((study / file).read_text().splitlines()))


def test_every_run_is_recorded_flat_under_the_study(
    study: Path, store: str, runs: "Callable[[str], list[Run]]", client: "MlflowClient"
) -> None:
    found = [run for run in runs(store) if run.data.tags["study"] == "small"]
    assert len(found) == RUNS
    assert {run.info.status for run in found} == {"FINISHED"}
    assert {run.data.tags["study"] for run in found} == {"small"}
    assert len({run.data.tags["sweep"] for run in found}) == 1
    (experiment,) = {run.info.experiment_id for run in found}
    assert client.get_experiment(experiment).name == "small"


@pytest.fixture
def client(study: Path, store: str) -> "MlflowClient":
    assert study.exists()
    return client_of(store)


def test_cells_csv_holds_what_the_runs_recorded(study: Path, client: "MlflowClient") -> None:
    rows = lines(study)
    assert len(rows) == RUNS
    assert len({row["run_id"] for row in rows}) == RUNS
    for row in rows:
        run = client.get_run(row["run_id"])
        for name in ("test_accuracy", "train_accuracy", "loss", "symptom/saturated_1"):
            assert float(row[name]) == run.data.metrics[name], name
        for factor in FACTORS:
            assert row[factor] == run.data.params[factor]
        assert row["seed"] == run.data.params["seed"]
        assert row["diverged"] == "0"
        assert 0 < float(row["first_loss"]) < 20
        assert row["never_predicted"] == "none" or set(row["never_predicted"]) <= {*DIGITS, " "}
        ends = row["data.scale"] == "unit", row["init.scale"] == "0.01"
        assert row["cell"][:2] == "".join(str(int(end)) for end in ends)


def test_the_columns_are_documented(study: Path) -> None:
    readme = (study / "README.md").read_text()
    for column in lines(study)[0]:
        assert f"`{column}`" in readme.partition("## cells.csv")[2], column


def test_the_report_shows_its_figures_and_the_shares_sum_up(study: Path) -> None:
    readme = (study / "README.md").read_text()
    pictures = re.findall(r"!\[([^\n]+)\]\((\w+\.svg)\)", readme)
    assert len(pictures) == 6
    for alt, file in pictures:
        assert len(alt) > 60
        assert (study / file).read_bytes().startswith(b"<?xml")
    table = readme.partition("share (Shapley)")[2].partition("\n\n")[0]
    number = r"\*\*([+−]?\d+\.\d\d) \["
    *shares, total = (float(n.replace("−", "-")) for n in re.findall(number, table))
    assert len(shares) == len(FACTORS)
    assert sum(shares) == pytest.approx(total, abs=0.02), "two decimals each"


def test_a_claim_that_is_not_reproduced_comes_before_the_tables(study: Path) -> None:
    above = (study / "README.md").read_text().partition("\n| ")[0].split("\n\n")
    (first,) = (text for text in above if "its claim" in text)
    assert (study / "README.md").read_text().startswith("# small: notes → book + 2 changes\n")
    assert first.startswith("**`notes` does not reproduce its claim of 70.12 %.**")
    assert "`training.iterations=12`" in first
    assert "; float32, 12 updates; all 2^3 = 8 cells were run)" in (study / "README.md").read_text()
    assert "`network.hidden` stays `[50,100]`, as in `notes`" in (study / "README.md").read_text()


def test_the_page_is_self_contained(study: Path) -> None:
    page = (study / "index.html").read_text()
    assert not re.search(r"<(script|link|iframe|image|img)|@import|url\((?!#)", page)
    assert len(re.findall(r'<svg [^>]*role="group" aria-label="[^"]{60,}"', page)) == 2 * 6
    places = re.findall(r' id="([^"]+)"', page)
    assert len(places) == len(set(places))
    addresses = set(re.findall(r'href="([^"]+)"', page))
    used = addresses | {found[1] for found in re.findall(r"(url\()(#[^)]+)", page)}
    assert {a for a in used if a.startswith("#")} == {f"#{place}" for place in places}
    assert "runs" in places
    for row in lines(study):
        assert any(f"/runs/{row['run_id']}" in address for address in addresses)


def test_a_failed_run_is_no_result_and_is_run_again(
    study: Path, explain: RunCommands, store: str, runs: "Callable[[str], list[Run]]",
    client: "MlflowClient",
) -> None:  # fmt: skip
    before = {path.name: path.read_text() for path in study.iterdir()}
    assert len(before) == 9
    count = len(runs(store))
    lost = lines(study)[5]["run_id"]
    client.set_terminated(lost, "FAILED")
    shutil.rmtree(study)
    refused, answer = explain([[*SMALL, "--no-run"], SMALL], store)
    assert refused.returncode == 2
    assert refused.stderr.startswith("1 of 16 runs are missing or failed, in 010 of the cells")
    assert refused.stderr.count("\n") == 1, refused.stderr
    assert answer.returncode == 0, answer.stderr
    assert "15 recorded, 1 to run" in answer.stdout
    *_, new = runs(store)
    assert len(runs(store)) == count + 1
    for name, text in before.items():
        ours = text.replace(lost, new.info.run_id).replace(lost[:8], new.info.run_id[:8])
        assert (study / name).read_text() == ours, f"{name}: not the same bytes"


def test_a_run_that_diverges_counts_as_guessing_and_is_marked(study: Path) -> None:
    folder = study.parent / "explain-book-book"
    rows = lines(folder)
    assert [(row["cell"], row["diverged"]) for row in rows] == [
        ("0", "0"), ("0", "0"), ("1", "1"), ("1", "1"),
    ]  # fmt: skip
    assert [row["test_accuracy"] for row in rows[2:]] == ["0.1", "0.1"]
    assert "**2 runs diverged** and count as guessing, 10 %" in (folder / "README.md").read_text()
    assert "(diverged)" in (folder / "index.html").read_text()


def test_the_page_is_an_artifact_of_the_first_run_of_the_baseline(
    study: Path, client: "MlflowClient"
) -> None:
    first = lines(study)[0]["run_id"]
    kept = client.download_artifacts(first, "small/index.html")
    assert Path(kept).read_bytes() == (study / "index.html").read_bytes()


def test_a_database_and_a_server_give_the_same_results(
    study: Path, store: str, client: "MlflowClient"
) -> None:
    from sgdprobe import tracking
    from sgdprobe.tracking.queries import RunReader
    from sgdprobe.tracking.sql import SqlReader

    rows = {row["run_id"]: row for row in lines(study.parent / "explain-book-book")}
    keys = [client.get_run(run_id).data.tags["key"] for run_id in rows]
    results = tracking.recorded_results(store, keys)
    assert {run.run_id: run.diverged for run in results.values()} == {
        run_id: row["diverged"] == "1" for run_id, row in rows.items()
    }
    for runs in (SqlReader(store), RunReader(store)):
        found = runs.with_tag("key", keys)
        assert {run.tags["key"]: replace(run, params={}) for run in found} == results
    names = ["test_accuracy", "symptom/"]
    found = list(results.values())
    by_sql, by_client = (
        tracking.with_series(runs, found, names) for runs in (SqlReader(store), RunReader(store))
    )
    assert by_sql == by_client
    assert {len(run.series.get("test_accuracy", ())) for run in by_sql} == {0, 3}
    losses = tracking.recorded_losses(store, next(run for run in found if not run.diverged))
    assert losses is not None
    assert len(losses) == 12


def test_each_cell_is_tuned_on_images_held_out(study: Path, client: "MlflowClient") -> None:
    folder = study.parent / "tuned"
    rows = lines(folder, "tuned.csv")
    assert len(rows) == len({row["run_id"] for row in rows}) == 16
    means: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        run = client.get_run(row["run_id"])
        assert run.data.params["data.validation"] == "100", "one in six of 600"
        assert run.data.params["training.learning_rate"] == row["training.learning_rate"]
        for name in ("validation_accuracy", "test_accuracy", "train_accuracy", "loss"):
            assert float(row[name]) == run.data.metrics[name], name
        by_value = means.setdefault(row["cell"], {})
        by_value.setdefault(row["training.learning_rate"], []).append(
            float(row["validation_accuracy"])
        )
    assert list(means) == ["00", "01", "10", "11"]
    for row in rows:
        by_value = means[row["cell"]]
        chosen = max(by_value, key=lambda value: sum(by_value[value]))
        assert row["best"] == str(int(row["training.learning_rate"] == chosen))
    best = [row for row in rows if row["best"] == "1"]
    first = [100 * float(row["test_accuracy"]) for row in best if row["cell"] == "00"]
    readme = (folder / "README.md").read_text()
    section = readme.partition("## Each cell at its best training.learning_rate")[2]
    assert "on 600 − 100 training images" in section
    assert f"`notes` reaches [{sum(first) / 2:.2f} % [" in section
    assert "](tuned.csv)" in section


def test_the_untuned_half_of_a_tuned_study_is_the_study(study: Path) -> None:
    ours, theirs = (
        [row | {"run_id": ""} for row in lines(folder)]
        for folder in (study, study.parent / "tuned")
    )
    assert ours == theirs
    columns = (study.parent / "tuned" / "README.md").read_text().partition("## tuned.csv")[2]
    for column in lines(study.parent / "tuned", "tuned.csv")[0]:
        assert f"`{column}`" in columns, column


def test_every_link_of_a_tuned_page_leads_somewhere(study: Path) -> None:
    page = (study.parent / "tuned" / "index.html").read_text()
    places = set(re.findall(r'id="([^"]+)"', page))
    inside = {a[1:] for a in re.findall(r'href="([^"]+)"', page) if a.startswith("#")}
    assert inside <= places
    assert {"tuned-runs", "tuned-00-0", "tuned-11-1"} <= inside
    assert len(re.findall(r'aria-label="[^"]{60,}"', page)) == 2 * 9


def test_seeds_are_added_until_the_shares_are_known(
    explain: RunCommands, root: Path, store: str
) -> None:
    words = ["notes", "book", "--factors", "init.scale,training.learning_rate", *HERE]
    words += ["--fix", "dtype=float32", "--seeds", "2", "--study", "added"]
    first, again, never = explain(
        [[*words, "--within", "9"], [*words, "--within", "9"], [*words, "--within", "100"]], store
    )
    assert first.returncode == 0, first.stderr
    plans = re.findall(r"2\^2 cells × (\d+) seeds = \d+ runs, (\d+) recorded", first.stdout)
    seeds, recorded = ([int(one) for one in each] for each in zip(*plans, strict=True))
    assert seeds == [2, 3, 5, 8, 12, 18, 27, 41, 62, 93, 100][: len(seeds)]
    assert len(seeds) > 1, "two seeds are not enough for ±9 points"
    assert recorded[1:] == [4 * n for n in seeds[:-1]], "each look runs only what it adds"
    assert "to run" not in again.stdout, "all runs are recorded: the same looks, no run"
    readme = (root / "experiments/added/README.md").read_text()
    assert f"reached at most ±9.00 points; {seeds[-1]} seeds were enough." in readme
    assert f"(n = {seeds[-1]} seeds;" in readme
    assert len(lines(root / "experiments/added")) == 4 * seeds[-1]
    assert never.returncode == 2
    assert "holds another report" in never.stderr, "another question needs another name"


def test_many_differences_are_screened(explain: RunCommands, root: Path, store: str) -> None:
    words = ["notes", "book", *MORE, "--seeds", "2", "--screen", "2", "--study", "screened"]
    (answer,) = explain([[*words, "--fix", "dtype=float32", *HERE, *ONE_MORE]], store)
    assert answer.returncode == 0, answer.stderr
    said = " ".join(answer.stdout.split())
    assert "32 cells of a screening × 2 seeds = 64 runs, 0 recorded" in said
    kept = re.findall(r"screening keeps: (.*)", answer.stdout)[0].split(", ")
    assert len(kept) == 2
    # The two corners of the screening are cells of the exact study, too.
    assert re.search(r"2\^3 cells × 2 seeds = 16 runs, [1-9]\d? recorded", said), said
    readme = (root / "experiments/screened/README.md").read_text()
    assert "First, 32 of the combinations were run" in readme
    rows = lines(root / "experiments/screened")
    assert len(rows) == 16
    assert set(kept) <= set(rows[0])
    assert len({row["the rest"] for row in rows}) == 2


def test_a_broken_store_is_not_an_empty_one(explain: RunCommands, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 100)
    (answer,) = explain([[*SMALL, "--no-run"]], f"sqlite:///{broken}")
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"the store sqlite:///{broken} can't be used")
    assert answer.stderr.count("\n") == 1


MORE = ["--with", "network.activation=sigmoid,relu", "--with", "training.batch_size=50,60"]

ONE_MORE = ["--with", "training.sampling=with_replacement,permutation"]

EXIT_USAGE: list[tuple[list[str], str]] = [
    (["notes", "notes"], "the two recipes do not differ"),
    (["notes", "bok"], "bok: no such recipe; there are best, book,"),
    (["notes", "sweep"], "sweep: this recipe is a sweep"),
    (["notes"], "the following arguments are required: target"),
    (["notes", "book", "--seeds", "1"], "--seeds must be at least 2"),
    (["notes", "book", "--seeds", "x"], "argument --seeds: invalid int value: 'x'"),
    (["notes", "book", "--factors", "lr"], "--factors lr: no such difference; choose from dtype,"),
    (["notes", "book", "--fix", "seed=3"], "seed=3: the seeds are 0, 1, …"),
    (["notes", "book", "--fix", "foo=1"], "foo=1: no such setting"),
    (["notes", "book", "--fix", "dtype=float16"], "dtype must be one of float32, float64"),
    (["notes", "book", "--fix", "init.scale=1,2"], "--fix init.scale=1,2: give one value"),
    (
        ["notes", "book", "--with", "data.validation=1"],
        "--with data.validation=1: give two different values",
    ),
    (
        ["notes", "book", "--with", "sweep.n_jobs=1,2"],
        "--with sweep.n_jobs=1,2: this setting changes no",
    ),
    (["notes", "book", "--fix", "training.batch_size=601"], "training.batch_size must be at most"),
    (["notes", "book", "--claim", "170"], "--claim must be a percentage from 0 to 100; got 170"),
    (["notes", "book", "--tune", "lr=1,2"], "lr=1,2: no such setting; there are seed,"),
    (["notes", "book", "--tune", "seed=1,2"], "--tune seed=1,2: this setting cannot be tuned"),
    (
        ["notes", "book", "--tune", "init.scale=1"],
        "--tune init.scale=1: give at least two",
    ),
    (
        ["notes", "book", "--tune", "init.scale=1,1"],
        "--tune init.scale=1,1: give at least two",
    ),
    (["notes", "book", "--tune", "init.scale=1,-1"], "init.scale must be a finite number of at"),
    (["notes", "book", *TUNE, "--tune", "init.scale=1,2"], "--tune init.scale=1,2: only one"),
    (
        ["notes", "book", *TUNE, "--factors", "training.learning_rate"],
        "--tune training.learning_rate: it is the only factor",
    ),
    (
        ["book", "book", *TUNE, "--with", "training.learning_rate=0.1,1"],
        "--tune training.learning_rate: at one value of it, the two recipes do not differ",
    ),
    (
        ["notes", "book", *TUNE, "--with", "data.validation=1,2"],
        "--tune training.learning_rate: the recipes differ in data.validation",
    ),
    (
        ["notes", "book", *TUNE, "--fix", "data.validation=60", "--no-run"],
        "640 of 640 runs are missing or failed, in 00000 at training.learning_rate=0.01, ",
    ),
    (["notes", "book", "--study", "../x"], "--study must be the name of a folder"),
    (["notes", "book", "--study", "x" * 300], "--study must have at most 60 characters; got 300"),
    (["notes", "book", "--group", "init.scale,lr"], "--group lr: no such difference; choose from "),
    (["notes", "book", "--group", "init.scale"], "--group init.scale: give at least two diff"),
    (["notes", "book", "--reach", "170"], "--reach must be a percentage from 0 to 100; got 170"),
    (["notes", "book", "--within", "0"], "--within must be greater than 0; got 0"),
    (
        ["notes", "book", "--within", "1", "--seeds", "101"],
        "--within adds seeds up to 100; got --seeds 101",
    ),
    (
        ["notes", "book", "--screen", "5"],
        "--screen must keep at least 1 of the 6 differences and leave at least 2",
    ),
    (
        ["notes", "book", *MORE, "--screen", "6", "--factors", "init.scale"],
        "--factors and --screen both choose the factors",
    ),
    (
        ["notes", "book", *MORE, "--screen", "6", "--no-run"],
        "320 of 320 runs are missing or failed, in 00000000, ",
    ),
    (["notes", "book", "--no-run"], "640 of 640 runs are missing or failed, in 000000, 000001,"),
    (
        ["notes", "book", *MORE],
        "8 factors: 2^8 cells × 10 seeds = 2560 runs, 2560 of them to run, about ",
    ),
    (
        ["notes", "book", "--tune", "training.learning_rate=0.01,0.1,0.3,1"],
        "6 factors: 2^6 cells × 10 seeds + 2^5 cells × 4 values of training.learning_rate × 10 "
        "seeds = 1920 runs, 1920 of them to run, about ",
    ),
]


def test_a_question_without_an_answer_ends_in_one_line(
    root: Path, explain: RunCommands, tmp_path: Path
) -> None:
    store = tmp_path / "none.db"
    taken = root / "experiments" / "taken"
    taken.mkdir(parents=True)
    (taken / "README.md").write_text("# Another study\n")
    before = set((root / "experiments").glob("*"))
    help_, *answers = explain(
        [["--help"], *(words for words, _ in EXIT_USAGE), ["notes", "book", "--study", "taken"]],
        f"sqlite:///{store}",
    )
    *answers, replacing = answers
    assert replacing.returncode == 2
    assert replacing.stderr.startswith(f"{taken} holds another report; --study gives another name")
    assert help_.returncode == 0
    assert "--factors" in help_.stdout
    for (words, message), answer in zip(EXIT_USAGE, answers, strict=True):
        assert answer.returncode == 2, words
        assert answer.stderr.startswith(message), answer.stderr
        assert answer.stderr.count("\n") == 1, answer.stderr
    assert not store.exists()
    assert set((root / "experiments").glob("*")) == before


def pairs(tune: str, *more: str) -> list[RecipePair]:
    return recipe_pairs(parser().parse_args(["notes", "book", "--tune", tune, *more]))[1:]


def test_the_recipes_are_composed_at_each_tuned_value() -> None:
    rate = "training.learning_rate"
    found = pairs(f"{rate}=0.1,1", "--fix", "dtype=float32", "--with", f"{rate}=1,2")
    assert [one.fixed for one in found] == [
        ("dtype=float32", f"{rate}=0.1"),
        ("dtype=float32", f"{rate}=1"),
    ]
    assert all(one.varied == () for one in found), "a tuned setting is no difference"


def test_a_comma_in_brackets_does_not_separate_values() -> None:
    found = pairs("network.hidden=[50,100],[50],[]")
    assert [one.fixed[-1].partition("=")[2] for one in found] == ["[50,100]", "[50]", "[]"]
