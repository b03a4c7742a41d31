"""Questions to a store about its runs: one interface, for a server and for a database.

MLflow's own search and histories take a minute for a thousand runs; a database is therefore asked
directly, in the tables that MLflow keeps there.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy import ColumnElement, Select, TableClause, column, select, table

from sgdprobe.tracking.address import is_database, run_url, store_uri
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import check_exists, client_of, engine, store_errors

__all__ = ["RunReader", "connect", "reader"]

Series = Mapping[str, Mapping[str, Sequence[float]]]  # by run id and metric

CHUNK = 500  # values in one question; databases limit how long one may be
FEW = 50  # tags that are asked for one by one: MLflow's search knows no IN for tags
PAGE = 1000
DETAILS = ("params", "tags", "metrics")


def connect(uri: str | None) -> "RunReader":
    """Return a reader of a store. Raises MissingStore, or another StoreError."""
    uri = store_uri(uri)
    check_exists(uri)
    return reader(uri)


def reader(uri: str) -> "RunReader":
    """Return a reader of a store that is known to exist."""
    return SqlReader(uri) if is_database(uri) else RunReader(uri)


@dataclass(frozen=True)
class RunReader:
    """Questions to a store through MLflow's client, which can ask a server, and any other store.

    Runs come oldest first, without deleted ones. Raises StoreError.
    """

    uri: str

    def with_ids(self, run_ids: Collection[str]) -> list[RecordedRun]:
        """Return the runs with these ids."""
        lists = (", ".join(map(_quoted, chunk)) for chunk in _chunks(run_ids))
        return self._search(*(f"attributes.run_id IN ({some})" for some in lists))

    def with_tag(
        self, tag: str, values: Collection[str], details: Collection[str] = DETAILS
    ) -> list[RecordedRun]:
        """Return the runs that have one of these values of a tag.

        details : those that the caller needs; reading the others takes time.
        """
        if len(values) <= FEW:
            return self._search(*(f"tags.{tag} = {_quoted(value)}" for value in set(values)))
        return [r for r in self._search(f"tags.{tag} IS NOT NULL") if r.tags[tag] in values]

    def in_experiment(self, experiment: str) -> list[RecordedRun]:
        """Return the runs of the experiment with this name."""
        return self._search("", experiment=experiment)

    def named(self, word: str) -> list[RecordedRun]:
        """Return the runs with this name, or with an id that begins so."""
        conditions = (f"run_id LIKE {_quoted(word + '%')}", f"run_name = {_quoted(word)}")
        return self._search(*(f"attributes.{condition}" for condition in conditions))

    def newest(self, count: int, without_tag: str) -> list[RecordedRun]:
        """Return the last runs that have no such tag."""
        return self._search(f"tags.{without_tag} IS NULL", newest=count)

    def tag_values(self, tag: str) -> list[tuple[str, str]]:
        """Return the id of each run that has a tag, and its value."""
        return [(run.run_id, run.tags[tag]) for run in self._search(f"tags.{tag} IS NOT NULL")]

    def series(self, runs: Collection[RecordedRun], names: Collection[str]) -> Series:
        """Return the values of these metrics, epoch by epoch."""
        client = client_of(self.uri)

        def values(run: RecordedRun, name: str) -> list[float]:
            points = client.get_metric_history(run.run_id, name)
            return [point.value for point in sorted(points, key=lambda point: point.step)]

        with store_errors(self.uri):
            return {
                run.run_id: {name: values(run, name) for name in names if name in run.metrics}
                for run in runs
            }

    def _search(
        self, *conditions: str, experiment: str | None = None, newest: int | None = None
    ) -> list[RecordedRun]:
        """Return the runs that fulfil one of the conditions, or the newest of them."""
        with store_errors(self.uri):
            client = client_of(self.uri)
            names = dict(_experiments(client))
            ids = [i for i, name in names.items() if experiment in (None, name)]
            found = {
                run.info.run_id: self._converted(run, names[run.info.experiment_id])
                for condition in conditions
                for run in islice(_runs(client, ids, condition, newest or PAGE), newest)
            }
        return _oldest_first(found.values())

    def _converted(self, run: Run, experiment: str) -> RecordedRun:
        info, data = run.info, run.data
        return RecordedRun(
            info.run_id, info.status, info.run_name, experiment,
            run_url(self.uri, info.experiment_id, info.run_id), info.artifact_uri,
            info.start_time, info.end_time, data.params, data.tags, data.metrics,
        )  # fmt: skip


def _chunks(values: Collection[str]) -> list[list[str]]:
    ordered = sorted(set(values))
    return [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]


def _quoted(value: str) -> str:
    """Quote a value for MLflow's search, which knows no escapes."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _oldest_first(runs: Iterable[RecordedRun]) -> list[RecordedRun]:
    return sorted(runs, key=lambda run: (run.start_time, run.run_id))


def _experiments(client: MlflowClient) -> Iterator[tuple[str, str]]:
    """Yield id and name of every experiment, page by page."""
    token: str | None = None
    while token != "":
        page = client.search_experiments(max_results=PAGE, page_token=token)
        yield from ((found.experiment_id, found.name) for found in page)
        token = page.token or ""


def _runs(
    client: MlflowClient, experiments: list[str], condition: str, at_once: int
) -> Iterator[Run]:
    """Yield the runs of these experiments that fulfil a condition, newest first, page by page."""
    token: str | None = None
    order = ["attributes.start_time DESC"]
    while experiments and token != "":
        page = client.search_runs(
            experiments, condition, max_results=min(at_once, PAGE), order_by=order, page_token=token
        )
        yield from page
        token = page.token or ""


def _table(name: str, *columns: str) -> TableClause:
    return table(name, *map(column, columns))


RUNS = _table(
    *("runs", "run_uuid", "name", "experiment_id", "status"),
    *("start_time", "end_time", "artifact_uri", "lifecycle_stage"),
)
EXPERIMENTS = _table("experiments", "experiment_id", "name")
PARAMS, TAGS, LATEST = (
    _table(name, "run_uuid", "key", "value") for name in ("params", "tags", "latest_metrics")
)
METRICS = _table("metrics", "run_uuid", "key", "value", "step")

IS_ACTIVE = RUNS.c.lifecycle_stage == "active"
HEADS = (
    select(RUNS, EXPERIMENTS.c.name.label("experiment"))
    .join(EXPERIMENTS, EXPERIMENTS.c.experiment_id == RUNS.c.experiment_id)
    .where(IS_ACTIVE)
)


class SqlReader(RunReader):
    """The same questions to a database, in few queries however many runs there are."""

    def with_ids(self, run_ids: Collection[str]) -> list[RecordedRun]:
        return self._read(run_ids, DETAILS)

    def with_tag(
        self, tag: str, values: Collection[str], details: Collection[str] = DETAILS
    ) -> list[RecordedRun]:
        tagged = select(TAGS.c.run_uuid).where(TAGS.c.key == tag)
        return self._read([i for (i,) in self._among(tagged, TAGS.c.value, values)], details)

    def in_experiment(self, experiment: str) -> list[RecordedRun]:
        heads = self._rows(HEADS.where(EXPERIMENTS.c.name == experiment))
        return self.with_ids([head.run_uuid for head in heads])

    def tag_values(self, tag: str) -> list[tuple[str, str]]:
        tagged = select(TAGS.c.run_uuid, TAGS.c.value).where(TAGS.c.key == tag)
        of_runs = tagged.join(RUNS, RUNS.c.run_uuid == TAGS.c.run_uuid).where(IS_ACTIVE)
        return [(run_id, value) for run_id, value in self._rows(of_runs)]

    def series(self, runs: Collection[RecordedRun], names: Collection[str]) -> Series:
        columns = METRICS.c
        points = select(columns.run_uuid, columns.key, columns.value).order_by(columns.step)
        wanted = points.where(columns.key.in_(sorted(names)))
        found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for run_id, key, value in self._among(wanted, columns.run_uuid, [r.run_id for r in runs]):
            found[run_id][key].append(value)
        return found

    def _read(self, run_ids: Collection[str], details: Collection[str]) -> list[RecordedRun]:
        tables = zip(DETAILS, (PARAMS, TAGS, LATEST), strict=True)
        found = [self._by_run(rows, run_ids if name in details else ()) for name, rows in tables]
        return _oldest_first(
            RecordedRun(
                head.run_uuid, head.status, head.name, head.experiment,
                run_url(self.uri, str(head.experiment_id), head.run_uuid), head.artifact_uri,
                head.start_time, head.end_time, *(by_run[head.run_uuid] for by_run in found),
            )
            for head in self._among(HEADS, RUNS.c.run_uuid, run_ids)
        )  # fmt: skip

    def _by_run(self, values: TableClause, ids: Collection[str]) -> Mapping[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = defaultdict(dict)
        for run_id, key, value in self._among(select(values), values.c.run_uuid, ids):
            found[run_id][key] = value
        return found

    def _rows(self, query: Select[Any]) -> list[Any]:
        with store_errors(self.uri), engine(self.uri).connect() as connection:
            return list(connection.execute(query))

    def _among(
        self, query: Select[Any], key: ColumnElement[Any], values: Collection[str]
    ) -> list[Any]:
        """Return the rows with one of these values, which may be any number."""
        return [row for chunk in _chunks(values) for row in self._rows(query.where(key.in_(chunk)))]
