"""The page of an experiment that printed links open: its runs, columns and charts.

By itself MLflow draws the ten newest runs, symptoms first, without a column for a setting. A view
that somebody shares is a tag of the experiment, and a link can name it; so two such tags say it
better: all runs, and the bands of cells that have several seeds.
"""

import json
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sgdprobe.config.settings import OPERATIONAL
from sgdprobe.tracking.descriptions import tag_experiment
from sgdprobe.tracking.readers import reader
from sgdprobe.tracking.store import BANDS_VIEW, VIEW, Store, store_errors

__all__ = ["show"]

TAG = "mlflow.sharedViewState."
COMPRESSED = "deflate;"
TITLES = {VIEW: "sgdprobe: runs, best first", BANDS_VIEW: "sgdprobe: bands over the seeds"}

METRICS = ("loss", "train_accuracy", "test_accuracy")
BEST = "test_accuracy"
ENDS = ("low", "high")  # of a band, after the metric's name
# MLflow calls the section of metrics without a slash so; a slash opens one of its own.
MAIN, SYMPTOMS = "Model metrics", "symptom"
CARD_HEIGHT = 270  # pixels: two rows of charts are on a screen
MAX_COLUMNS = 10  # settings; a tag has at most 5,000 characters
RECENT = 200  # runs in which an experiment without a view is searched for what varies

RUNS_ONLY, CELLS_ONLY = "tags.kind IS NULL", "tags.kind = 'cell'"

State = dict[str, Any]

# The rest of a view, which must be whole: MLflow's own defaults.
UNCHANGED: State = {
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "modelVersionFilter": "All Runs",
    "datasetsFilter": [],
    "columnOrder": [],
    "columnWidths": {},
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
    "viewMaximized": False,
    "runListHidden": False,
    "groupBy": None,
    "groupsExpanded": {},
    "autoRefreshEnabled": True,
    "useGroupedValuesInCharts": True,
    "hideEmptyCharts": True,
    "globalLineChartConfig": {
        "xAxisKey": "step",
        "lineSmoothness": 0,
        "selectedXAxisMetricKey": "",
    },
    "chartsSearchFilter": "",
}


def show(store: Store, varied: Sequence[str], *, bands: bool = False) -> None:
    """Let the experiment's view have these settings as columns, beside those that it has.

    bands : it has runs that are bands, which get a view of their own. A view that lacks nothing is
    left as it is, also where somebody changed it in MLflow. Raises StoreError.
    """
    with store_errors(store.uri):
        tags = store.client().get_experiment(store.experiment_id).tags
        before = _state(tags.get(TAG + VIEW))
        had = _columns(before) if before else _varied(store)
        settings = [key for key in varied if key not in OPERATIONAL]
        columns = tuple(dict.fromkeys([*settings, *had]))[:MAX_COLUMNS]
        bands = bands or TAG + BANDS_VIEW in tags
        views = {VIEW: _runs_view(columns, RUNS_ONLY if bands else "")}
        if bands:
            shared = [key for key in columns if key != "seed"]
            views[BANDS_VIEW] = _bands_view(shared)
        if before and set(columns) == set(had) and {TAG + view for view in views} <= tags.keys():
            return
        for view, state in views.items():
            tag_experiment(store, TAG + view, _tag(TITLES[view], state))


def _varied(store: Store) -> list[str]:
    """Return the settings that differ between the newest runs, in their order."""
    found = reader(store.uri).find(
        experiment_id=store.experiment_id, limit=RECENT, details=("params",)
    )
    values = [run.params for run in found]
    keys = dict.fromkeys(key for params in values for key in params if key not in OPERATIONAL)
    return [key for key in keys if len({params.get(key) for params in values}) > 1]


def _tag(title: str, state: State) -> str:
    """Return a view as MLflow keeps one that is shared."""
    now = round(1000 * time.time())
    packed = b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9))
    return json.dumps(
        {"name": title, "createdAt": now, "updatedAt": now, "state": COMPRESSED + packed.decode()}
    )


def _state(tag: str | None) -> State:
    """Return the view in a tag; empty if there is none that can be read."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, zlib.error):
        packed = json.loads(tag or "")["state"].removeprefix(COMPRESSED)
        state = json.loads(zlib.decompress(b64decode(packed)))
        return state if isinstance(state["selectedColumns"], list) else {}
    return {}


def _columns(state: State) -> list[str]:
    """Return the settings that are columns of a view."""
    found = (str(column).partition(".") for column in state["selectedColumns"])
    return [name.strip("`") for kind, _, name in found if kind == "params"]


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _view(columns: Sequence[str], search: str, charts: Sequence[State], folded: str) -> State:
    """Return a view with all that MLflow keeps of one.

    search : which runs, in the words of MLflow's search. folded : a section of charts, or "".
    """
    chosen = [_column("metrics", name) for name in (BEST, "train_accuracy")]
    chosen += [_column("params", key) for key in columns]
    return UNCHANGED | {
        "searchFilter": search,
        "orderByKey": _column("metrics", BEST),
        "orderByAsc": False,
        "selectedColumns": chosen,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": [
            _section(MAIN, shown=True),
            *([_section(folded, shown=False)] if folded else []),
        ],
        "isAccordionReordered": True,  # else MLflow sorts the sections by name
    }


def _runs_view(columns: Sequence[str], search: str) -> State:
    charts = [*_parallel(columns), *(_lines(name) for name in METRICS)]
    return _view(columns, search, charts, SYMPTOMS)


def _bands_view(columns: Sequence[str]) -> State:
    """Each metric's mean with both ends in one chart; MLflow would draw a chart for each end."""
    banded = [
        _lines(name)
        | {
            "selectedMetricKeys": [name, *(f"{name}_{end}" for end in ENDS)],
        }
        for name in METRICS
    ]
    ends = [_lines(f"{name}_{end}") | {"deleted": True} for name in METRICS for end in ENDS]
    return _view(columns, CELLS_ONLY, [*_parallel(columns), *banded, *ends], "")


def _section(name: str, *, shown: bool) -> State:
    return {
        "uuid": name,
        "name": name,
        "display": shown,
        "isReordered": True,  # else MLflow sorts its charts by name
        "deleted": False,
        "isGenerated": True,
        "columns": 2,
        "cardHeight": CARD_HEIGHT,
    }


def _card(kind: str, name: str) -> State:
    """Return what all charts have."""
    return {
        "type": kind,
        "uuid": name,
        "metricSectionId": MAIN,
        "runsCountToCompare": 10,
        "deleted": False,
        "isGenerated": False,
    }


def _parallel(columns: Sequence[str]) -> list[State]:
    """Return parallel coordinates from the settings to the accuracies; none where none varies."""
    if not columns:
        return []
    axes = [key for key in columns if key != "seed"] or [*columns]
    return [
        _card("PARALLEL", "parallel")
        | {
            "selectedParams": axes,
            "selectedMetrics": ["train_accuracy", BEST],
            "showAllRuns": True,
        }
    ]


def _lines(metric: str) -> State:
    return _card("LINE", metric) | {
        "isGenerated": True,
        "metricKey": metric,
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }
