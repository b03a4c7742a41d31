"""What recorded runs came to, found by their keys: the same settings, data and source.

A database is asked directly: MLflow's own search and histories take a minute for a thousand runs.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Run

from sgdprobe.errors import MissingStore
from sgdprobe.provenance.source import source_hash
from sgdprobe.tracking.results import diverged, group_by_run, last_metrics, select
from sgdprobe.tracking.store import connect, is_database, run_url, store_errors, store_uri

__all__ = ["Evidence", "Result", "recorded_evidence", "recorded_results"]

PAGE = 1000

ENDED = """
    SELECT tags.value, runs.run_uuid, runs.experiment_id, runs.status, failures.value
    FROM tags JOIN runs ON runs.run_uuid = tags.run_uuid
    LEFT JOIN tags AS failures ON failures.run_uuid = runs.run_uuid AND failures.key = 'failure'
    WHERE tags.key = 'key' AND tags.value IN :values AND runs.lifecycle_stage = 'active'
      AND runs.status IN ('FINISHED', 'FAILED')
    ORDER BY runs.start_time, runs.run_uuid
"""
SERIES = """
    SELECT run_uuid, key, value FROM metrics
    WHERE run_uuid IN :values AND (key = 'test_accuracy' OR key LIKE 'symptom/%') ORDER BY step
"""
DIAGNOSTICS = """
    SELECT run_uuid, key, value FROM tags
    WHERE run_uuid IN :values AND key LIKE 'diagnostic.%'
"""


@dataclass(frozen=True)
class Result:
    """A run that has its result: FINISHED, or diverged, which is a result too.

    page : the address that shows it in MLflow; metrics : the last recorded value of each.
    tags : its diagnostics, `diagnostic.first_loss` and `diagnostic.never_predicted`.
    """

    run_id: str
    page: str
    diverged: bool
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """What a run showed on its way: accuracy and symptoms epoch by epoch, by metric."""

    series: Mapping[str, list[float]]


def recorded_results(uri: str | None, keys: Collection[str]) -> dict[str, Result]:
    """The results of the runs with these keys, by key; none where there is no store yet.

    Where a key was run several times the oldest counts, so that later runs change no report.
    Raises StoreError.
    """
    try:
        client, uri = connect(uri), store_uri(uri)
    except MissingStore:
        return {}
    with store_errors(uri):
        ended = _asked(uri, keys) if is_database(uri) else _searched(uri, client, keys)
        results: dict[str, Result] = {}
        for key, result in ended:
            results.setdefault(key, result)
    return results


def _asked(uri: str, keys: Collection[str]) -> Iterator[tuple[str, Result]]:
    rows = [row for row in select(uri, ENDED, sorted(set(keys))) if _is_result(row[3], row[4])]
    run_ids = sorted({row[1] for row in rows})
    metrics = last_metrics(uri, run_ids)
    tags = group_by_run(select(uri, DIAGNOSTICS, run_ids))
    for key, run_id, experiment, status, failure in rows:
        page = run_url(uri, str(experiment), run_id)
        yield key, Result(run_id, page, diverged(status, failure), metrics[run_id], tags[run_id])


def _searched(
    uri: str, client: MlflowClient, keys: Collection[str]
) -> Iterator[tuple[str, Result]]:
    for run in _runs(client):
        info, tags = run.info, run.data.tags
        if tags["key"] in keys and _is_result(info.status, tags.get("failure")):
            failed = diverged(info.status, tags.get("failure"))
            page = run_url(uri, info.experiment_id, info.run_id)
            diagnostics = {k: v for k, v in tags.items() if k.startswith("diagnostic.")}
            metrics = dict(run.data.metrics)
            yield tags["key"], Result(info.run_id, page, failed, metrics, diagnostics)


def _is_result(status: str, failure: str | None) -> bool:
    return status == "FINISHED" or diverged(status, failure)


def _runs(client: MlflowClient) -> Iterator[Run]:
    """Runs of today's source in all experiments of a store behind a server, oldest first."""
    everywhere = [found.experiment_id for found in client.search_experiments()]
    token: str | None = None
    while everywhere:
        page = client.search_runs(
            everywhere,
            f"tags.source_hash = '{source_hash()}' and tags.key LIKE '_%'",
            max_results=PAGE,
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def recorded_evidence(uri: str | None, results: Sequence[Result]) -> list[Evidence]:
    """What each of these runs showed on its way. Raises StoreError."""
    client, uri = connect(uri), store_uri(uri)
    with store_errors(uri):
        if not is_database(uri):
            return [Evidence(_histories(client, result)) for result in results]
        series: dict[str, dict[str, list[float]]] = {result.run_id: {} for result in results}
        for run_id, name, value in select(uri, SERIES, sorted(series)):
            series[run_id].setdefault(name, []).append(value)
        return [Evidence(series[result.run_id]) for result in results]


def _histories(client: MlflowClient, result: Result) -> dict[str, list[float]]:
    format_value = [n for n in result.metrics if n == "test_accuracy" or n.startswith("symptom/")]
    points = {name: client.get_metric_history(result.run_id, name) for name in format_value}
    return {
        name: [point.value for point in sorted(found, key=lambda point: point.step)]
        for name, found in points.items()
    }
