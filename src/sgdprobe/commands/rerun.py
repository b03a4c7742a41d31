"""Recorded runs repeated from the store alone, and a verdict on every number."""

import random
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sgdprobe import tracking
from sgdprobe.commands.cli import STORE_HELP, Parser
from sgdprobe.commands.console import RunProgress, plain_console, where_to_look
from sgdprobe.commands.progress import SweepProgress
from sgdprobe.config.formatting import duration, percent
from sgdprobe.config.settings import Settings, SweepSettings, check_value
from sgdprobe.config.validators import NJobs, Nullable, Number
from sgdprobe.data import Dataset
from sgdprobe.data.dataset import BUNDLED
from sgdprobe.errors import UserError
from sgdprobe.provenance.command import command_provenance, provenance_tags
from sgdprobe.provenance.compare import ACCURACY_TOLERANCE, LOSS_TOLERANCE, Difference, Verdict
from sgdprobe.provenance.compare import compare as compared
from sgdprobe.provenance.environment import pin_cpu_kernels
from sgdprobe.provenance.source import source_files
from sgdprobe.provenance.worktree import run_at
from sgdprobe.run.build import load_data, updates_and_epochs
from sgdprobe.run.job import Job, Outcome, identity, run
from sgdprobe.sweep.pool import fan_out, stop_workers

MAX_SHOWN = 8  # causes shown
ENDED = ("FINISHED", "FAILED")
SAMPLE = Nullable(Number(int, least=1))

CONSOLE = plain_console()


@dataclass(frozen=True)
class RerunOptions:
    """How to repeat.

    data_root : where the same data lies now. changed_data : repeat although the data is another.
    at_commit : with the source as it was recorded.
    """

    uri: str | None = None
    data_root: str | None = None
    changed_data: bool = False
    at_commit: bool = False

    def words(self) -> list[str]:
        """The same as options of rerun.py, but for the store and the source."""
        root = [] if self.data_root is None else ["--data-root", self.data_root]
        return root + ["--changed-data"] * self.changed_data


def main(words: Sequence[str]) -> int:
    """Rerun a run or a sweep. Returns the exit code."""
    given = parser().parse_args(words)
    options = RerunOptions(given.uri, given.data_root, given.changed_data, given.at_recorded_commit)
    if given.sweep is None:
        return rerun_run(given.run, options)
    return rerun_sweep(given.sweep, given.sample, given.n_jobs, options)


def parser() -> Parser:
    """Return the options and their help."""
    options = Parser(
        prog="rerun.py",
        description="Rerun a recorded run, or a sweep, and compare every number.",
        epilog="exit codes: 0 identical or close, 1 different, 2 the request was wrong",
    )
    which = options.add_mutually_exclusive_group(required=True)
    which.add_argument("run", nargs="?", help="an id, its beginning, a name, or last")
    which.add_argument("--sweep", help="all runs of a sweep: an id, its beginning, or last")
    add = options.add_argument
    add("--sample", type=int, help="only this many runs of the sweep, drawn at random")
    add("--n-jobs", type=int, default=-1, help="processes; -1: one for each core")
    add("--uri", help=STORE_HELP)
    add("--data-root", help="the folder that holds the same data now")
    add("--changed-data", action="store_true", help="rerun although the data is not as recorded")
    add("--at-recorded-commit", action="store_true", help="use the recorded source")
    return options


def rerun_run(word: str, how: RerunOptions) -> int:
    """Repeat the run that `word` names and say how it came out. Returns the exit code."""
    client = tracking.connect(how.uri)
    record = tracking.read_record(client, tracking.find_run(client, word))
    if how.at_commit:
        return _at_commit([record], [record.run_id], how)
    settings = _settings(record, how)
    pin_cpu_kernels(settings.bits)
    data = _checked_data(settings, record, how)
    _say_source([record])
    _print(f"repeating run {record.run_id} ({record.name}) of experiment {record.experiment}")
    store, job = _prepared(record, settings, how)
    with RunProgress(*updates_and_epochs(settings, data), CONSOLE) as progress:
        outcome = run(job, store, progress)
    verdict = _compare(record, outcome, store)
    if outcome.failure:
        _print(outcome.failure)
    _print(*_verdict_lines(verdict))
    _print(f"run {outcome.run_id} in experiment {store.experiment}")
    _print(where_to_look(store.experiment_url(), store.ui_command()))
    return 0 if verdict.same else 1


def rerun_sweep(word: str, sample: int | None, n_jobs: int, how: RerunOptions) -> int:
    """Repeat a sweep's runs, or `sample` of them drawn by chance, and show a table."""
    for option, value, check in (("--sample", sample, SAMPLE), ("--n-jobs", n_jobs, NJobs())):
        check_value(option, value, check)
    client = tracking.connect(how.uri)
    runs = tracking.find_sweep(client, word)
    sweep = runs[0].data.tags["sweep"]
    ended = [found for found in runs if found.info.status in ENDED]
    if not ended:
        raise UserError(f"sweep {sweep} has no run that ended")
    some = random.SystemRandom().sample(ended, min(sample or len(ended), len(ended)))
    records = [tracking.read_record(client, found) for found in some]
    if how.at_commit:
        drawn = [] if sample is None else ["--sample", str(sample)]
        return _at_commit(records, ["--sweep", sweep, *drawn, "--n-jobs", str(n_jobs)], how)
    settings = [_settings(record, how) for record in records]
    pin_cpu_kernels(settings[0].bits)
    for each, record in zip(settings, records, strict=True):
        _checked_data(each, record, how)
    _say_source(records)
    _print(f"repeating {len(records)} of the {len(runs)} runs of sweep {sweep}")
    label = f"rerun-{sweep}-{secrets.token_hex(2)}"
    tasks = []
    for each, record in zip(settings, records, strict=True):
        store, job = _prepared(record, each, how)
        tasks.append((replace(job, tags=job.tags | {"sweep": label}), store))
    verdicts = _fanned_out(records, tasks, SweepSettings(n_jobs=n_jobs), label)
    CONSOLE.print(_table(records, verdicts))
    words = [verdict.word for verdict, _ in verdicts.values()]
    counts = ", ".join(f"{words.count(w)} {w}" for w in ("IDENTICAL", "CLOSE", "DIFFERENT"))
    _print(f"sweep {sweep}: {counts}")
    return 0 if all(verdict.same for verdict, _ in verdicts.values()) else 1


Compared = dict[str, tuple[Verdict, Outcome]]


def _fanned_out(
    records: Sequence["tracking.Record"],
    tasks: Sequence[tuple[Job, "tracking.Store"]],
    sweep: SweepSettings,
    label: str,
) -> Compared:
    """The verdict on each record, by its run id."""
    known = {record.run_id: record for record in records}
    stores = {job.name: store for job, store in tasks}
    verdicts: Compared = {}
    try:
        with SweepProgress(len(tasks), CONSOLE) as progress:
            for outcome in fan_out(tasks, sweep, label, progress.tell):
                progress.add(outcome)
                record = known[outcome.job.tags["rerun_of"]]
                verdict = _compare(record, outcome, stores[outcome.job.name])
                verdicts[record.run_id] = verdict, outcome
    except UserError as error:
        _print(f"stopped: {error}")
        stop_workers(dict.fromkeys(stores.values()))
        raise SystemExit(1) from error
    except (KeyboardInterrupt, SystemExit):
        stop_workers(dict.fromkeys(stores.values()))
        raise
    return verdicts


def _at_commit(
    records: Sequence["tracking.Record"], words: Sequence[str], how: RerunOptions
) -> int:

    origins = {(record.provenance["git"]["commit"], record.diff) for record in records}
    if len(origins) > 1:
        raise UserError("the runs were recorded at different commits: repeat them one by one")
    ((commit, diff),) = origins
    _print(f"with the source of commit {commit}{' and its recorded changes' * bool(diff)}")
    # Not among the words, which are recorded: an address may hold a password.
    words = [*words, *how.words()]
    return run_at(commit, diff, words, MLFLOW_TRACKING_URI=tracking.absolute_uri(how.uri))


def _settings(record: "tracking.Record", how: RerunOptions) -> Settings:
    """The recorded settings, with the data where it lies. Raises SettingsError."""
    settings = Settings.from_dict(record.settings)
    root = how.data_root or record.provenance["data"]["folder"]
    again = replace(settings.sweep, resume=False)  # or the record would count as the repeat
    return replace(settings, data=replace(settings.data, root=root), sweep=again)


def _checked_data(settings: Settings, record: "tracking.Record", how: RerunOptions) -> Dataset:
    """The data, if it is what the run was trained on. Raises Refusal that names the file."""
    data = load_data(settings)
    recorded = record.provenance["data"]
    if data.digest != recorded["digest"] and not how.changed_data:
        root = Path(settings.data.root or BUNDLED)
        folder = root if root.is_dir() else root.parent
        pairs = [
            (name, sha, data.files[name])
            for name, sha in recorded["files"].items()
            if data.files.get(name, sha) != sha
        ] or [("", recorded["digest"], data.digest)]
        told = "; ".join(f"{folder / n} has the SHA-256 {b}, recorded is {a}" for n, a, b in pairs)
        raise UserError(f"the data of {record.run_id} changed: {told}")
    return data


def _print(*lines: str) -> None:
    """Print lines as long as they are: a terminal's width must not cut a number."""
    CONSOLE.print(*lines, sep="\n", soft_wrap=True)


def _say_source(records: Iterable["tracking.Record"]) -> None:
    """Say first what is likely to make the numbers differ."""
    now = source_files()
    recorded = [record.provenance["source"]["files"] for record in records]
    changed = sorted({n for files in recorded for n in files | now if files.get(n) != now.get(n)})
    if changed:
        _print(
            f"the source differs from the record: {', '.join(changed)}; "
            "--at-recorded-commit repeats with the recorded source"
        )


def _prepared(
    record: "tracking.Record", settings: Settings, how: RerunOptions
) -> tuple["tracking.Store", Job]:
    """Where to record the repeat, and what to run."""
    tags = {name: record.tags[name] for name in ("recipe", "seed") if name in record.tags}
    tags |= provenance_tags() | identity(settings, load_data(settings))
    tags["rerun_of"] = record.run_id
    name = f"rerun {record.run_id[:8]} {record.name}"
    job = Job(settings, record.tags.get("recipe", ""), name, tags, command_provenance())
    return tracking.open_experiment(how.uri, record.experiment), job


def _compare(record: "tracking.Record", outcome: Outcome, store: "tracking.Store") -> Verdict:
    """Compare what was recorded with what the repeat recorded, and tag the repeat."""
    lost = Difference("ending", record.failure or record.status, outcome.failure)
    if outcome.run_id is None:
        return Verdict("DIFFERENT", 0, lost)
    client = store.client()
    try:
        with tracking.store_errors(store.uri):
            repeat = tracking.read_record(client, client.get_run(outcome.run_id))
    except UserError:  # the store broke in the middle, and holds no whole record of the repeat
        return Verdict("DIFFERENT", 0, lost)
    ending = Difference("ending", record.failure or record.status, repeat.failure or repeat.status)
    verdict = compared(
        record.numbers,
        repeat.numbers,
        record.provenance,
        repeat.provenance,
        ending,
        interrupted=record.status not in ENDED,
    )
    with tracking.store_errors(store.uri):
        tracking.tag_verdict(client, outcome.run_id, verdict.word)
    return verdict


def _verdict_lines(verdict: Verdict) -> list[str]:
    """The verdict in lines."""
    if verdict.word == "IDENTICAL":
        return [f"IDENTICAL: all {verdict.compared} numbers and hashes, to the last bit"]
    lines = [f"{verdict.word}: first at {verdict.first}"]
    if verdict.word == "CLOSE":
        bounds = f"{percent(LOSS_TOLERANCE)} of the loss, {percent(ACCURACY_TOLERANCE)} accuracy"
        lines.append(f"  within {bounds}")
    if verdict.largest:
        lines.append(f"  largest at {verdict.largest}")
    if not verdict.causes:
        return [*lines, "  no recorded difference explains it"]
    lines.append("  what can explain it, most likely first:")
    lines += [f"  {number}. {cause}" for number, cause in enumerate(verdict.causes[:MAX_SHOWN], 1)]
    more = len(verdict.causes) - MAX_SHOWN
    return lines + ([f"  and {more} more in provenance.json"] if more > 0 else [])


def _table(records: Sequence["tracking.Record"], verdicts: Compared) -> Table:
    """The runs in the order of the sweep's own ids, with the first difference and its cause."""
    table = Table("run", "name", "verdict", "time", "", box=SIMPLE_HEAD, pad_edge=False)
    for record in sorted(records, key=lambda record: record.name):
        verdict, outcome = verdicts[record.run_id]
        told = [str(verdict.first)] if verdict.first else []
        told += [str(cause) for cause in verdict.causes[:1]]
        took = duration(outcome.seconds)
        table.add_row(record.run_id[:12], record.name, verdict.word, took, "; ".join(told))
    return table
