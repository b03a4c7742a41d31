"""The files that a run recorded, and what is added to runs that have ended."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from sqlalchemy import text

from sgdprobe.config.settings import Settings
from sgdprobe.errors import OwnFileError, UserError, one_line
from sgdprobe.nn.functions import Array
from sgdprobe.tracking.address import artifact_url, is_database, store_uri
from sgdprobe.tracking.consistency import (
    array_contradictions,
    identity_contradictions,
    metric_contradictions,
    numbers_of,
    provenance_of,
)
from sgdprobe.tracking.database import engine
from sgdprobe.tracking.find import with_series
from sgdprobe.tracking.folders import artifact_root, local_folder, temporary_folder
from sgdprobe.tracking.liveness import is_dead
from sgdprobe.tracking.model import WEIGHTS
from sgdprobe.tracking.queries import ALSO_IN
from sgdprobe.tracking.readers import reader
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import client_of, set_tags, store_errors

__all__ = [
    "RunFiles",
    "add_to_sweep",
    "log_report",
    "read_files",
    "recorded_files",
    "recorded_losses",
    "tag_verdict",
]

REQUIRED_ARTIFACTS = ("settings.yaml", "provenance.json", "numbers.json")
LOSSES, DIFF, DIAGNOSTICS = "losses.npz", "uncommitted.diff", "diagnostics.json"
MAX_SWEEPS = 200  # in a tag, which has at most 5,000 characters

T = TypeVar("T")


class DamagedRecord(Exception):  # noqa: N818 (its text goes on after the run's name)
    """A file that is missing or damaged; the message goes on after the run's name."""


@dataclass(frozen=True)
class RunFiles:
    """The files from which a run can be rerun and compared.

    run : with every metric epoch by epoch, and with all that its record says in two ways.
    diff : uncommitted changes, or an empty string.
    """

    run: RecordedRun
    settings: Settings
    provenance: Mapping[str, Any]
    numbers: Mapping[str, Any]
    diff: str


def read_files(uri: str, run: RecordedRun) -> RunFiles:
    """Read the files of a run that has ended, and hold its record against itself.

    Raises UserError, in one line that names the run, for a record that is damaged or incomplete;
    OwnFileError where a function of the user's is not at hand.
    """
    if run.status == "RUNNING" and is_dead(uri, run.tags) is not True:
        raise UserError(f"{run.run_id} is still running")
    name = f"{run.run_id} ({run.name})"
    if run.own_loop:
        program = run.tags["own_loop"]
        raise UserError(f"{name} was trained by a loop of your own ({program}): it can't be rerun")
    if "source_hash" not in run.tags:
        tool = run.tags.get("mlflow.source.name", "another tool")
        raise UserError(f"{name} was not recorded by sgdprobe but by {tool}")
    (run,) = with_series(reader(uri), [run], run.metrics)
    try:
        with _files(uri, run, (*REQUIRED_ARTIFACTS, WEIGHTS, LOSSES, DIFF)) as files:
            _check_complete(files, REQUIRED_ARTIFACTS)
            settings = _read(files["settings.yaml"], _settings)
            provenance = _read(files["provenance.json"], provenance_of)
            numbers = _read(files["numbers.json"], numbers_of)
            trained, ended = bool(numbers["epochs"]), numbers["final_weights"] is not None
            _check_complete(files, [LOSSES] * trained + [WEIGHTS] * ended)
            losses = _read(files[LOSSES], _losses) if trained else np.empty(0)
            weights = _read(files[WEIGHTS], _arrays) if ended else {}
            diff = _read(files[DIFF], bytes.decode) if DIFF in files else ""
    except OwnFileError as error:
        raise OwnFileError(f"{name} needs a file that is not here: {error}") from error
    except (DamagedRecord, OSError) as error:
        where = f"{error} in {run.artifact_uri}"
        if isinstance(error, OSError):
            where = f"has files that can't be read ({error})"
        raise UserError(f"{name} {where}: it can't be rerun (status {run.status})") from error
    contradictions = (
        *metric_contradictions(run, numbers),
        *array_contradictions(run, numbers, weights, losses),
        *identity_contradictions(run, settings, provenance),
    )
    return RunFiles(
        replace(run, contradictions=contradictions), settings, provenance, numbers, diff
    )


def _check_complete(files: Collection[str], needed: Sequence[str]) -> None:
    missing = [file for file in needed if file not in files]
    if missing:
        raise DamagedRecord(f"has no {', no '.join(missing)}")


def _read(file: Path, parse: Callable[[bytes], T]) -> T:
    """Return the content of a file. Raises DamagedRecord, or OSError."""
    content = file.read_bytes()
    try:
        return parse(content)
    except OwnFileError:
        raise
    except Exception as error:  # YAML, JSON, zipfile and NumPy fail in many ways at damage
        raise DamagedRecord(f"has a damaged {file.name} ({one_line(error)})") from error


def _settings(content: bytes) -> Settings:
    return Settings.from_dict(yaml.safe_load(content.decode()))


def _arrays(content: bytes) -> dict[str, Array]:
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def _losses(content: bytes) -> Array:
    losses = _arrays(content)["loss"]
    if losses.ndim != 1 or losses.dtype != float:
        raise ValueError(f"loss has shape {losses.shape} and type {losses.dtype}")
    return losses


def recorded_losses(uri: str | None, run: RecordedRun) -> Array | None:
    """Return the loss of each update, or None where a run recorded none.

    Raises UserError for a damaged file, StoreError.
    """
    try:
        with _files(store_uri(uri), run, [LOSSES]) as files:
            return _read(files[LOSSES], _losses) if LOSSES in files else None
    except DamagedRecord as error:
        raise UserError(f"{run.run_id} ({run.name}) {error} in {run.artifact_uri}") from error


def recorded_files(uri: str | None, run: RecordedRun, names: Collection[str]) -> dict[str, Any]:
    """Return the content of those files that a run recorded, by name.

    names : in CONTENTS. Arrays are a dictionary, JSON is as it was recorded, settings are
    `Settings`. Raises UserError for a damaged file, StoreError.
    """
    try:
        with _files(store_uri(uri), run, names) as files:
            return {name: _read(file, CONTENTS[name]) for name, file in files.items()}
    except DamagedRecord as error:
        raise UserError(f"{run.run_id} ({run.name}) {error} in {run.artifact_uri}") from error


def _object(content: bytes) -> dict[str, Any]:
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


CONTENTS: dict[str, Callable[[bytes], Any]] = {
    "settings.yaml": _settings,
    "provenance.json": provenance_of,
    WEIGHTS: _arrays,
    DIAGNOSTICS: _object,
}


@contextmanager
def _files(uri: str, run: RecordedRun, names: Collection[str]) -> Iterator[Mapping[str, Path]]:
    """The files of these names that a run recorded, downloaded from a server if need be."""
    folder = local_folder(uri, run.artifact_uri)
    if folder is not None:
        yield {name: folder / name for name in names if (folder / name).exists()}
        return
    with temporary_folder() as folder, store_errors(uri):
        client = client_of(uri)
        there = {item.path for item in client.list_artifacts(run.run_id)}
        yield {
            name: Path(client.download_artifacts(run.run_id, name, str(folder)))
            for name in names
            if name in there
        }


def log_report(uri: str | None, run: RecordedRun, page: Path, folder: str) -> str:
    """Keep a page as an artifact of a run; return the address at which MLflow shows it.

    It gets no run of its own: that would be an empty row among those that are compared, and the
    newest run of the store. A page that was kept before is replaced. Raises StoreError.
    """
    uri = store_uri(uri)
    with store_errors(uri), artifact_root(uri):
        client_of(uri).log_artifact(run.run_id, str(page), folder)
    return artifact_url(run.url, f"{folder}/{page.name}")


def tag_verdict(uri: str, run_id: str, verdict: str) -> None:
    """Tag a rerun with its verdict. Raises StoreError."""
    with store_errors(uri):
        client_of(uri).set_tag(run_id, "verdict", verdict)


def add_to_sweep(uri: str, sweep: str, run_ids: Sequence[str]) -> None:
    """Tag runs that a later sweep reused. Raises StoreError."""
    earlier = {run.run_id: run.tags.get(ALSO_IN) for run in reader(uri).with_ids(run_ids)}
    tags = {
        run_id: " ".join([sweep, *(sweeps or "").split()][:MAX_SWEEPS])
        for run_id, sweeps in earlier.items()
    }
    with store_errors(uri):
        if not is_database(uri):
            client = client_of(uri)
            for run_id, value in tags.items():
                set_tags(client, run_id, {ALSO_IN: value})
            return
        rows = [{"run": i, "key": ALSO_IN, "value": value} for i, value in tags.items()]
        change = text("UPDATE tags SET value = :value WHERE run_uuid = :run AND key = :key")
        add = text("INSERT INTO tags (run_uuid, key, value) VALUES (:run, :key, :value)")
        with engine(uri).begin() as connection:
            for statement, is_tagged in ((change, True), (add, False)):
                some = [row for row in rows if (earlier[row["run"]] is not None) == is_tagged]
                if some:
                    connection.execute(statement, some)
