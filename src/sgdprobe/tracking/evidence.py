"""What recorded runs came to, found by their keys: the same settings, data and source."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run

from sgdprobe.nn import DivergedError
from sgdprobe.tracking.find import recorded_losses
from sgdprobe.tracking.provenance import source_hash
from sgdprobe.tracking.store import MissingStore, read_store, store_uri, usable

PAGE = 1000


@dataclass(frozen=True)
class Result:
    """A run that has its result: FINISHED, or diverged, which is a result too.

    metrics : the last recorded value of each.
    """

    run_id: str
    experiment_id: str
    diverged: bool
    metrics: Mapping[str, float]

    @property
    def page(self) -> str:
        """The part of the address, after the host, that shows the run in `mlflow ui`."""
        return f"/#/experiments/{self.experiment_id}/runs/{self.run_id}"


@dataclass(frozen=True)
class Evidence:
    """What a run showed on its way: accuracy and symptoms epoch by epoch, by metric.

    first_loss : of the first batch, before any update; None where it was not recorded.
    """

    series: Mapping[str, list[float]]
    first_loss: float | None


def recorded_results(uri: str | None) -> dict[str, Result]:
    """The results of today's source in a store, by key; none where there is no store yet.

    Where a key was run several times the oldest counts, so that later runs change no report.
    Raises StoreError.
    """
    try:
        client = read_store(uri)
    except MissingStore:
        return {}
    results: dict[str, Result] = {}
    with usable(store_uri(uri)):
        for run in _runs(client):
            diverged = run.data.tags.get("failure", "").startswith(DivergedError.__name__)
            if run.info.status == "FINISHED" or (run.info.status == "FAILED" and diverged):
                info, metrics = run.info, dict(run.data.metrics)
                result = Result(info.run_id, info.experiment_id, diverged, metrics)
                results.setdefault(run.data.tags["key"], result)
    return results


def _runs(client: MlflowClient) -> Iterator[Run]:
    """Runs of today's source in all experiments, oldest first."""
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


def recorded_evidence(uri: str | None, results: Iterable[Result]) -> Iterator[Evidence]:
    """What each of these runs showed on its way. Raises StoreError."""
    client = read_store(uri)
    for result in results:
        shown = [n for n in result.metrics if n == "test_accuracy" or n.startswith("symptom/")]
        with usable(store_uri(uri)):
            losses = recorded_losses(client, result.run_id)
            series = {name: _series(client, result.run_id, name) for name in shown}
        yield Evidence(series, None if losses is None else float(losses[0]))


def _series(client: MlflowClient, run_id: str, name: str) -> list[float]:
    """A metric, epoch by epoch."""
    points = client.get_metric_history(run_id, name)
    return [point.value for point in sorted(points, key=lambda point: point.step)]
