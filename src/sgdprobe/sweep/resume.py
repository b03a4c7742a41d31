"""Resuming a sweep: which of its runs the store has already, and how long the others take."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from sgdprobe import tracking
from sgdprobe.run.job import Job, Outcome

Task = tuple[Job, "tracking.Store"]

# Differences that make a finished run of the same settings another run.
STALE_REASONS = {"source_hash": "other source", "data_hash": "other data"}


def finished_outcomes(tasks: Sequence[Task]) -> tuple[dict[str, Outcome], Counter[str]]:
    """Return the outcomes, by job name, of the jobs that are finished under the same key.

    And count, by reason, the other jobs that have a finished run of the same settings only. A run
    that this very sweep made, and whose worker died before it reported, is not reused.
    """
    outcomes: dict[str, Outcome] = {}
    stale: Counter[str] = Counter()
    for store, jobs in _by_store(tasks).items():
        ended = tracking.finished_runs(store, [job.tags["program"] for job in jobs])
        found = [run for run in reversed(ended) if "test_accuracy" in run.metrics]
        by_key, by_program = ({r.tags.get(tag): r for r in found} for tag in ("key", "program"))
        for job in jobs:
            run = by_key.get(job.tags["key"])
            other = by_program.get(job.tags["program"])
            if run is not None:
                reused = run.tags.get("sweep") != job.tags.get("sweep")
                outcomes[job.name] = Outcome(
                    job, "FINISHED", run.run_id, run.seconds, run.metrics, reused=reused,
                    ending=run.tags.get("diagnostic.ending", ""),
                )  # fmt: skip
            elif other is not None:
                why = [
                    r for tag, r in STALE_REASONS.items() if other.tags.get(tag) != job.tags[tag]
                ]
                stale[" and ".join(why)] += 1
    return outcomes, stale


def expected_seconds(tasks: Sequence[Task]) -> float | None:
    """Return how long the jobs take one after another, judged by past runs; None without any."""
    workloads = Counter((store, job.tags["size"]) for job, store in tasks)
    total = 0.0
    for (store, workload), count in workloads.items():
        each = tracking.median_seconds(store, workload)
        if each is None:
            return None
        total += count * each
    return total


def _by_store(tasks: Sequence[Task]) -> dict["tracking.Store", list[Job]]:
    jobs: dict[tracking.Store, list[Job]] = defaultdict(list)
    for job, store in tasks:
        jobs[store].append(job)
    return jobs
