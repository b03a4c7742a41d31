"""What a run left in the store, read back whole, or the reason why it can't be."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from sgdprobe.errors import UserError
from sgdprobe.provenance.processes import process_is_gone
from sgdprobe.tracking.store import artifact_root

__all__ = ["Record", "read_record", "tag_verdict"]

REQUIRED_ARTIFACTS = ("settings.yaml", "provenance.json", "numbers.json")
DIFF = "uncommitted.diff"


@dataclass(frozen=True)
class Record:
    """One run of ours; `settings` as they were composed, `failure` is None unless it failed."""

    run_id: str
    name: str
    experiment: str
    status: str
    failure: str | None
    tags: Mapping[str, str]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    numbers: Mapping[str, Any]
    diff: str


def read_record(client: MlflowClient, run: Run) -> Record:
    """The record of a run that has ended. Raises Refusal, on one line that names the run."""
    info, tags = run.info, run.data.tags
    if info.status == "RUNNING" and not process_is_gone(tags):
        raise UserError(f"{info.run_id} is still running")
    if "source_hash" not in tags:
        by = tags.get("mlflow.source.name", "another tool")
        raise UserError(f"{info.run_id} ({info.run_name}) was not recorded by sgdprobe but by {by}")
    texts = _texts(client, run)
    try:
        return Record(
            info.run_id,
            str(info.run_name),
            client.get_experiment(info.experiment_id).name,
            info.status,
            tags.get("failure"),
            tags,
            yaml.safe_load(texts["settings.yaml"]),
            json.loads(texts["provenance.json"]),
            json.loads(texts["numbers.json"]),
            texts.get(DIFF, ""),
        )
    except (ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{info.run_id}: what it recorded is damaged: {said}") from error


def _texts(client: MlflowClient, run: Run) -> dict[str, str]:
    """The artifacts that a record is read from."""
    where = f"{run.info.run_id} ({run.info.run_name})"
    try:
        with artifact_root(client.tracking_uri), tempfile.TemporaryDirectory() as folder:
            there = {item.path for item in client.list_artifacts(run.info.run_id)}
            missing = [name for name in REQUIRED_ARTIFACTS if name not in there]
            if missing:
                raise UserError(
                    f"{where} has no {', no '.join(missing)} in {run.info.artifact_uri}: "
                    f"it can't be repeated (status {run.info.status})"
                )
            return {
                name: Path(client.download_artifacts(run.info.run_id, name, folder)).read_text(
                    encoding="utf-8"
                )
                for name in (*REQUIRED_ARTIFACTS, DIFF)
                if name in there
            }
    except (MlflowException, OSError) as error:
        raise UserError(f"{where}: its artifacts can't be read: {error}") from error


def tag_verdict(client: MlflowClient, run_id: str, verdict: str) -> None:
    """Tag a repeat with what it proved."""
    client.set_tag(run_id, "verdict", verdict)
