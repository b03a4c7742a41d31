"""The jobs of a sweep in worker processes: each until it has an outcome, whatever dies."""

import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from joblib import delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from sgdprobe import tracking
from sgdprobe.config.settings import SweepSettings
from sgdprobe.errors import RunClaimed, StoreError, WorkersDidNotStart
from sgdprobe.run.job import Job, Outcome, run_job
from sgdprobe.sweep.resume import Task, finished_outcomes
from sgdprobe.sweep.workers import cluster, dispatch, process_count, stop_workers

# Deaths of workers in a row, without a run having started, after which a sweep stops.
MAX_FAILED_STARTS = 5
# Other sweeps are waited for so long without a word, and asked at least so often.
SILENT_S = 5
MAX_PAUSE_S = 2
SIGNALS = re.compile(r"exit codes of the workers are \{(.+)\}")


@dataclass(frozen=True)
class Busy:
    """A job whose run another sweep is making; `run` says which run and process that is."""

    job: Job
    run: str


def _work(job: Job, store: "tracking.Store") -> Outcome | Busy:
    """Run one job, unless it is finished by now.

    Another sweep may have run it, or a worker that was killed before it could report. Raises
    StoreError where no run can be recorded, so that the sweep ends.
    """
    tracking.import_mlflow(store.uri)
    sweep = job.settings.sweep
    may_reuse = sweep.resume and job.rerun_of is None
    with tracking.store_errors(store.uri):
        tracking.check_writable(store.uri)
        if sweep.backend == "dask":
            cluster().check_same_as_here(job)  # it may have joined after the sweep began
            kills = tracking.count_deaths(store, job.tags)  # Dask tries again by itself
            if kills >= sweep.max_kills:
                return _abandoned(job, kills)
        try:
            return run_job(replace(job, exclusive=may_reuse), store)
        except RunClaimed as claim:
            done, _ = finished_outcomes([(job, store)])
            return done.get(job.name) or Busy(job, str(claim))


def fan_out(
    tasks: Sequence[Task],
    settings: SweepSettings,
    sweep: str,
    tell: Callable[[str], None],
) -> Generator[Outcome, None, None]:
    """Yield the outcomes of all jobs, in the order in which they end.

    Jobs that another sweep is running come last: they are tried again until it has the result, or
    has died. When a worker process dies, joblib stops; the pending jobs go to new workers, except
    for one that was running at `max_kills` deaths: it is the likely cause, and counts as KILLED.
    tell : called with a line about each death, and about waiting.

    Raises WorkersDidNotStart if none can start, or if they keep dying before any job starts.
    However it ends early, also when the caller closes it, it stops the workers and marks their
    runs KILLED.
    """
    pending = {job.name: (job, store) for job, store in tasks}
    kills: Counter[str] = Counter()
    failed_starts = 0
    processes = process_count(settings, len(pending))
    waiting = Waiting(tell)
    try:
        while pending:
            busy: list[Busy] = []
            calls = [delayed(_work)(job, store) for job, store in pending.values()]
            try:
                for outcome in dispatch(calls, settings, processes):
                    if isinstance(outcome, Busy):
                        busy.append(outcome)
                        continue
                    del pending[outcome.job.name]
                    failed_starts = 0
                    yield outcome
            except TerminatedWorkerError as error:
                before, kills = kills, _kills(pending, sweep)
                running = [name for name in pending if kills[name] > before[name]]
                tell(_describe_death(error, running))
                failed_starts = 0 if running else failed_starts + 1
                if failed_starts == MAX_FAILED_STARTS:
                    message = f"workers died {failed_starts} times before starting any run"
                    raise WorkersDidNotStart(message) from error
                for name in [name for name in pending if kills[name] >= settings.max_kills]:
                    yield _abandoned(pending.pop(name)[0], kills[name])
            waiting.pause(busy)
    except BaseException:
        stop_workers()
        for store in dict.fromkeys(store for _, store in tasks):
            with suppress(StoreError):  # a broken store's next command does it
                tracking.mark_dead_runs_killed(store)
        raise


class Waiting:
    """Pauses between two tries of jobs that other sweeps are running."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._since = time.monotonic()
        self._told: set[str] = set()

    def pause(self, busy: Sequence[Busy]) -> None:
        """Wait a little, and tell what for when it takes long."""
        if not busy:
            self._since = time.monotonic()
            return
        waited = time.monotonic() - self._since
        for each in busy if waited > SILENT_S else ():
            if each.run not in self._told:
                self._told.add(each.run)
                self._tell(f"{each.job.name}: waiting for {each.run}")
        time.sleep(min(MAX_PAUSE_S, max(0.05, waited / 4)))


def _abandoned(job: Job, kills: int) -> Outcome:
    failure = tracking.Failure("killed", f"abandoned: its worker was killed {kills} times")
    return Outcome(job, "KILLED", None, 0.0, failure=failure)


def _kills(pending: Mapping[str, Task], sweep: str) -> Counter[str]:
    """Count the deaths of workers at which each job of a sweep was running, by name."""
    stores = dict.fromkeys(store for _, store in pending.values())
    for store in stores:
        tracking.mark_dead_runs_killed(store)
    runs = (
        run
        for uri in {store.uri for store in stores}
        for run in tracking.reader(uri).with_tag("sweep", [sweep])
    )
    return Counter(run.name for run in runs if run.status == "KILLED")


def _describe_death(error: TerminatedWorkerError, running: Sequence[str]) -> str:
    """Return a line such as "a worker died (SIGKILL(-9)), running: lr=0.1 seed=3".

    joblib then ends its other workers, too, so it may be several jobs.
    """
    signals = SIGNALS.search(str(error))
    cause = signals[1] if signals else "unknown cause"
    return f"a worker died ({cause}), running: {', '.join(running) or 'none'}"
