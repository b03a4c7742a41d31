"""A database answers as a server would: the same runs, oldest first, in few questions."""

import random
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from typing import Any

import pytest
from support import path_of

from sgdprobe import tracking
from sgdprobe.errors import SettingsError
from sgdprobe.tracking import artifacts, find, queries
from sgdprobe.tracking.queries import Condition, RunReader
from sgdprobe.tracking.sql import SqlReader

EXPERIMENTS, RUNS = ("notes", "it's best"), 5
QUOTED = """it's "[50]" \\"""


@pytest.fixture(scope="module")
def uri(new_store: Callable[[], str]) -> str:
    """Two experiments of five runs; the last run of each reran the first.

    One more run is deleted, and another tool's is the newest of all.
    """
    uri = new_store()
    for experiment in EXPERIMENTS:
        store = tracking.open_experiment(uri, experiment)
        client = store.client()
        first = ""
        for number in range(RUNS):
            tags = {"key": f"{experiment}'{number}", "sweep": sweep(number // 2)}
            tags |= {"source_hash": "1"} | ({"rerun_of": first} if number == RUNS - 1 else {})
            run = client.create_run(
                store.experiment_id, start_time=1000 + number, tags=tags, run_name=f"seed={number}"
            )
            first = first or run.info.run_id
            client.log_param(run.info.run_id, "seed", number)
            for step in (3, 1, 2):
                client.log_metric(run.info.run_id, "loss", 10.0 * number + step, step=step)
            client.set_terminated(run.info.run_id, end_time=3000 + number)
        client.delete_run(client.create_run(store.experiment_id, tags={"key": "x"}).info.run_id)
    foreign = {"sweep": "zzz", "also_in_sweeps": "zzz", "learning_rate": "3"}
    client.create_run(store.experiment_id, start_time=9000, tags=foreign, run_name=QUOTED)
    return uri


def sweep(number: int) -> str:
    """Names that sort against the time at which the sweeps began, as in another time zone."""
    return f"19700101-00000{9 - number}-0000"


def tag(name: str, operator: str, value: str = "") -> Condition:
    return Condition(f"tags.{name}", operator, value)


def name(value: str) -> Condition:
    return Condition("attributes.run_name", "=", value)


Question = Callable[[RunReader], Collection[object]]

QUESTIONS: dict[str, tuple[int, Question]] = {
    "an experiment": (6, lambda runs: runs.find(experiment_id="2")),
    "no experiment": (0, lambda runs: runs.find(experiment_id="99")),
    "a tag": (2, lambda runs: runs.with_tag("key", ["notes'1", "it's best'3", "none"])),
    "many values": (5, lambda runs: runs.with_tag("key", [f"notes'{n}" for n in range(100)])),
    "a deleted run": (0, lambda runs: runs.with_tag("key", ["x"])),
    "ids": (4, lambda runs: runs.with_ids([r.run_id for r in runs.find(experiment_id="1")][1:])),
    "no ids": (0, lambda runs: runs.with_ids([])),
    "a name": (2, lambda runs: runs.find(name("seed=1"))),
    "a name with quotes": (1, lambda runs: runs.find(name(QUOTED))),
    "no rerun": (9, lambda runs: runs.find(tag("rerun_of", "IS NULL"))),
    "a beginning": (10, lambda runs: runs.find(tag("sweep", "LIKE", "1970%"))),
    "not this value": (7, lambda runs: runs.find(tag("sweep", "!=", sweep(0)))),
    "two conditions": (3, lambda runs: runs.find(
        tag("sweep", "!=", sweep(0)), tag("source_hash", "IS NOT NULL"), experiment_id="1")),
    "the newest": (1, lambda runs: runs.find(limit=1)),
    "the oldest": (1, lambda runs: runs.find(limit=1, order=queries.OLDEST)),
    "the last in order of a tag": (1, lambda runs: runs.find(
        tag("key", "IS NOT NULL"), limit=1, order="tags.key DESC")),
    "a series": (5, lambda runs: runs.series(runs.find(experiment_id="1"), ["loss", "none"])),
}  # fmt: skip


@pytest.mark.parametrize("words", QUESTIONS)
def test_both_readers_answer_the_same(
    words: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE", 2)
    monkeypatch.setattr(queries, "CHUNK", 2)
    count, question = QUESTIONS[words]
    by_sql, by_client = (question(kind(uri)) for kind in (SqlReader, RunReader))
    assert by_sql == by_client
    assert len(by_sql) == count


def test_a_run_has_its_parts(uri: str) -> None:
    (run,) = tracking.reader(uri).with_tag("key", ["it's best'3"])
    assert (run.name, run.experiment, run.status) == ("seed=3", "it's best", "FINISHED")
    assert (run.params, run.metrics, run.seconds) == ({"seed": "3"}, {"loss": 33.0}, 2.0)
    (run,) = tracking.with_series(tracking.reader(uri), [run], ["loss"])
    assert run.series == {"loss": [31.0, 32.0, 33.0]}


@pytest.mark.parametrize("kind", [SqlReader, RunReader])
def test_last_is_the_newest_of_ours_by_time_and_no_rerun(kind: type[RunReader], uri: str) -> None:
    runs = kind(uri)
    assert tracking.find_run(runs, "last").name == "seed=3"
    # The newest name is that of sweep 0, and of another tool; the rerun is in sweep 2.
    assert tracking.newest_sweep(runs) == tracking.find_sweep(runs, "last") == sweep(1)
    assert tracking.find_sweep(runs, "19700101-000009") == sweep(0)
    names = [run.name for run in tracking.ended_runs(runs, sweep(1), None)]
    assert names == ["seed=2"] * 2 + ["seed=3"] * 2


def test_a_sweep_is_older_than_one_that_began_while_it_ran(new_store: Callable[[], str]) -> None:
    uri = new_store()
    store = tracking.open_experiment(uri, "notes")
    for start, name in enumerate(("long", "short", "short", "long", "long"), start=1000):
        tags = {"sweep": name, "source_hash": "1"}
        store.client().create_run(store.experiment_id, start_time=start, tags=tags)
    for kind in (SqlReader, RunReader):
        assert tracking.newest_sweep(kind(uri)) == "short"


@pytest.mark.parametrize("kind", [SqlReader, RunReader])
@pytest.mark.parametrize("few", [2, 20], ids=["drawn by the ends of ids", "listed"])
def test_a_sample_is_of_the_sweep_and_of_the_size_asked_for(
    few: int, kind: type[RunReader], uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "FEW", few)
    monkeypatch.setattr(find, "ENDINGS", [f"%{digit:x}" for digit in range(16)])
    drawn = [tracking.ended_runs(kind(uri), sweep(0), sample=3) for _ in range(8)]
    assert {run.tags["sweep"] for runs in drawn for run in runs} == {sweep(0)}
    assert {len({run.run_id for run in runs}) for runs in drawn} == {3}
    assert len({run.run_id for runs in drawn for run in runs}) == 4, "each may be drawn"
    assert len(tracking.ended_runs(kind(uri), sweep(0), sample=9)) == 4


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=1", r"seed=1: 2 runs match, among them [0-9a-f]{12}, [0-9a-f]{12}"),
        ("sed=1", r"sed=1: no such run; the nearest are [0-9a-f]{12} \(seed=1\), "),
        ("nothing", r"nothing: no such run; the newest are [0-9a-f]{12} \(it's "),
        ("%", r"%: no such run; the newest are [0-9a-f]{12} \(it's "),
    ],
)
def test_a_word_that_names_no_single_run(word: str, message: str, uri: str) -> None:
    with pytest.raises(SettingsError, match=message):
        tracking.find_run(tracking.connect(uri), word)


def test_a_name_may_have_quotes(uri: str) -> None:
    assert tracking.find_run(tracking.connect(uri), QUOTED).name == QUOTED


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("1970", f"1970: several sweeps match, among them {sweep(1)} and {sweep(0)}"),
        ("1971", f"1971: no such sweep; the nearest are {sweep(1)}, {sweep(0)}"),
    ],
)
def test_a_word_that_names_no_single_sweep(word: str, message: str, uri: str) -> None:
    for kind in (SqlReader, RunReader):
        with pytest.raises(SettingsError, match=message):
            tracking.find_sweep(kind(uri), word)


def test_an_experiment_has_no_runs_of_other_tools_and_no_reruns(uri: str) -> None:
    for kind in (SqlReader, RunReader):
        found = tracking.runs_of(kind(uri), "it's best")
        assert [run.name for run in found] == [f"seed={n}" for n in range(RUNS - 1)]


def test_a_reused_run_belongs_to_both_sweeps(uri: str) -> None:
    runs = tracking.connect(uri)
    made = tracking.runs_of(runs, sweep(0))
    for later in ("19700102-000000-0000", "19700103-000000-0000"):
        tracking.add_to_sweep(uri, later, [run.run_id for run in made[:2]])
        assert [run.run_id for run in tracking.runs_of(runs, later)] == [
            run.run_id for run in made[:2]
        ]
        for kind in (SqlReader, RunReader):
            assert tracking.newest_sweep(kind(uri)) == later
    assert len(tracking.runs_of(runs, sweep(0))) == len(made) == 4
    assert tracking.runs_of(runs, "none") == []


def test_a_run_may_be_reused_any_number_of_times(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag holds some 200 names: the oldest make room."""
    monkeypatch.setattr(artifacts, "MAX_SWEEPS", 3)
    runs = tracking.connect(uri)
    made = tracking.runs_of(runs, sweep(1))[0]
    for day in range(1, 6):
        tracking.add_to_sweep(uri, f"1980010{day}-000000-0000", [made.run_id])
    found = [len(tracking.runs_of(runs, f"1980010{day}-000000-0000")) for day in range(1, 6)]
    assert found == [0, 0, 1, 1, 1]
    assert tracking.newest_sweep(runs) == "19800105-000000-0000"


@pytest.mark.parametrize("kind", [SqlReader, RunReader])
def test_the_questions_do_not_grow_with_the_store(
    kind: type[RunReader], new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """3,000 runs in sweeps of 100; a page of MLflow's search has 1,000."""
    uri = new_store()
    store = tracking.open_experiment(uri, "notes")
    fill_store(uri, 3000, store.experiment_id)
    runs = kind(uri)
    monkeypatch.setattr(find, "reader", lambda _: runs)
    # A sample is looked for until it is found; rarely that takes more questions.
    monkeypatch.setattr(find, "RANDOM", random.Random(0))  # noqa: S311
    read: list[int] = []
    original = kind.find

    def counted(self: RunReader, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        read.append(len(found))
        return found

    monkeypatch.setattr(kind, "find", counted)
    programs = [f"{number:064x}" for number in range(2964, 3000)]
    assert len(tracking.finished_runs(store, programs)) == 36
    assert tracking.median_seconds(store, "small") == 0.5
    tracking.find_run(runs, "last")
    last = tracking.find_sweep(runs, "last")
    assert last == tracking.newest_sweep(runs) == "sweep 29"
    assert len(tracking.ended_runs(runs, last, sample=1)) == 1
    assert len(read) <= 30
    assert sum(read) <= 36 + 10 + 100


def fill_store(uri: str, count: int, experiment_id: str) -> None:
    """Add runs with the columns and tags that are asked for, in SQL: MLflow takes 10 ms for one."""
    numbers = range(count)
    drawn = random.Random(0)  # noqa: S311
    ids = [f"{drawn.getrandbits(128):032x}" for _ in numbers]
    rows = [(i, f"seed={n}", experiment_id, n, n + 500) for n, i in zip(numbers, ids, strict=True)]
    tags = [
        (run_id, *pair)
        for number, run_id in enumerate(ids)
        for pair in {
            "sweep": f"sweep {number // 100}",
            "program": f"{number:064x}",
            "key": f"{number:064x}",
            "size": "small",
            "source_hash": "1",
        }.items()
    ]
    with closing(sqlite3.connect(path_of(uri))) as connection, connection:
        connection.executemany(
            "INSERT INTO runs (run_uuid, name, experiment_id, start_time, end_time, status, "
            "lifecycle_stage, user_id) VALUES (?, ?, ?, ?, ?, 'FINISHED', 'active', 'me')",
            rows,
        )
        connection.executemany("INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)", tags)
