"""A store is created as a whole, by whoever comes first, and nothing is left beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support import client_of, path_of

from sgdprobe import tracking
from sgdprobe.errors import StoreError
from sgdprobe.tracking import creation


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
