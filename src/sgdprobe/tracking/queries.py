"""Questions to a store about its runs: one interface, for a database and for a server.

MLflow's own search and histories take a minute for a thousand runs; a database is therefore asked
directly, in the tables that MLflow keeps there.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy import ColumnElement, Row, Select, TableClause, column, or_, select, table

from sgdprobe.tracking.address import is_database, run_url, store_uri
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import check_exists, client_of, engine, store_errors

__all__ = ["RunReader", "connect", "reader"]

Series = Mapping[str, Mapping[str, list[float]]]  # by run id and metric


class RunReader(Protocol):
    """Questions to one store. Runs come oldest first, without deleted ones. Raises StoreError."""

    @property
    def uri(self) -> str:
        """The store's address."""

    def with_ids(self, run_ids: Collection[str]) -> list[RecordedRun]:
        """Return the runs with these ids."""

    def with_tag(self, tag: str, values: Collection[str]) -> list[RecordedRun]:
        """Return the runs that have one of these values of a tag."""

    def in_experiment(self, experiment: str) -> list[RecordedRun]:
        """Return the runs of the experiment with this name."""

    def named(self, word: str) -> list[RecordedRun]:
        """Return the runs with this name, or with an id that begins so."""

    def newest(self, count: int, without_tag: str) -> list[RecordedRun]:
        """Return the last runs that have no such tag."""

    def tag_values(self, tag: str) -> list[tuple[str, str]]:
        """Return the id of each run that has a tag, and its value."""

    def series(self, runs: Collection[RecordedRun], names: Collection[str]) -> Series:
        """Return the values of these metrics, epoch by epoch."""


def reader(uri: str) -> RunReader:
    """Return a reader of a store that is known to exist."""
    return SqlReader(uri) if is_database(uri) else ClientReader(uri)


def connect(uri: str | None) -> RunReader:
    """Return a reader of a store. Raises MissingStore, or another StoreError."""
    uri = store_uri(uri)
    check_exists(uri)
    return reader(uri)


def _oldest_first(runs: Iterable[RecordedRun]) -> list[RecordedRun]:
    return sorted(runs, key=lambda run: (run.start_time, run.run_id))


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

CHUNK = 500  # values in one question; databases limit how long one may be


@dataclass(frozen=True)
class SqlReader:
    """Asks a database. See RunReader."""

    uri: str

    def with_ids(self, run_ids: Collection[str]) -> list[RecordedRun]:
        heads = self._among(HEADS, RUNS.c.run_uuid, run_ids)
        ids = [head.run_uuid for head in heads]
        params, tags, metrics = (self._by_run(values, ids) for values in (PARAMS, TAGS, LATEST))
        return _oldest_first(
            RecordedRun(
                i, head.status, head.name, head.experiment,
                run_url(self.uri, str(head.experiment_id), i), head.artifact_uri,
                head.start_time, head.end_time, params[i], tags[i], metrics[i],
            )
            for i, head in zip(ids, heads, strict=True)
        )  # fmt: skip

    def with_tag(self, tag: str, values: Collection[str]) -> list[RecordedRun]:
        tagged = select(TAGS.c.run_uuid).where(TAGS.c.key == tag)
        return self.with_ids({i for (i,) in self._among(tagged, TAGS.c.value, values)})

    def in_experiment(self, experiment: str) -> list[RecordedRun]:
        return self._chosen(HEADS.where(EXPERIMENTS.c.name == experiment))

    def named(self, word: str) -> list[RecordedRun]:
        by_id = RUNS.c.run_uuid.startswith(word, autoescape=True)
        return self._chosen(HEADS.where(or_(by_id, RUNS.c.name == word)))

    def newest(self, count: int, without_tag: str) -> list[RecordedRun]:
        tagged = select(TAGS.c.run_uuid).where(TAGS.c.key == without_tag)
        others = HEADS.where(RUNS.c.run_uuid.not_in(tagged))
        return self._chosen(others.order_by(RUNS.c.start_time.desc()).limit(count))

    def tag_values(self, tag: str) -> list[tuple[str, str]]:
        tagged = select(TAGS.c.run_uuid, TAGS.c.value).where(TAGS.c.key == tag)
        of_runs = tagged.join(RUNS, RUNS.c.run_uuid == TAGS.c.run_uuid).where(IS_ACTIVE)
        return [(row.run_uuid, row.value) for row in self._rows(of_runs)]

    def series(self, runs: Collection[RecordedRun], names: Collection[str]) -> Series:
        points = select(METRICS).where(METRICS.c.key.in_(sorted(names)))
        found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        for row in self._among(points, METRICS.c.run_uuid, [run.run_id for run in runs]):
            found[row.run_uuid][row.key][row.step] = row.value
        return {i: {n: _in_order(steps) for n, steps in of.items()} for i, of in found.items()}

    def _chosen(self, query: Select[Any]) -> list[RecordedRun]:
        return self.with_ids([row.run_uuid for row in self._rows(query)])

    def _by_run(self, values: TableClause, ids: Collection[str]) -> Mapping[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = defaultdict(dict)
        for row in self._among(select(values), values.c.run_uuid, ids):
            found[row.run_uuid][row.key] = row.value
        return found

    def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        with store_errors(self.uri), engine(self.uri).connect() as connection:
            return list(connection.execute(query))

    def _among(
        self, query: Select[Any], key: ColumnElement[Any], values: Collection[str]
    ) -> list[Row[Any]]:
        """Return the rows with one of these values, which may be any number."""
        ordered = sorted(set(values))
        chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
        return [row for chunk in chunks for row in self._rows(query.where(key.in_(chunk)))]


def _in_order(steps: Mapping[int, float]) -> list[float]:
    return [steps[step] for step in sorted(steps)]


PAGE = 1000
FEW = 50  # values that are asked for one by one: MLflow's search knows no IN for tags


@dataclass(frozen=True)
class ClientReader:
    """Asks a server through MLflow's client. See RunReader."""

    uri: str

    def with_ids(self, run_ids: Collection[str]) -> list[RecordedRun]:
        ids = sorted(set(run_ids))
        lists = (", ".join(map(_quoted, ids[at : at + CHUNK])) for at in range(0, len(ids), CHUNK))
        return self._search(*(f"attributes.run_id IN ({some})" for some in lists))

    def with_tag(self, tag: str, values: Collection[str]) -> list[RecordedRun]:
        if len(values) <= FEW:
            return self._search(*(f"tags.{tag} = {_quoted(value)}" for value in set(values)))
        return [r for r in self._search(f"tags.{tag} IS NOT NULL") if r.tags[tag] in values]

    def in_experiment(self, experiment: str) -> list[RecordedRun]:
        return self._search("", experiment=experiment)

    def named(self, word: str) -> list[RecordedRun]:
        conditions = (f"run_id LIKE {_quoted(word + '%')}", f"run_name = {_quoted(word)}")
        return self._search(*(f"attributes.{condition}" for condition in conditions))

    def newest(self, count: int, without_tag: str) -> list[RecordedRun]:
        return self._search(f"tags.{without_tag} IS NULL", newest=count)

    def tag_values(self, tag: str) -> list[tuple[str, str]]:
        return [(run.run_id, run.tags[tag]) for run in self._search(f"tags.{tag} IS NOT NULL")]

    def series(self, runs: Collection[RecordedRun], names: Collection[str]) -> Series:
        client = client_of(self.uri)
        with store_errors(self.uri):
            return {
                run.run_id: {
                    name: _in_order(
                        {m.step: m.value for m in client.get_metric_history(run.run_id, name)}
                    )
                    for name in names
                    if name in run.metrics
                }
                for run in runs
            }

    def _search(
        self, *conditions: str, experiment: str | None = None, newest: int | None = None
    ) -> list[RecordedRun]:
        """Return the runs that fulfil one of the conditions, or the newest of them."""
        with store_errors(self.uri):
            client = client_of(self.uri)
            names = dict(_experiments(client))
            places = [i for i, name in names.items() if experiment in (None, name)]
            found = {
                run.info.run_id: self._converted(run, names[run.info.experiment_id])
                for condition in conditions
                for run in _pages(client, places, condition, newest)
            }
        return _oldest_first(found.values())

    def _converted(self, run: Run, experiment: str) -> RecordedRun:
        info, data = run.info, run.data
        return RecordedRun(
            info.run_id, info.status, info.run_name, experiment,
            run_url(self.uri, info.experiment_id, info.run_id), info.artifact_uri,
            info.start_time, info.end_time, data.params, data.tags, data.metrics,
        )  # fmt: skip


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _experiments(client: MlflowClient) -> Iterator[tuple[str, str]]:
    """Yield id and name of every experiment."""
    token: str | None = None
    while token != "":
        page = client.search_experiments(max_results=PAGE, page_token=token)
        yield from ((found.experiment_id, found.name) for found in page)
        token = page.token or ""


def _pages(
    client: MlflowClient, places: list[str], condition: str, newest: int | None
) -> Iterator[Run]:
    """Yield all runs that fulfil a condition, or the newest, in these experiments."""
    token: str | None = None
    left = newest
    while places and token != "":
        page = client.search_runs(
            places,
            condition,
            max_results=PAGE if left is None else min(PAGE, left),
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        yield from page
        left = None if left is None else left - len(page)
        token = "" if left == 0 else page.token or ""
