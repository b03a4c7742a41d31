"""Recorded runs, found by what a person types or by what they computed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from statistics import median

from sgdprobe.errors import MissingStore, SettingsError
from sgdprobe.nn import EpochMetrics
from sgdprobe.tracking.queries import RunReader, connect, reader
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import Store

__all__ = [
    "find_run",
    "find_sweep",
    "finished_runs",
    "median_seconds",
    "newest_sweep",
    "recorded_epochs",
    "recorded_results",
    "runs_of",
    "with_series",
]

MAX_SHOWN = 10
SEARCH_WINDOW = 1000  # runs among which a mistyped word is looked for

SWEEP = "sweep"
# Later sweeps that reused a run; the tag `sweep` names the one that made it.
ALSO_IN = "also_in_sweeps"
RERUN = "rerun_of"  # reruns are not what `last` means


def find_run(runs: RunReader, word: str) -> RecordedRun:
    """Return the run with this id, beginning of an id, or name; for `last` the newest.

    Raises SettingsError if none or several match.
    """
    if word == "last":
        newest = runs.newest(1, without_tag=RERUN)
        if not newest:
            raise SettingsError("the store holds no run yet")
        return newest[0]
    found = runs.named(word)
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(run.run_id[:12] for run in found[:MAX_SHOWN])
        raise SettingsError(f"{word}: {len(found)} runs match, among them {ids}")
    recent = runs.newest(SEARCH_WINDOW, without_tag=RERUN)[::-1]
    length = max(len(word), 4)
    names = {run.run_id[:length]: run for run in recent} | {run.name: run for run in recent}
    near = [names[name] for name in _nearest(word, names)]
    shown = ", ".join(f"{run.run_id[:12]} ({run.name})" for run in near or recent[:3])
    which = "the nearest are" if near else "the newest are"
    raise SettingsError(f"{word}: no such run; {which} {shown or 'none'}")


def find_sweep(runs: RunReader, word: str) -> list[RecordedRun]:
    """Return the runs that a sweep made, by its id or beginning of one; for `last` the newest.

    Raises SettingsError if no sweep or several match.
    """
    sweeps = _sweeps(runs, SWEEP)
    matching = [sweep for sweep in sweeps if sweep.startswith(word)]
    if word == "last":
        matching = sorted(sweeps)[-1:]
    if len(matching) > 1 and word not in matching:
        raise SettingsError(f"{word}: {len(matching)} sweeps match, among them {matching[0]}")
    if not matching:
        near = ", ".join(_nearest(word, sweeps) or sorted(sweeps)[:-4:-1])
        raise SettingsError(f"{word}: no such sweep; the nearest are {near or 'none'}")
    return runs.with_ids(sweeps[word if word in matching else matching[0]])


def newest_sweep(runs: RunReader) -> str | None:
    """Return the last sweep of a store, or None where there is none."""
    return max(_sweeps(runs, SWEEP, ALSO_IN), default=None)  # their names begin with their time


def runs_of(runs: RunReader, word: str) -> list[RecordedRun]:
    """Return the runs of a sweep, reused ones included, or of an experiment; or none."""
    ids = _sweeps(runs, ALSO_IN).get(word, [])
    of_sweep = {run.run_id: run for run in [*runs.with_tag(SWEEP, [word]), *runs.with_ids(ids)]}
    ordered = sorted(of_sweep.values(), key=lambda run: (run.start_time, run.run_id))
    return ordered or runs.in_experiment(word)


def _sweeps(runs: RunReader, *tags: str) -> Mapping[str, list[str]]:
    """Return the ids of the runs of each sweep that these tags name, without reruns."""
    reruns = {run_id for run_id, _ in runs.tag_values(RERUN)}
    found: dict[str, list[str]] = defaultdict(list)
    for run_id, sweeps in (pair for tag in tags for pair in runs.tag_values(tag)):
        for sweep in () if run_id in reruns else sweeps.split():
            found[sweep].append(run_id)
    return found


def _nearest(word: str, names: Iterable[str]) -> list[str]:
    return get_close_matches(word, list(names), n=3)


def recorded_epochs(runs: RunReader, run: RecordedRun) -> list[EpochMetrics]:
    """Return a run's epochs as they were recorded, without symptoms and single updates.

    Raises SettingsError for a run that has no epoch of ours.
    """
    names = ("loss", "train_accuracy", "test_accuracy")
    (run,) = with_series(runs, [run], names)
    if not all(run.series.get(name) for name in names):
        raise SettingsError(f"{run.run_id} has no recorded epoch")
    series = zip(*(run.series[name] for name in names), strict=True)
    return [EpochMetrics(epoch, 0, *values) for epoch, values in enumerate(series, start=1)]


def with_series(
    runs: RunReader, found: Sequence[RecordedRun], metrics: Collection[str]
) -> list[RecordedRun]:
    """Return these runs with their values epoch by epoch.

    metrics : names, or beginnings of names that end with a slash, such as "symptom/".
    """
    recorded = {name for run in found for name in run.metrics}
    wanted = {n for n in recorded if n in metrics or f"{n.partition('/')[0]}/" in metrics}
    series = runs.series(found, wanted)
    return [replace(run, series=series.get(run.run_id, {})) for run in found]


def recorded_results(uri: str | None, keys: Collection[str]) -> dict[str, RecordedRun]:
    """Return the run that finished or diverged for each of these keys; none without a store.

    Where a key was run several times the oldest counts, so that later runs change no report.
    Raises StoreError.
    """
    try:
        found = connect(uri).with_tag("key", keys, details=("tags", "metrics"))
    except MissingStore:
        return {}
    return {run.tags["key"]: run for run in reversed(found) if run.has_result}


def finished_runs(store: Store, tag: str, values: Collection[str]) -> dict[str, RecordedRun]:
    """Return the experiment's first finished run for each of these values of a tag."""
    found = reader(store.uri).with_tag(tag, values)
    return {
        run.tags[tag]: run
        for run in reversed(found)
        if run.status == "FINISHED" and run.experiment == store.experiment
    }


def median_seconds(store: Store, workload: str) -> float | None:
    """Return the median time of finished runs of this workload; None without such runs."""
    found = reader(store.uri).with_tag("size", [workload], details=())
    seconds = [
        run.seconds
        for run in found
        if run.status == "FINISHED" and run.experiment == store.experiment
    ]
    return median(seconds) if seconds else None
