"""Questions to a store about its runs: one interface, for a server and for a database.

MLflow's own search and histories take a minute for a thousand runs; a database is therefore asked
directly, in the tables that MLflow keeps there. A server is asked for no run that is not needed.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    TableClause,
    column,
    inspect,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from sgdprobe.tracking.address import is_database, run_url, store_uri
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import check_exists, client_of, engine, store_errors

__all__ = ["RunReader", "connect", "reader"]

Series = Mapping[str, Mapping[str, Sequence[float]]]  # by run id and metric

CHUNK = 500  # values in one question; databases limit how long one may be
PAGE = 1000
AT_ONCE = 4  # requests to a server; `mlflow server` has four processes
DETAILS = ("params", "tags", "metrics")
INDEXED_TAGS = ("key", "program", "sweep")
INDEXES = {f"sgdprobe_tag_{tag}": f"tags (value) WHERE key = '{tag}'" for tag in INDEXED_TAGS}
INDEXES["sgdprobe_newest"] = "runs (start_time DESC, run_uuid)"
RUN_ID = "attributes.run_id"
KIND, CELL = "kind", "cell"  # the tag of a band, which is made from runs, but is none
NEWEST, OLDEST = "attributes.start_time DESC", "attributes.start_time ASC"


class Condition(NamedTuple):
    """A condition in the words of MLflow's search.

    field : attributes.NAME or tags.NAME. operator : =, !=, LIKE, IS NULL or IS NOT NULL.
    """

    field: str
    operator: str
    value: str = ""


def pattern(word: str) -> str:
    """Return a word for LIKE. MLflow's search knows no escapes: what has a meaning matches any."""
    return re.sub(r"""['"\\%\[\]*?]""", "_", word)


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

    Deleted runs are left out. Raises StoreError.
    """

    uri: str

    def find(
        self,
        *conditions: Condition,
        among: tuple[str, Collection[str]] | None = None,
        experiment_id: str | None = None,
        limit: int | None = None,
        order: str = NEWEST,
        details: Collection[str] = DETAILS,
        bands: bool = False,
    ) -> list[RecordedRun]:
        """Return the runs that fulfil all conditions, oldest first.

        among : a field, and values of which it has one. limit : no more than so many, the first in
        this order. details : those that the caller needs; reading the others takes time, and a
        server sends all. bands : look among the bands of cells (bands.py), which are no runs,
        instead of among the runs.
        """
        with store_errors(self.uri), ThreadPoolExecutor(AT_ONCE) as pool:
            ids = [experiment_id] if experiment_id else list(self._experiments)
            search = partial(_search, client_of(self.uri), ids, limit, order, bands)
            found = [run for some in pool.map(search, _filters(conditions, among)) for run in some]
            return _oldest_first({run.info.run_id: self._converted(run) for run in found}.values())

    def with_ids(self, run_ids: Collection[str]) -> list[RecordedRun]:
        """Return the runs with these ids."""
        return self.find(among=(RUN_ID, run_ids))

    def with_tag(
        self, tag: str, values: Collection[str], details: Collection[str] = DETAILS
    ) -> list[RecordedRun]:
        """Return the runs that have one of these values of a tag."""
        return self.find(among=(f"tags.{tag}", values), details=details)

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

    @cached_property
    def _experiments(self) -> dict[str, str]:
        """The name of every experiment, by id."""
        return {found.experiment_id: found.name for found in _experiments(client_of(self.uri))}

    def _converted(self, run: Run) -> RecordedRun:
        info, data = run.info, run.data
        return RecordedRun(
            info.run_id, info.status, info.run_name, self._experiments[info.experiment_id],
            run_url(self.uri, info.experiment_id, info.run_id), info.artifact_uri,
            info.start_time, info.end_time, data.params, data.tags, data.metrics,
        )  # fmt: skip


def _filters(
    conditions: Sequence[Condition], among: tuple[str, Collection[str]] | None
) -> Iterator[str]:
    """Yield texts for MLflow's search, which has no OR, and no IN for tags."""
    texts = [_filter(condition) for condition in conditions]
    field, values = among or ("", [])
    alternatives = [_filter(Condition(field, "=", value)) for value in sorted(set(values))]
    if field == RUN_ID:
        lists = (", ".join(map(_quoted, chunk)) for chunk in _chunks(values))
        alternatives = [f"{field} IN ({some})" for some in lists]
    for alternative in [""] if among is None else alternatives:
        yield " AND ".join(filter(None, [*texts, alternative]))


def _filter(condition: Condition) -> str:
    field, operator, value = condition
    if "NULL" in operator:
        return f"{field} {operator}"
    if operator == "=" and ({"'", '"'} <= set(value) or value.endswith("\\")):
        operator, value = "LIKE", pattern(value)
    return f"{field} {operator} {_quoted(value)}"


def _chunks(values: Collection[str]) -> list[list[str]]:
    ordered = sorted(set(values))
    return [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]


def _quoted(value: str) -> str:
    """Quote a value for MLflow's search, which knows no escapes."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _oldest_first(runs: Iterable[RecordedRun]) -> list[RecordedRun]:
    return sorted(runs, key=lambda run: (run.start_time, run.run_id))


def _experiments(client: MlflowClient) -> Iterator[Any]:
    """Yield every experiment, page by page."""
    token: str | None = None
    while token != "":
        page = client.search_experiments(max_results=PAGE, page_token=token)
        yield from page
        token = page.token or ""


def _search(
    client: MlflowClient,
    experiments: list[str],
    limit: int | None,
    order: str,
    bands: bool,
    text: str,
) -> list[Run]:
    """Return the runs, or the bands, of these experiments that fulfil a condition.

    MLflow's search knows no "kind is missing or another one", so that is looked for here.
    """
    found: list[Run] = []
    token: str | None = None
    while experiments and token != "" and (limit is None or len(found) < limit):
        count = limit if limit and token is None else PAGE
        page = client.search_runs(
            experiments, text, max_results=count, order_by=[order], page_token=token
        )
        found += [run for run in page if (run.data.tags.get(KIND) == CELL) == bands]
        token = page.token or ""
    return found[:limit]


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

COLUMNS = {**RUNS.c, "run_id": RUNS.c.run_uuid, "run_name": RUNS.c.name}  # by MLflow's names
HEADS = (
    select(RUNS, EXPERIMENTS.c.name.label("experiment"))
    .join(EXPERIMENTS, EXPERIMENTS.c.experiment_id == RUNS.c.experiment_id)
    .where(RUNS.c.lifecycle_stage == "active")
)
IS_BAND = (
    select(TAGS.c.key)
    .where(TAGS.c.key == KIND, TAGS.c.value == CELL, TAGS.c.run_uuid == RUNS.c.run_uuid)
    .correlate(RUNS)
    .exists()
)


class SqlReader(RunReader):
    """The same questions to a database, in few queries however many runs there are."""

    def find(
        self,
        *conditions: Condition,
        among: tuple[str, Collection[str]] | None = None,
        experiment_id: str | None = None,
        limit: int | None = None,
        order: str = NEWEST,
        details: Collection[str] = DETAILS,
        bands: bool = False,
    ) -> list[RecordedRun]:
        query = HEADS.where(IS_BAND if bands else ~IS_BAND)
        query = query.where(*(_sql_condition(condition) for condition in conditions))
        if experiment_id is not None:
            query = query.where(RUNS.c.experiment_id == int(experiment_id))
        if limit is not None:
            key, _, direction = order.partition(" ")
            by = _sql_field(key)
            query = query.order_by(by.desc() if direction == "DESC" else by, RUNS.c.run_uuid)
            query = query.limit(limit)
        queries = [query]
        if among is not None:
            queries = [query.where(_is_among(among[0], chunk)) for chunk in _chunks(among[1])]
        with store_errors(self.uri), engine(self.uri).connect() as connection:
            heads = {head.run_uuid: head for each in queries for head in connection.execute(each)}
            tables = zip(DETAILS, (PARAMS, TAGS, LATEST), strict=True)
            parts = [
                _by_run(connection, rows, heads if name in details else ()) for name, rows in tables
            ]
        return _oldest_first(
            RecordedRun(
                run_id, head.status, head.name, head.experiment,
                run_url(self.uri, str(head.experiment_id), run_id), head.artifact_uri,
                head.start_time, head.end_time, *(by_run[run_id] for by_run in parts),
            )
            for run_id, head in heads.items()
        )  # fmt: skip

    def series(self, runs: Collection[RecordedRun], names: Collection[str]) -> Series:
        columns = METRICS.c
        points = select(columns.run_uuid, columns.key, columns.value).order_by(columns.step)
        wanted: Select[Any] = points.where(columns.key.in_(sorted(names)))
        found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        with store_errors(self.uri), engine(self.uri).connect() as connection:
            for chunk in _chunks([run.run_id for run in runs]):
                rows: Iterable[Any] = connection.execute(wanted.where(columns.run_uuid.in_(chunk)))
                for run_id, key, value in rows:
                    found[run_id][key].append(value)
        return found


def _sql_field(field: str) -> ColumnElement[Any]:
    kind, _, name = field.partition(".")
    if kind == "attributes":
        return COLUMNS[name]
    of_run = (TAGS.c.key == name, TAGS.c.run_uuid == RUNS.c.run_uuid)
    return select(TAGS.c.value).where(*of_run).correlate(RUNS).scalar_subquery()


def _sql_condition(condition: Condition) -> ColumnElement[bool]:
    field, operator, value = _sql_field(condition.field), condition.operator, condition.value
    if operator == "IS NULL":
        return field.is_(None)
    if operator == "IS NOT NULL":
        return field.is_not(None)
    if operator == "=":
        return _is_among(condition.field, [value])
    return field.op(operator, is_comparison=True)(value)


def _is_among(field: str, values: Collection[str]) -> ColumnElement[bool]:
    name = field.removeprefix("tags.")
    if name not in INDEXED_TAGS:  # the newest runs are then looked at one by one
        return _sql_field(field).in_(values)
    # Databases use an index only where its condition stands in the question word for word.
    has_key: ColumnElement[bool] = literal_column(f"tags.key = '{name}'")
    return RUNS.c.run_uuid.in_(select(TAGS.c.run_uuid).where(has_key, TAGS.c.value.in_(values)))


def create_indexes(uri: str) -> None:
    """Let a database find runs without reading all; one that refuses reads all."""
    if engine(uri).dialect.name not in ("sqlite", "postgresql"):
        return
    with suppress(SQLAlchemyError), engine(uri).begin() as connection:
        database = inspect(connection)
        known = {i["name"] for name in ("runs", "tags") for i in database.get_indexes(name)}
        for name in INDEXES.keys() - known:
            connection.execute(text(f"CREATE INDEX {name} ON {INDEXES[name]}"))


def _by_run(
    connection: Connection, values: TableClause, ids: Collection[str]
) -> Mapping[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    query: Select[Any] = select(values)
    for chunk in _chunks(ids):
        rows: Iterable[Any] = connection.execute(query.where(values.c.run_uuid.in_(chunk)))
        for run_id, key, value in rows:
            found[run_id][key] = value
    return found
