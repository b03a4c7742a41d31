"""The runs of a sweep, or of an experiment, read in a few questions however many they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Run, RunTag
from sqlalchemy import text

from sgdprobe.tracking.results import diverged, group_by_run, last_metrics, select
from sgdprobe.tracking.store import connect, engine, is_database, run_url, store_errors, store_uri

__all__ = ["SweepRun", "add_to_sweep", "newest_sweep", "runs_of"]

# Later sweeps that found a run done before; the tag `sweep` names the one that made it.
ALSO_IN = "also_in_sweeps"
CURVE = "test_accuracy"

SWEEP_MEMBERS = """
    SELECT tags.run_uuid, tags.value FROM tags JOIN runs ON runs.run_uuid = tags.run_uuid
    WHERE tags.key IN :values AND runs.lifecycle_stage = 'active'
"""
RUNS = """
    SELECT run_uuid, experiment_id, name, status FROM runs
    WHERE run_uuid IN :values AND lifecycle_stage = 'active'
"""
OF_EXPERIMENT = """
    SELECT run_uuid FROM runs WHERE experiment_id IN :values AND lifecycle_stage = 'active'
"""
STARTS = "SELECT run_uuid, start_time FROM runs WHERE run_uuid IN :values"
PARAMS = "SELECT run_uuid, key, value FROM params WHERE run_uuid IN :values"
TAGS = "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN :values"
CURVES = """
    SELECT run_uuid, step, value FROM metrics
    WHERE run_uuid IN :values AND key = :curve ORDER BY step
"""


@dataclass(frozen=True)
class SweepRun:
    """A run as it was recorded.

    page : the address that shows it in MLflow; metrics : the last value of each; curve : the test
    accuracy, epoch by epoch.
    """

    run_id: str
    page: str
    name: str
    status: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    curve: Sequence[float] = field(default=())

    @property
    def state(self) -> str:
        """MLflow's word in small letters; diverged for a run that failed because it did."""
        return (
            "diverged" if diverged(self.status, self.tags.get("failure")) else self.status.lower()
        )


def newest_sweep(uri: str | None) -> str | None:
    """The last sweep of a store; None where there is none. Raises StoreError."""
    sweeps = {sweep for _, sweep in _members(uri)}
    return max(sweeps, default=None)  # they begin with their time


def runs_of(uri: str | None, word: str) -> list[SweepRun]:
    """The runs of a sweep or of an experiment, oldest first; none if `word` names neither.

    Raises StoreError.
    """
    client = connect(uri)
    ids = sorted({run_id for run_id, sweep in _members(uri) if sweep == word})
    if not ids:
        found = client.get_experiment_by_name(word)
        ids = _of_experiment(uri, client, found.experiment_id) if found else []
    if is_database(store_uri(uri)):
        return _read(store_uri(uri), ids)
    runs = sorted(map(client.get_run, ids), key=lambda run: (run.info.start_time, run.info.run_id))
    return [_converted(store_uri(uri), client, run) for run in runs]


def add_to_sweep(uri: str, sweep: str, run_ids: Iterable[str]) -> None:
    """Say of runs that were done before that this sweep counts them, too. Raises StoreError."""
    ids = sorted(run_ids)
    if not is_database(uri):
        client = MlflowClient(tracking_uri=uri)
        with store_errors(uri):
            for run_id in ids:
                earlier = client.get_run(run_id).data.tags.get(ALSO_IN, "")
                client.log_batch(run_id, tags=[RunTag(ALSO_IN, f"{earlier} {sweep}".strip())])
        return
    tags = {run_id: value for run_id, key, value in select(uri, TAGS, ids) if key == ALSO_IN}
    rows = [
        {"run": run_id, "key": ALSO_IN, "value": f"{tags.get(run_id, '')} {sweep}".strip()}
        for run_id in ids
    ]
    old, new = ([row for row in rows if (row["run"] in tags) == is_old] for is_old in (True, False))
    with store_errors(uri), engine(uri).begin() as connection:
        if old:
            change = "UPDATE tags SET value = :value WHERE run_uuid = :run AND key = :key"
            connection.execute(text(change), old)
        if new:
            add = "INSERT INTO tags (run_uuid, key, value) VALUES (:run, :key, :value)"
            connection.execute(text(add), new)


def _members(uri: str | None) -> Iterator[tuple[str, str]]:
    """Every run id with each sweep that it is in."""
    client = connect(uri)
    if is_database(store_uri(uri)):
        rows = list(select(store_uri(uri), SWEEP_MEMBERS, ["sweep", ALSO_IN]))
    else:
        tags = [(run.info.run_id, run.data.tags) for run in _search(client, None)]
        rows = [(i, some[key]) for i, some in tags for key in ("sweep", ALSO_IN) if key in some]
    return ((run_id, sweep) for run_id, sweeps in rows for sweep in sweeps.split())


def _of_experiment(uri: str | None, client: MlflowClient, experiment_id: str) -> list[str]:
    if is_database(store_uri(uri)):
        return [i for (i,) in select(store_uri(uri), OF_EXPERIMENT, [experiment_id])]
    return [run.info.run_id for run in _search(client, experiment_id)]


def _read(uri: str, ids: Sequence[str]) -> list[SweepRun]:
    params, tags = (group_by_run(select(uri, table, ids)) for table in (PARAMS, TAGS))
    metrics = last_metrics(uri, ids)
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for run_id, step, value in select(uri, CURVES, ids, curve=CURVE):
        curves[run_id][step] = value
    starts = dict(map(tuple, select(uri, STARTS, ids)))
    runs = [
        SweepRun(i, run_url(uri, str(number), i), name, status, params[i], tags[i], metrics[i],
                 list(curves[i].values()))
        for i, number, name, status in select(uri, RUNS, ids)
    ]  # fmt: skip
    return sorted(runs, key=lambda run: (starts[run.run_id], run.run_id))


def _search(client: MlflowClient, experiment_id: str | None) -> Iterator[Run]:
    """All runs of a store behind a server, or of one experiment."""
    everywhere = [found.experiment_id for found in client.search_experiments()]
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id] if experiment_id else everywhere, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _converted(uri: str, client: MlflowClient, run: Run) -> SweepRun:
    info, data = run.info, run.data
    curve = {m.step: m.value for m in client.get_metric_history(info.run_id, CURVE)}
    return SweepRun(
        info.run_id, run_url(uri, info.experiment_id, info.run_id), info.run_name, info.status,
        data.params, data.tags, data.metrics, [curve[step] for step in sorted(curve)],
    )  # fmt: skip
