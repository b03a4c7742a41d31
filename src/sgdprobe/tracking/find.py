"""Recorded runs, found by what a person types, and read back."""

from collections.abc import Iterable
from difflib import get_close_matches

from mlflow import MlflowClient
from mlflow.entities import Run

from sgdprobe.errors import SettingsError
from sgdprobe.nn import EpochMetrics

__all__ = ["find_run", "find_sweep", "recorded_epochs"]

MAX_SHOWN = 10
SEARCH_WINDOW = 1000  # runs among which a mistyped word is looked for


def find_run(client: MlflowClient, word: str) -> Run:
    """The run with this id, this beginning of an id, or this name; for `last` the newest.

    All experiments of the store are searched; repeats of other runs don't count as newest.
    Raises SettingsError if none or several fit.
    """
    everywhere = [found.experiment_id for found in client.search_experiments()]
    newest = ["attributes.start_time DESC"]
    if word == "last":
        first_hand = "tags.rerun_of IS NULL"
        found = client.search_runs(everywhere, first_hand, max_results=1, order_by=newest)
        if not found:
            raise SettingsError("the store holds no run yet")
        return found[0]
    quoted = word.replace("'", "''")
    for condition in (f"run_id LIKE '{quoted}%'", f"run_name = '{quoted}'"):
        found = client.search_runs(everywhere, f"attributes.{condition}", max_results=MAX_SHOWN)
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(run.info.run_id[:12] for run in found)
            raise SettingsError(f"{word}: {len(found)} runs fit, among them {ids}")
    recent = client.search_runs(everywhere, max_results=SEARCH_WINDOW, order_by=newest)
    length = max(len(word), 4)
    names = {run.info.run_id[:length]: run for run in recent}
    names |= {run.info.run_name: run for run in recent}
    near = _nearest(word, names)
    runs = [names[name] for name in near] or recent[:3]
    ids = ", ".join(f"{run.info.run_id[:12]} ({run.info.run_name})" for run in runs)
    which = "the nearest are" if near else "the newest are"
    raise SettingsError(f"{word}: no such run; {which} {ids or 'none'}")


def find_sweep(client: MlflowClient, word: str) -> list[Run]:
    """The runs of the sweep with this id or beginning of one, or of the newest for `last`.

    In the order in which they began. Raises SettingsError if no sweep or several fit.
    """
    everywhere = [found.experiment_id for found in client.search_experiments()]
    condition = "tags.sweep IS NOT NULL and tags.rerun_of IS NULL"
    newest = ["attributes.start_time DESC"]
    runs = client.search_runs(everywhere, condition, max_results=50000, order_by=newest)
    sweeps: dict[str, list[Run]] = {}
    for run in runs:
        sweeps.setdefault(run.data.tags["sweep"], []).insert(0, run)
    fitting = [sweep for sweep in sweeps if sweep.startswith(word)]
    if word == "last":
        fitting = list(sweeps)[:1]
    if len(fitting) > 1 and word not in fitting:
        raise SettingsError(f"{word}: {len(fitting)} sweeps fit, among them {fitting[0]}")
    if not fitting:
        near = ", ".join(_nearest(word, sweeps) or list(sweeps)[:3])
        raise SettingsError(f"{word}: no such sweep; the nearest are {near or 'none'}")
    return sweeps[word if word in fitting else fitting[0]]


def _nearest(word: str, names: Iterable[str]) -> list[str]:
    return get_close_matches(word, list(names), n=3)


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
