"""A record is held against itself: what was changed is named, what is damaged gets one line."""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import Answer, artifacts_of

from sgdprobe.errors import UserError

if TYPE_CHECKING:
    from mlflow.entities import Run

    from sgdprobe.tracking import RecordedRun, RunFiles


@dataclass(frozen=True)
class Copy:
    """A store with the run of `python src/train.py notes`, to be tampered with."""

    root: Path
    run_id: str
    files: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.root}/mlflow.db"

    def run(self) -> "RecordedRun":
        from sgdprobe import tracking

        (run,) = tracking.reader(self.uri).with_ids([self.run_id])
        return run

    def read(self) -> "RunFiles":
        from sgdprobe import tracking

        return tracking.read_files(self.uri, self.run())

    def sql(self, change: str) -> None:
        with closing(sqlite3.connect(self.root / "mlflow.db")) as connection, connection:
            assert connection.execute(change).rowcount == 1

    def json(self, name: str, change: Callable[[Any], None]) -> None:
        content = json.loads((self.files / name).read_text())
        change(content)
        (self.files / name).write_text(json.dumps(content))

    def arrays(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        with np.load(self.files / name) as content:
            arrays = dict(content)
        change(arrays)
        np.savez(self.files / name, **arrays)


@pytest.fixture
def copy(recorded: "tuple[Answer, Run]", project: Path, tmp_path: Path) -> Copy:
    _, run = recorded
    shutil.copy(project / "mlflow.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        for table in ("metrics", "latest_metrics", "params", "tags"):  # other tests may record
            others = f"DELETE FROM {table} WHERE run_uuid != ?"  # noqa: S608
            connection.execute(others, [run.info.run_id])
    folder = artifacts_of(project, run)
    files = tmp_path / folder.relative_to(project)
    shutil.copytree(folder, files)
    return Copy(tmp_path, run.info.run_id, files)


def test_a_sound_record_contradicts_nothing(copy: Copy) -> None:
    record = copy.read()
    assert record.run.contradictions == ()
    assert len(record.run.series["loss"]) == len(record.numbers["epochs"]) == 3
    assert record.settings.network.hidden == (50, 100)


LAST = "UPDATE latest_metrics SET value = 0.99 WHERE key = 'test_accuracy'"
POINT = "UPDATE metrics SET value = 0.99 WHERE key = 'test_accuracy' AND step = 2"
LOST = "DELETE FROM metrics WHERE key = 'loss' AND step = 3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (LAST, "test_accuracy: the store's last value 0.99 is not 0."),
        (POINT, "test_accuracy of epoch 2: the store has 0.99, numbers.json 0."),
        (LOST, "loss: the store has 2 values, numbers.json 3"),
    ],
)
def test_a_metric_changed_in_the_store_is_named(copy: Copy, change: str, message: str) -> None:
    from sgdprobe import tracking

    copy.sql(change)
    (found,) = copy.read().run.contradictions
    assert found.startswith(message)
    reader = tracking.connect(copy.uri)
    (shown,) = tracking.with_series(reader, [copy.run()], ["test_accuracy", "loss"])
    assert shown.contradictions == (found,), "reports read fewer files, and find it, too"


def test_without_its_series_a_metric_is_compared_by_its_last_value(copy: Copy) -> None:
    from sgdprobe import tracking

    copy.sql(LAST)
    (run,) = tracking.checked(copy.uri, [copy.run()])
    (found,) = run.contradictions
    assert found.startswith("test_accuracy of epoch 3: the store has 0.99, numbers.json 0.")


def other_weight(arrays: dict[str, Any]) -> None:
    arrays["W2"][3, 1] = np.nextafter(arrays["W2"][3, 1], np.float32(9))


def other_loss(arrays: dict[str, Any]) -> None:
    arrays["loss"][6] += 1e-9  # the second of epoch 2


def other_accuracy(numbers: Any) -> None:
    numbers["epochs"][0]["train_accuracy"] = 0.99


def other_rate(provenance: Any) -> None:
    provenance["settings"]["training.learning_rate"] = 0.1


def other_source(provenance: Any) -> None:
    provenance["source"]["files"]["nn/layers.py"] = "0" * 64


@pytest.mark.parametrize(
    ("tamper", "messages"),
    [
        (
            lambda copy: copy.arrays("weights.npz", other_weight),
            ["weights.npz does not hold the weights of numbers.json"],
        ),
        (
            lambda copy: copy.arrays("losses.npz", other_loss),
            ["losses.npz does not hold the losses of epoch 2 in numbers.json"],
        ),
        (
            lambda copy: copy.json("numbers.json", other_accuracy),
            ["train_accuracy of epoch 1: the store has 0."],
        ),
        (
            lambda copy: copy.json("provenance.json", other_rate),
            ["training.learning_rate: settings.yaml has 0.01, ", "the tag program ", "the tag key"],
        ),
        (
            lambda copy: copy.json("provenance.json", other_source),
            ["the hashes of the source files in provenance.json do not give its source hash"],
        ),
        (
            lambda copy: copy.sql("UPDATE params SET value = '5' WHERE key = 'init.scale'"),
            ["init.scale: settings.yaml has 1, the store 5"],
        ),
        (
            lambda copy: copy.sql("UPDATE tags SET value = 'x' WHERE key = 'data_hash'"),
            ["the tag data_hash is x, by provenance.json "],
        ),
        (
            lambda copy: copy.sql(
                "UPDATE tags SET value = '9.5' WHERE key = 'diagnostic.first_loss'"
            ),
            ["the tag diagnostic.first_loss is 9.5, in losses.npz "],
        ),
    ],
)
def test_what_was_changed_in_a_record_is_named(
    copy: Copy, tamper: Callable[[Copy], None], messages: list[str]
) -> None:
    tamper(copy)
    found = copy.read().run.contradictions
    assert len(found) == len(messages), found
    for text, message in zip(found, messages, strict=True):
        assert text.startswith(message), found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (Path.unlink, "weights.npz", "no weights.npz in mlruns/"),
        (Path.unlink, "losses.npz", "no losses.npz in mlruns/"),
        (Path.unlink, "numbers.json", "no numbers.json in mlruns/"),
        (cut, "weights.npz", "a damaged weights.npz ("),
        (cut, "losses.npz", "a damaged losses.npz ("),
        (cut, "numbers.json", "a damaged numbers.json ("),
        (cut, "provenance.json", "a damaged provenance.json ("),
        (lambda path: path.write_text("[]"), "numbers.json", "a damaged numbers.json ("),
        (lambda path: path.write_text("{}"), "provenance.json", "a damaged provenance.json ("),
        (
            lambda path: path.write_text("[" * 9999),
            "provenance.json",
            "a damaged provenance.json (",
        ),
        (lambda path: path.write_text("seed: x"), "settings.yaml", "a damaged settings.yaml ("),
        (lambda path: path.write_bytes(b"\xff"), "settings.yaml", "a damaged settings.yaml ("),
        (lambda path: path.write_text("1: 2"), "settings.yaml", "a damaged settings.yaml ("),
    ],
)
def test_a_damaged_record_gets_one_line(
    copy: Copy, damage: Callable[[Path], object], name: str, message: str
) -> None:
    damage(copy.files / name)
    with pytest.raises(UserError) as error:
        copy.read()
    assert str(error.value).startswith(f"{copy.run_id} (seed=0) has {message}")
    assert str(error.value).endswith(": it can't be rerun (status FINISHED)")
    assert "\n" not in str(error.value)


STRANGE: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    10**400,
    1e308,
    "",
    "\0",
    "x",
    [],
    {},
    [[]],
    {"epoch": 1},
]
NOT_COMPARED = {"seconds", "peak_memory_bytes"}  # another time of the same run has others


def changed_value(rng: random.Random, content: Any) -> None:
    """Replace or delete a value at random, at any depth."""
    key = rng.choice(list(content))
    while isinstance(content[key], dict | list) and content[key] and rng.random() < 0.8:
        content = content[key]
        key = rng.choice(list(content) if isinstance(content, dict) else range(len(content)))
    if rng.random() < 0.3:
        del content[key]
    else:
        content[key] = rng.choice(STRANGE)


def checkable(numbers: Any) -> Any:
    """What another part of the record repeats: no weights in between, no time, no memory."""
    epochs = [
        {k: v for k, v in epoch.items() if v is not None and k != "weights"}
        for epoch in numbers["epochs"]
    ]
    return epochs, numbers["final_weights"]


def test_no_change_of_a_record_goes_unnoticed_or_raises(copy: Copy) -> None:
    """300 records with bytes overwritten or cut off, or with one strange value.

    Each is refused in one line, or contradicts itself, or differs in nothing that is compared.
    """
    rng = random.Random(0)  # noqa: S311
    names = ["numbers.json", "settings.yaml", "weights.npz", "losses.npz", "provenance.json"]
    run, sound = copy.run(), {name: (copy.files / name).read_bytes() for name in names}
    numbers, settings = copy.read().numbers, copy.read().settings
    refused = contradicting = 0
    for number in range(300):
        name = names[number % 5]
        if name == "numbers.json" and number % 2:
            content = json.loads(sound[name])
            changed_value(rng, content)
            (copy.files / name).write_text(json.dumps(content))
        else:
            damaged, at = bytearray(sound[name]), rng.randrange(len(sound[name]))
            damaged[at : at + rng.choice((1, 8, 99))] = rng.randbytes(rng.choice((0, 1, 8, 99)))
            (copy.files / name).write_bytes(damaged if rng.random() < 0.8 else damaged[:at])
        record = read_again(copy, run)
        if isinstance(record, str):
            refused += 1
            assert "\n" not in record
        elif record.run.contradictions:
            contradicting += 1
        else:
            assert record.settings == settings
            assert checkable(record.numbers) == checkable(numbers), number
        (copy.files / name).write_bytes(sound[name])
    assert refused > 150
    assert contradicting > 0


def read_again(copy: Copy, run: "RecordedRun") -> "RunFiles | str":
    """The record, or the line that refuses it."""
    from sgdprobe import tracking

    tracking.checked(copy.uri, [run])  # reports go on
    try:
        return tracking.read_files(copy.uri, run)
    except UserError as error:
        return str(error)
