"""Recorded runs, found by what a person types, and read back."""

import tempfile
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run

from sgdprobe.nn import EpochMetrics
from sgdprobe.settings import SettingsError
from sgdprobe.tracking.store import at_root

MANY = 10


def find_run(client: MlflowClient, word: str) -> Run:
    """The run with this id, this beginning of an id, or this name; the newest for `last`.

    All experiments of the store are searched. Raises SettingsError if none or several fit.
    """
    everywhere = [found.experiment_id for found in client.search_experiments()]
    newest = ["attributes.start_time DESC"]
    if word == "last":
        found = client.search_runs(everywhere, max_results=1, order_by=newest)
        if not found:
            raise SettingsError("the store holds no run yet")
        return found[0]
    quoted = word.replace("'", "''")
    for condition in (f"run_id LIKE '{quoted}%'", f"run_name = '{quoted}'"):
        found = client.search_runs(everywhere, f"attributes.{condition}", max_results=MANY)
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(run.info.run_id[:12] for run in found)
            raise SettingsError(f"{word}: {len(found)} runs fit, among them {ids}")
    recent = client.search_runs(everywhere, max_results=3, order_by=newest)
    ids = ", ".join(f"{run.info.run_id[:12]} ({run.info.run_name})" for run in recent)
    raise SettingsError(f"{word}: no such run; the newest are {ids or 'none'}")


def recorded_epochs(client: MlflowClient, run: Run) -> list[EpochMetrics]:
    """The epochs of a run as they were recorded, without symptoms and single updates.

    Raises SettingsError for a run that holds no epoch of ours.
    """

    def series(name: str) -> dict[int, float]:
        return {m.step: m.value for m in client.get_metric_history(run.info.run_id, name)}

    loss, train, test = series("loss"), series("train_accuracy"), series("test_accuracy")
    if not loss:
        raise SettingsError(f"{run.info.run_id} has no recorded epoch")
    return [EpochMetrics(step, 0, loss[step], train[step], test[step]) for step in sorted(loss)]


def recorded_losses(client: MlflowClient, run_id: str) -> np.ndarray | None:
    """The loss at every update, or None where it was not recorded."""
    with at_root(), tempfile.TemporaryDirectory() as folder:
        files = {item.path for item in client.list_artifacts(run_id)}
        if "losses.npz" not in files:
            return None
        path = client.download_artifacts(run_id, "losses.npz", folder)
        with np.load(Path(path), allow_pickle=False) as content:
            return np.asarray(content["loss"])
