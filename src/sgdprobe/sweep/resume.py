"""What of a sweep is done already, why the rest is not, and how long that will take."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from sgdprobe import tracking
from sgdprobe.run.job import Job, Outcome

Task = tuple[Job, "tracking.Store"]

# What can make a finished run of the same settings another run.
STALE_REASONS = {"source_hash": "other source", "data_hash": "other data"}


def finished_outcomes(tasks: Sequence[Task]) -> dict[str, Outcome]:
    """The outcomes of the jobs, by name, that the store holds finished under the same key."""
    outcomes: dict[str, Outcome] = {}
    for store, jobs in _by_store(tasks).items():
        found = tracking.finished_runs(store, "key", [job.tags["key"] for job in jobs])
        last = tracking.last_epochs(store, [run.run_id for run in found.values()])
        for job in jobs:
            run = found.get(job.tags["key"])
            if run is not None and run.run_id in last:
                epochs = [last[run.run_id]]
                outcomes[job.name] = Outcome(
                    job, "FINISHED", run.run_id, epochs, run.seconds, reused=True
                )
    return outcomes


def stale_runs(tasks: Sequence[Task]) -> Mapping[str, int]:
    """How many of these jobs have a finished run that does not count, by reason."""
    reasons: Counter[str] = Counter()
    for store, jobs in _by_store(tasks).items():
        found = tracking.finished_runs(store, "program", [job.tags["program"] for job in jobs])
        for job in jobs:
            run = found.get(job.tags["program"])
            if run is not None:
                tags = tracking.run_tags(store, run.run_id)
                why = [
                    words for tag, words in STALE_REASONS.items() if tags.get(tag) != job.tags[tag]
                ]
                reasons[" and ".join(why)] += 1
    return reasons


def expected_seconds(tasks: Sequence[Task]) -> float | None:
    """What the jobs take one after another, from past runs of their sizes; None without such."""
    sizes = Counter((store, job.tags["size"]) for job, store in tasks)
    total = 0.0
    for (store, size), count in sizes.items():
        each = tracking.median_seconds(store, size)
        if each is None:
            return None
        total += count * each
    return total


def _by_store(tasks: Sequence[Task]) -> dict["tracking.Store", list[Job]]:
    jobs: dict[tracking.Store, list[Job]] = defaultdict(list)
    for job, store in tasks:
        jobs[store].append(job)
    return jobs
