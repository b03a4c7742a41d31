"""A store is created as a whole, by whoever comes first, and nothing is left beside it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from support import Answer, client_of, path_of

from sgdprobe import tracking
from sgdprobe.errors import StoreError
from sgdprobe.tracking import creation
from sgdprobe.tracking.database import engine


def test_a_store_is_created_where_a_link_points_to(tmp_path: Path) -> None:
    for folder in ("project", "disk"):
        (tmp_path / folder).mkdir()
    link, file = tmp_path / "project/mlflow.db", tmp_path / "disk/runs.db"
    link.symlink_to(file)
    store = tracking.open_experiment(f"sqlite:///{link}", "any")
    assert link.is_symlink()
    assert [path.name for path in file.parent.iterdir()] == ["runs.db"], "no draft, no lock"
    found = client_of(f"sqlite:///{file}").get_experiment_by_name("any")
    assert found is not None
    assert found.experiment_id == store.experiment_id


def test_a_link_to_a_disk_that_is_not_there_is_kept(tmp_path: Path) -> None:
    link = tmp_path / "mlflow.db"
    link.symlink_to(tmp_path / "unplugged/runs.db")
    with pytest.raises(StoreError, match=r"can't be used: .*No such file or directory"):
        tracking.open_experiment(f"sqlite:///{link}", "any")
    assert [*tmp_path.iterdir()] == [link]
    assert link.is_symlink()


def test_a_store_that_another_process_has_just_created_is_kept(
    new_store: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = new_store()
    wanted = tracking.open_experiment(uri, "any")
    creation._create_store(uri, path_of(uri))
    get = type(wanted.client()).get_experiment_by_name
    first = [None]  # to the first question, the experiment is not there yet

    def late(self: object, name: str) -> object:
        return first.pop() if first else get(self, name)  # type: ignore[arg-type]

    monkeypatch.setattr(type(wanted.client()), "get_experiment_by_name", late)
    assert tracking.open_experiment(uri, "any") == wanted


def test_nobody_sees_half_a_store(tmp_path: Path) -> None:
    """Another process looks before each table is made: the file is locked until the last."""
    file = tmp_path / "store.db"
    uri = f"sqlite:///{file}"
    seen: list[object] = []

    def look(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("CREATE TABLE"):
            with closing(sqlite3.connect(file, timeout=0)) as other:
                try:
                    seen.append(other.execute("SELECT * FROM sqlite_master").fetchall())
                except sqlite3.OperationalError as error:
                    seen.append(str(error))

    event.listen(engine(uri), "before_cursor_execute", look)
    creation._create_store(uri, file)
    assert len(seen) > 20
    assert [one for one in seen if one != "database is locked"] == []


def test_the_first_command_says_nothing_of_the_tables_that_it_makes(
    train: Callable[..., Answer], tmp_path: Path
) -> None:
    """MLflow logs each step; its import sets that level, so it is lowered right after."""
    uri = f"sqlite:///{tmp_path}/new.db"
    answer = train("notes", f"tracking.uri={uri}", new_interpreter=True)
    assert (answer.returncode, answer.stderr) == (0, "")
