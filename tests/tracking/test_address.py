"""Addresses and places: absolute where they are read, whatever folders are called."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Answer, artifacts_of, client_of, path_of, runs_in

from sgdprobe import tracking
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError, StoreError
from sgdprobe.paths import absolute_uri, folder_name, sqlite_uri
from sgdprobe.tracking import find_experiment, open_experiment
from sgdprobe.tracking.address import sqlite_file
from sgdprobe.tracking.folders import local_folder


@pytest.mark.parametrize(
    ("typed", "absolute"),
    [
        ("sqlite:///mine.db", "sqlite:////here/mine.db"),
        ("sqlite:///a/../mine.db?timeout=3", "sqlite:////here/a/../mine.db?timeout=3"),
        ("sqlite:////x/./mine.db", "sqlite:////x/mine.db"),
        ("sqlite+pysqlite:///mine.db", "sqlite+pysqlite:////here/mine.db"),
        ("sqlite:////a%3Fb/50%25.db", "sqlite+pysqlite:////a%3Fb/50%25.db"),
        ("http://host:5000/mlflow", "http://host:5000/mlflow"),
        ("postgresql://me@host/runs?sslmode=require", "postgresql://me@host/runs?sslmode=require"),
        ("databricks", "databricks"),
    ],
)
def test_a_relative_address_starts_in_the_working_directory(
    typed: str, absolute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: "/here")
    assert absolute_uri(typed) == absolute
    assert absolute_uri(absolute) == absolute
    assert Settings.from_dict({"tracking": {"uri": typed}}).tracking.uri == absolute


def test_a_relative_data_folder_starts_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: "/here")
    assert Settings.from_dict({"data": {"root": "digits"}}).data.root == "/here/digits"


NOTHING_KEPT = (
    "sqlite://",
    "sqlite:///",
    "sqlite:///:memory:",
    ":memory:",
    "sqlite+pysqlite://",
    "file:memdb?mode=memory&uri=true",
    "sqlite:///file:memdb?mode=memory&cache=shared&uri=true",
    "sqlite:///x.db?mode=memory",
    "sqlite:///file:x.db?uri=true",
    "file:x.db?uri=true",
    "sqlite://x.db",
    "./mlruns",
)


@pytest.mark.parametrize("uri", NOTHING_KEPT)
def test_an_address_at_which_nothing_is_kept(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = "must be an MLflow tracking URI such as sqlite:///FILE or http://HOST:PORT"
    with pytest.raises(SettingsError, match=f"^tracking.uri {expected}, or null; got "):
        Settings.from_dict({"tracking": {"uri": uri}})
    with pytest.raises(SettingsError, match=f"^the store {expected}; got "):
        tracking.connect(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(SettingsError, match=f"^MLFLOW_TRACKING_URI {expected}; got "):
        tracking.connect(None)


@pytest.mark.parametrize("name", ["p%20q", "what?", "a#b", "50 %", "it's"])
def test_a_folder_of_any_name_holds_its_store_and_its_artifacts(
    name: str, new_store: Callable[[], str], tmp_path: Path
) -> None:
    file = tmp_path / name / "x.db"
    file.parent.mkdir()
    shutil.copy(path_of(new_store()), file)
    uri = sqlite_uri(file)
    assert sqlite_file(uri) == file
    store = open_experiment(uri, name)
    run = store.client().create_run(store.experiment_id)
    store.client().log_text(run.info.run_id, "here", "text.txt")
    folder = local_folder(uri, run.info.artifact_uri)
    assert folder is not None
    assert (folder / "text.txt").read_text() == "here"
    assert folder.is_relative_to(file.parent / "mlruns")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["/Shared/x", "..", "../../outside", "C:\\x", "n" * 400, "测试"])
def test_an_experiment_of_any_name_stays_in_mlruns(name: str, new_store: Callable[[], str]) -> None:
    uri = new_store()
    place = path_of(uri).parent / "mlruns"
    store = open_experiment(uri, name)
    run = store.client().create_run(store.experiment_id)
    store.client().log_text(run.info.run_id, "here", "text.txt")
    folder = artifacts_of(Path("/"), run).resolve()
    assert (folder / "text.txt").exists()
    assert folder.parents[2] == place
    assert "/" not in folder_name(name)


def test_a_moved_store_takes_its_artifacts_along(
    new_store: Callable[[], str], tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    shutil.copy(path_of(new_store()), old / "x.db")
    store = open_experiment(sqlite_uri(old / "x.db"), "notes")
    first = store.client().create_run(store.experiment_id)
    store.client().log_text(first.info.run_id, "here", "text.txt")
    old.rename(new)
    uri = sqlite_uri(new / "x.db")
    folder = local_folder(uri, first.info.artifact_uri)
    assert folder is not None
    assert (folder / "text.txt").exists()
    store = open_experiment(uri, "notes")
    second = store.client().create_run(store.experiment_id)
    store.client().log_text(second.info.run_id, "here", "text.txt")
    assert artifacts_of(Path("/"), second).is_relative_to(new)
    assert not old.exists()


def test_another_place_that_was_chosen_for_artifacts_is_kept(
    new_store: Callable[[], str], tmp_path: Path
) -> None:
    uri = new_store()
    chosen = (tmp_path / "chosen").as_uri()
    client_of(uri).create_experiment("notes", chosen)
    open_experiment(uri, "notes")
    found = client_of(uri).get_experiment_by_name("notes")
    assert found is not None
    assert found.artifact_location == chosen


def test_a_place_that_cannot_be_written_is_known_before_a_run(
    new_store: Callable[[], str], tmp_path: Path
) -> None:
    uri = new_store()
    (tmp_path / "file").touch()
    client_of(uri).create_experiment("notes", (tmp_path / "file" / "in-it").as_uri())
    with pytest.raises(StoreError, match=r"can't be used: .*Not a directory: .*in-it"):
        open_experiment(uri, "notes")
    assert runs_in(uri) == []


def test_a_link_to_a_store_that_is_not_there_yet_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "disk" / "runs.db", tmp_path / "x.db"
    link.symlink_to(target)
    target.parent.mkdir()
    open_experiment(sqlite_uri(link), "notes")
    assert link.is_symlink()
    assert target.stat().st_size > 0


def test_a_deleted_experiment_is_not_restored_in_silence(new_store: Callable[[], str]) -> None:
    uri = new_store()
    store = open_experiment(uri, "notes")
    store.client().delete_experiment(store.experiment_id)
    for look_up in (find_experiment, open_experiment):
        with pytest.raises(StoreError, match="notes was deleted: `mlflow experiments restore -x 1"):
            look_up(uri, "notes")


def test_all_processes_of_a_command_mean_the_same_file(
    run_commands: Callable[..., list[Answer]], new_store: Callable[[], str], tmp_path: Path
) -> None:
    """Relative addresses, typed in another folder than the project's, and read there."""
    shutil.copy(path_of(new_store()), tmp_path / "mine.db")
    sweep = ["-m", "notes", "seed=0,1", "sweep.n_jobs=2", "tracking.uri=sqlite:///mine.db"]
    (made,) = run_commands([sweep], cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, ""), made.stdout
    at = ["--uri", "sqlite:///mine.db"]
    (rerun,) = run_commands([["last", *at]], cwd=tmp_path, script="src/rerun.py")
    (report,) = run_commands([at], cwd=tmp_path, script="src/report.py")
    assert (rerun.returncode, report.returncode) == (0, 0), rerun.stderr + report.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"mine.db", "mlruns"}
    assert len(runs_in(sqlite_uri(tmp_path / "mine.db"))) == 3
