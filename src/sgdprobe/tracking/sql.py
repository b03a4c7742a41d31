"""Answers about runs from a database, in the tables that MLflow keeps there.

MLflow's own search and histories take a minute for a thousand runs.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

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

from sgdprobe.tracking.address import run_url
from sgdprobe.tracking.database import engine
from sgdprobe.tracking.queries import (
    ALSO_IN,
    CELL,
    DETAILS,
    KIND,
    NEWEST,
    Condition,
    RunReader,
    Series,
    chunks,
    oldest_first,
)
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import store_errors

__all__: list[str] = []

INDEXED_TAGS = ("key", "program", "sweep")
INDEXES = {f"sgdprobe_tag_{tag}": f"tags (value) WHERE key = '{tag}'" for tag in INDEXED_TAGS}
INDEXES["sgdprobe_newest"] = "runs (start_time DESC, run_uuid)"


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
            queries = [query.where(_is_among(among[0], chunk)) for chunk in chunks(among[1])]
        with store_errors(self.uri), engine(self.uri).connect() as connection:
            heads = {head.run_uuid: head for each in queries for head in connection.execute(each)}
            tables = zip(DETAILS, (PARAMS, TAGS, LATEST), strict=True)
            parts = [
                _by_run(connection, rows, heads if name in details else ()) for name, rows in tables
            ]
        return oldest_first(
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
            for chunk in chunks([run.run_id for run in runs]):
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
    if condition.field == f"tags.{ALSO_IN}":  # few runs have it: they are found by it
        value_is = TAGS.c.value.op(operator, is_comparison=True)
        return _has_tag(ALSO_IN, *([value_is(value)] if value else []))
    if operator == "IS NOT NULL":
        return field.is_not(None)
    if operator == "=":
        return _is_among(condition.field, [value])
    return field.op(operator, is_comparison=True)(value)


def _is_among(field: str, values: Collection[str]) -> ColumnElement[bool]:
    name = field.removeprefix("tags.")
    if name not in INDEXED_TAGS:  # the newest runs are then looked at one by one
        return _sql_field(field).in_(values)
    return _has_tag(name, TAGS.c.value.in_(values))


def _has_tag(name: str, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a run is among those with a tag, found by the rows of the tag."""
    # Databases use an index only where its condition stands in the question word for word.
    has_key: ColumnElement[bool] = literal_column(f"tags.key = '{name}'")
    return RUNS.c.run_uuid.in_(select(TAGS.c.run_uuid).where(has_key, *conditions))


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
    for chunk in chunks(ids):
        rows: Iterable[Any] = connection.execute(query.where(values.c.run_uuid.in_(chunk)))
        for run_id, key, value in rows:
            found[run_id][key] = value
    return found
