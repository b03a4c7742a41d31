"""The files that a run recorded, and what is added to runs that have ended."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mlflow.entities import RunTag
from sqlalchemy import text

from sgdprobe.errors import StoreError, UserError
from sgdprobe.nn.functions import Array
from sgdprobe.tracking.address import is_database, store_uri
from sgdprobe.tracking.find import ALSO_IN
from sgdprobe.tracking.liveness import is_dead
from sgdprobe.tracking.queries import reader
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import (
    artifact_root,
    client_of,
    engine,
    local_folder,
    store_errors,
    temporary_folder,
)

__all__ = [
    "RunFiles",
    "add_to_sweep",
    "log_report",
    "read_files",
    "recorded_arrays",
    "tag_verdict",
]

REQUIRED_ARTIFACTS = ("settings.yaml", "provenance.json", "numbers.json")
DIFF = "uncommitted.diff"
MAX_SWEEPS = 200  # in a tag, which has at most 5,000 characters


@dataclass(frozen=True)
class RunFiles:
    """The files from which a run can be rerun and compared.

    settings : as they were composed. diff : uncommitted changes, or an empty string.
    """

    run: RecordedRun
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    numbers: Mapping[str, Any]
    diff: str


def read_files(uri: str, run: RecordedRun) -> RunFiles:
    """Read the files of a run that has ended. Raises UserError, in one line that names the run."""
    if run.status == "RUNNING" and is_dead(uri, run.tags) is not True:
        raise UserError(f"{run.run_id} is still running")
    name = f"{run.run_id} ({run.name})"
    if "source_hash" not in run.tags:
        tool = run.tags.get("mlflow.source.name", "another tool")
        raise UserError(f"{name} was not recorded by sgdprobe but by {tool}")
    try:
        with _files(uri, run, (*REQUIRED_ARTIFACTS, DIFF)) as files:
            texts = {file: path.read_text(encoding="utf-8") for file, path in files.items()}
    except (StoreError, OSError) as error:
        raise UserError(f"{name}: its artifacts can't be read: {error}") from error
    missing = [file for file in REQUIRED_ARTIFACTS if file not in texts]
    if missing:
        raise UserError(
            f"{name} has no {', no '.join(missing)} in {run.artifact_uri}: "
            f"it can't be rerun (status {run.status})"
        )
    try:
        settings = yaml.safe_load(texts["settings.yaml"])
        provenance, numbers = (json.loads(texts[file]) for file in REQUIRED_ARTIFACTS[1:])
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{run.run_id}: what it recorded is damaged: {reason}") from error
    return RunFiles(run, settings, provenance, numbers, texts.get(DIFF, ""))


def recorded_arrays(
    uri: str | None, runs: Iterable[RecordedRun], name: str
) -> Iterator[Mapping[str, Array] | None]:
    """Yield the arrays in this file of each run, or None where it recorded none.

    Raises StoreError.
    """
    for run in runs:
        with _files(store_uri(uri), run, [name]) as files:
            if name not in files:
                yield None
                continue
            with np.load(files[name], allow_pickle=False) as content:
                arrays = dict(content)
        yield arrays


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


def log_report(uri: str | None, run: RecordedRun, page: Path, study: str) -> str:
    """Keep a study's page as an artifact of one of its runs; return the address of it.

    It gets no run of its own: that would be an empty row among those that are compared, and the
    newest run of the store. A page that was kept before is replaced. Raises StoreError.
    """
    uri = store_uri(uri)
    with store_errors(uri), artifact_root(uri):
        client_of(uri).log_artifact(run.run_id, str(page), study)
    return f"{run.url}/artifacts"


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
                client.log_batch(run_id, tags=[RunTag(ALSO_IN, value)])
            return
        rows = [{"run": i, "key": ALSO_IN, "value": value} for i, value in tags.items()]
        change = text("UPDATE tags SET value = :value WHERE run_uuid = :run AND key = :key")
        add = text("INSERT INTO tags (run_uuid, key, value) VALUES (:run, :key, :value)")
        with engine(uri).begin() as connection:
            for statement, is_tagged in ((change, True), (add, False)):
                some = [row for row in rows if (earlier[row["run"]] is not None) == is_tagged]
                if some:
                    connection.execute(statement, some)
