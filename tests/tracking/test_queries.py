"""A database answers as a server would: every run, through all pages, oldest first."""

from collections.abc import Callable

import pytest

from sgdprobe import tracking
from sgdprobe.errors import SettingsError
from sgdprobe.tracking import queries
from sgdprobe.tracking.queries import RunReader, SqlReader

EXPERIMENTS, RUNS = ("notes", "it's best"), 5


@pytest.fixture(scope="module")
def uri(new_store: Callable[[], str]) -> str:
    """Two experiments of five runs; the last run of each reran the first; one more is deleted."""
    uri = new_store()
    for experiment in EXPERIMENTS:
        store = tracking.open_experiment(uri, experiment)
        client = store.client()
        first = ""
        for number in range(RUNS):
            tags = {"key": f"{experiment}'{number}", "sweep": f"2026010{number // 2}-0"}
            tags |= {"rerun_of": first} if number == RUNS - 1 else {}
            run = client.create_run(
                store.experiment_id, start_time=1000 + number, tags=tags, run_name=f"seed={number}"
            )
            first = first or run.info.run_id
            client.log_param(run.info.run_id, "seed", number)
            for step in (3, 1, 2):
                client.log_metric(run.info.run_id, "loss", 10.0 * number + step, step=step)
            client.set_terminated(run.info.run_id, end_time=3000 + number)
        client.delete_run(client.create_run(store.experiment_id, tags={"key": "x"}).info.run_id)
    return uri


Question = Callable[[RunReader], object]

QUESTIONS: dict[str, Question] = {
    "an experiment": lambda runs: runs.in_experiment("it's best"),
    "no experiment": lambda runs: runs.in_experiment("none"),
    "a tag": lambda runs: runs.with_tag("key", ["notes'1", "it's best'3", "none"]),
    "many values": lambda runs: runs.with_tag("key", [f"notes'{n}" for n in range(100)]),
    "a deleted run": lambda runs: runs.with_tag("key", ["x"]),
    "ids": lambda runs: runs.with_ids([run.run_id for run in runs.in_experiment("notes")][1:]),
    "no ids": lambda runs: runs.with_ids([]),
    "a name": lambda runs: runs.named("seed=1"),
    "values of a tag": lambda runs: sorted(runs.tag_values("sweep")),
    "the newest": lambda runs: runs.newest(3, without_tag="rerun_of"),
    "a series": lambda runs: runs.series(runs.in_experiment("notes"), ["loss", "none"]),
}
COUNTS = [5, 0, 2, 5, 0, 4, 0, 2, 10, 3, 5]


@pytest.mark.parametrize(("name", "count"), [*zip(QUESTIONS, COUNTS, strict=True)])
def test_both_readers_answer_the_same(
    name: str, count: int, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE", 2)
    monkeypatch.setattr(queries, "CHUNK", 2)
    by_sql, by_client = (QUESTIONS[name](kind(uri)) for kind in (SqlReader, RunReader))
    assert by_sql == by_client
    assert len(by_sql) == count  # type: ignore[arg-type]


def test_a_run_has_its_parts(uri: str) -> None:
    (run,) = tracking.reader(uri).with_tag("key", ["it's best'3"])
    assert (run.name, run.experiment, run.status) == ("seed=3", "it's best", "FINISHED")
    assert (run.params, run.metrics, run.seconds) == ({"seed": "3"}, {"loss": 33.0}, 2.0)
    (run,) = tracking.with_series(tracking.reader(uri), [run], ["loss"])
    assert run.series == {"loss": [31.0, 32.0, 33.0]}


def test_last_is_the_newest_that_is_no_rerun(uri: str) -> None:
    runs = tracking.connect(uri)
    assert tracking.find_run(runs, "last").name == "seed=3"
    assert tracking.newest_sweep(runs) == "20260101-0"
    assert [run.name for run in tracking.find_sweep(runs, "last")] == ["seed=2"] * 2 + [
        "seed=3"
    ] * 2
    assert [run.name for run in tracking.find_sweep(runs, "20260100")] == ["seed=0"] * 2 + [
        "seed=1"
    ] * 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=1", r"seed=1: 2 runs match, among them [0-9a-f]{12}, [0-9a-f]{12}"),
        ("sed=1", r"sed=1: no such run; the nearest are [0-9a-f]{12} \(seed=1\), "),
        ("nothing", r"nothing: no such run; the newest are [0-9a-f]{12} \(seed=3\), "),
    ],
)
def test_a_word_that_names_no_single_run(word: str, message: str, uri: str) -> None:
    with pytest.raises(SettingsError, match=message):
        tracking.find_run(tracking.connect(uri), word)


def test_a_reused_run_belongs_to_both_sweeps(uri: str) -> None:
    runs = tracking.connect(uri)
    made = tracking.runs_of(runs, "20260100-0")
    for later in ("20260104-0", "20260105-0"):
        tracking.add_to_sweep(uri, later, [run.run_id for run in made[:2]])
        assert [run.run_id for run in tracking.runs_of(runs, later)] == [
            run.run_id for run in made[:2]
        ]
    assert len(tracking.runs_of(runs, "20260100-0")) == len(made) == 4
    assert len(tracking.runs_of(runs, "notes")) == RUNS
    assert tracking.runs_of(runs, "none") == []
    assert tracking.newest_sweep(runs) == "20260105-0"
