"""Recorded runs, found by what a person types or by what they computed."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from itertools import islice
from operator import itemgetter
from random import SystemRandom
from statistics import median

from sgdprobe.errors import MissingStore, SettingsError
from sgdprobe.nn import EpochMetrics
from sgdprobe.tracking.consistency import checked
from sgdprobe.tracking.queries import ALSO_IN, OLDEST, RUN_ID, Condition, RunReader, pattern
from sgdprobe.tracking.readers import connect, reader
from sgdprobe.tracking.runs import RecordedRun
from sgdprobe.tracking.store import Store, find_experiment

__all__ = [
    "ended_runs",
    "find_run",
    "find_sweep",
    "finished_runs",
    "median_seconds",
    "newest_experiment",
    "newest_sweep",
    "recorded_epochs",
    "recorded_results",
    "runs_of",
    "with_series",
]

MAX_SHOWN = 10
SEARCH_WINDOW = 200  # runs among which a mistyped word is looked for
FEW = 20  # runs of a sweep that are listed to draw some
ENDINGS = [f"%{number:02x}" for number in range(256)]  # of ids, for LIKE
ENDED = [Condition("attributes.status", "!=", s) for s in ("RUNNING", "SCHEDULED", "KILLED")]
RANDOM = SystemRandom()

SWEEP = "tags.sweep"
HAS_SWEEP = Condition(SWEEP, "IS NOT NULL")
OURS = Condition("tags.source_hash", "IS NOT NULL")  # other tools record runs, too
NO_RERUN = Condition("tags.rerun_of", "IS NULL")  # reruns are not what `last` means


def find_run(runs: RunReader, word: str) -> RecordedRun:
    """Return the run with this id, beginning of an id, or name; for `last` the newest.

    Raises SettingsError if none or several match.
    """
    if word == "last":
        newest = runs.find(OURS, NO_RERUN, limit=1)
        if not newest:
            raise SettingsError("the store holds no run yet")
        return newest[0]
    by_name = Condition("attributes.run_name", "=", word)
    by_id = Condition(RUN_ID, "LIKE", f"{pattern(word)}%")
    both = [run for each in (by_name, by_id) for run in runs.find(each, limit=MAX_SHOWN + 1)]
    found = {run.run_id: run for run in both if run.name == word or run.run_id.startswith(word)}
    if len(found) == 1:
        return found.popitem()[1]
    if found:
        count = len(found) if len(found) <= MAX_SHOWN else f"more than {MAX_SHOWN}"
        ids = ", ".join(run_id[:12] for run_id in list(found)[:MAX_SHOWN])
        raise SettingsError(f"{word}: {count} runs match, among them {ids}")
    recent = runs.find(NO_RERUN, limit=SEARCH_WINDOW, details=())[::-1]
    length = max(len(word), 4)
    names = {run.run_id[:length]: run for run in recent} | {run.name: run for run in recent}
    near = [names[name] for name in _nearest(word, names)]
    shown = ", ".join(f"{run.run_id[:12]} ({run.name})" for run in near or recent[:3])
    which = "the nearest are" if near else "the newest are"
    raise SettingsError(f"{word}: no such run; {which} {shown or 'none'}")


def find_sweep(runs: RunReader, word: str) -> str:
    """Return a sweep that made runs, by its id or beginning of one; for `last` the newest.

    Raises SettingsError if no sweep or several match.
    """
    if word == "last":
        newest = _newest_made(runs)
        matching = [newest[0]] if newest else []
    elif runs.find(OURS, NO_RERUN, Condition(SWEEP, "=", word), limit=1, details=()):
        matching = [word]
    else:
        matching = [sweep for sweep, _ in islice(_sweeps(runs, word), 2)]
    if len(matching) > 1:
        raise SettingsError(f"{word}: several sweeps match, among them {' and '.join(matching)}")
    if not matching:
        recent = runs.find(OURS, NO_RERUN, HAS_SWEEP, limit=SEARCH_WINDOW, details=("tags",))
        sweeps = list(dict.fromkeys(run.tags["sweep"] for run in reversed(recent)))
        near = ", ".join(_nearest(word, sweeps) or sweeps[:3])
        raise SettingsError(f"{word}: no such sweep; the nearest are {near or 'none'}")
    return matching[0]


def newest_experiment(runs: RunReader) -> str | None:
    """Return the experiment of the run that began last, or None where there is none."""
    newest = runs.find(OURS, limit=1, details=())
    return newest[0].experiment if newest else None


def newest_sweep(runs: RunReader) -> str | None:
    """Return the sweep that began last, or None where there is none.

    A sweep that only reused runs has no run of its own: its name begins with its time.
    """
    found = [_newest_made(runs) or ("", 0)]
    also_in = f"tags.{ALSO_IN}"
    for run in runs.find(OURS, Condition(also_in, "IS NOT NULL"), limit=1, order=f"{also_in} DESC"):
        sweep = max(run.tags[ALSO_IN].split())
        with suppress(ValueError):
            time = datetime.strptime(f"{sweep[:15]}+0000", "%Y%m%d-%H%M%S%z")
            found.append((sweep, round(1000 * time.timestamp())))
    return max(found, key=itemgetter(1))[0] or None


def _newest_made(runs: RunReader) -> tuple[str, int] | None:
    """Return the sweep whose first run started last, and when."""
    newest: tuple[str, int] | None = None
    for sweep, last_start in _sweeps(runs):
        if newest is not None and last_start <= newest[1]:
            break  # those that follow began earlier still
        made = Condition(SWEEP, "=", sweep)
        (first,) = runs.find(OURS, made, limit=1, order=OLDEST, details=())
        if newest is None or first.start_time > newest[1]:
            newest = sweep, first.start_time
    return newest


def _sweeps(runs: RunReader, beginning: str = "") -> Iterator[tuple[str, int]]:
    """Yield the sweeps whose names begin so, and when their last run started, newest first.

    MLflow's search can't list the values of a tag, and there may be very many runs.
    """
    conditions = [OURS, NO_RERUN, Condition(SWEEP, "LIKE", f"{pattern(beginning)}%")]
    while found := runs.find(*conditions, limit=1, details=("tags",)):
        sweep = found[0].tags["sweep"]
        conditions.append(Condition(SWEEP, "!=", sweep))
        if sweep.startswith(beginning):
            yield sweep, found[0].start_time


def ended_runs(runs: RunReader, sweep: str, sample: int | None) -> list[RecordedRun]:
    """Return the runs of a sweep that ended, all or a random sample."""
    made = [OURS, Condition(SWEEP, "=", sweep), *ENDED]
    if sample is None:
        return runs.find(*made)
    found = runs.find(*made, limit=FEW + 1, details=())
    if len(found) > FEW:  # ids are random: so are all that end in the same two digits
        found = []
        for ending in RANDOM.sample(ENDINGS, len(ENDINGS)):
            if len(found) < sample:
                found += runs.find(*made, Condition(RUN_ID, "LIKE", ending), details=())
    ids = [run.run_id for run in found]
    return runs.with_ids(RANDOM.sample(ids, min(sample, len(ids))))


def runs_of(runs: RunReader, word: str) -> list[RecordedRun]:
    """Return the runs of a sweep, reused ones included, or of an experiment without reruns.

    None of another tool.
    """
    also_in = Condition(f"tags.{ALSO_IN}", "LIKE", f"%{pattern(word)}%")
    reused = [run for run in runs.find(OURS, also_in) if word in run.tags[ALSO_IN].split()]
    of_sweep = {run.run_id: run for run in runs.find(OURS, Condition(SWEEP, "=", word)) + reused}
    if of_sweep:
        return sorted(of_sweep.values(), key=lambda run: (run.start_time, run.run_id))
    store = find_experiment(runs.uri, word)
    return runs.find(OURS, NO_RERUN, experiment_id=store.experiment_id) if store else []


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
    """Return these runs with their values epoch by epoch, held against their numbers.json.

    metrics : names, or beginnings of names that end with a slash, such as "symptom/".
    """
    recorded = {name for run in found for name in run.metrics}
    wanted = {n for n in recorded if n in metrics or f"{n.partition('/')[0]}/" in metrics}
    series = runs.series(found, wanted)
    return checked(runs.uri, [replace(r, series=series.get(r.run_id, {})) for r in found])


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


FINISHED = Condition("attributes.status", "=", "FINISHED")


def finished_runs(store: Store, programs: Collection[str]) -> list[RecordedRun]:
    """Return the experiment's finished runs of these programs, of any source and data."""
    return reader(store.uri).find(
        FINISHED,
        among=("tags.program", programs),
        experiment_id=store.experiment_id,
        details=("tags", "metrics"),
    )


def median_seconds(store: Store, workload: str) -> float | None:
    """Return the median time of the last finished runs of this workload; None without any."""
    found = reader(store.uri).find(
        *(FINISHED, Condition("tags.size", "=", workload)),
        experiment_id=store.experiment_id,
        limit=MAX_SHOWN,
        details=(),
    )
    return median(run.seconds for run in found) if found else None
