"""Questions to a store about its runs, and their answers from a server.

A server is asked for no run that is not needed. `sql` has the answers from a database.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sgdprobe.tracking.address import run_url
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import client_of, store_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["RunReader"]

Series = Mapping[str, Mapping[str, Sequence[float]]]  # by run id and metric

CHUNK = 500  # values in one question; databases limit how long one may be
PAGE = 1000
AT_ONCE = 4  # requests to a server; `mlflow server` has four processes
DETAILS = ("params", "tags", "metrics")
RUN_ID = "attributes.run_id"
KIND, CELL = "kind", "cell"  # the tag of a band, which is made from runs, but is none
# Later sweeps that reused a run, the newest first; the tag `sweep` names the one that made it.
ALSO_IN = "also_in_sweeps"
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
            return oldest_first({run.info.run_id: self._converted(run) for run in found}.values())

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

    def _converted(self, run: "Run") -> RecordedRun:
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
        lists = (", ".join(map(_quoted, chunk)) for chunk in chunks(values))
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


def chunks(values: Collection[str]) -> list[list[str]]:
    """Return the values in lists that fit into one question."""
    ordered = sorted(set(values))
    return [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]


def _quoted(value: str) -> str:
    """Quote a value for MLflow's search, which knows no escapes."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def oldest_first(runs: Iterable[RecordedRun]) -> list[RecordedRun]:
    """Return the runs by the time of their start."""
    return sorted(runs, key=lambda run: (run.start_time, run.run_id))


def _experiments(client: "MlflowClient") -> Iterator[Any]:
    """Yield every experiment, page by page."""
    token: str | None = None
    while token != "":
        page = client.search_experiments(max_results=PAGE, page_token=token)
        yield from page
        token = page.token or ""


def _search(
    client: "MlflowClient",
    experiments: list[str],
    limit: int | None,
    order: str,
    bands: bool,
    text: str,
) -> "list[Run]":
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
