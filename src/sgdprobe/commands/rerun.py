"""Rerun recorded runs from the store alone, and compare every number."""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sgdprobe import tracking
from sgdprobe.commands.answers import JSON_HELP, answer, answering
from sgdprobe.commands.cli import STORE_HELP, Parser
from sgdprobe.commands.console import (
    plain_console,
    print_table,
    reading_store,
    where_to_look,
)
from sgdprobe.commands.progress import RunProgress, SweepProgress
from sgdprobe.commands.verdicts import Compared, verdict_facts, verdict_lines, verdict_table
from sgdprobe.config.settings import Settings, SweepSettings, check_value
from sgdprobe.config.validators import N_JOBS, nullable, number
from sgdprobe.data import Dataset
from sgdprobe.data.dataset import BUNDLED
from sgdprobe.errors import StoreError, UserError
from sgdprobe.paths import absolute_path
from sgdprobe.provenance.command import command_line, command_provenance, provenance_tags
from sgdprobe.provenance.compare import NO_VERDICT, Difference, Verdict
from sgdprobe.provenance.compare import compare as compared
from sgdprobe.provenance.environment import pin_cpu_kernels
from sgdprobe.provenance.source import source_files
from sgdprobe.provenance.worktree import run_at
from sgdprobe.run.build import load_data, updates_and_epochs
from sgdprobe.run.job import Job, Outcome, identity, run_job
from sgdprobe.sweep.pool import fan_out
from sgdprobe.sweep.resume import Task

ENDED = ("FINISHED", "FAILED")
SAMPLE = nullable(number(int, least=1))

CONSOLE = plain_console()


@dataclass(frozen=True)
class RerunOptions:
    """Options of a rerun.

    data_root : the folder of the same data now. changed_data : rerun although the data changed.
    at_commit : use the recorded source.
    """

    uri: str | None = None
    data_root: str | None = None
    changed_data: bool = False
    at_commit: bool = False

    def words(self) -> list[str]:
        """Return the same as words for rerun.py, without the store and the source."""
        root = [] if self.data_root is None else ["--data-root", self.data_root]
        return root + ["--changed-data"] * self.changed_data


def main(words: Sequence[str]) -> int:
    """Rerun a run or a sweep. Returns the exit code."""
    given = parser().parse_args(words)
    options = RerunOptions(given.uri, given.data_root, given.changed_data, given.at_recorded_commit)
    with answering(given.json):
        if given.sweep is None:
            return rerun_run(given.run, options)
        return rerun_sweep(given.sweep, given.sample, given.n_jobs, options)


def parser() -> Parser:
    """Return the options and their help."""
    options = Parser(
        prog=command_line("rerun"),
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
    add("--data-root", type=absolute_path, help="the folder that holds the same data now")
    add("--changed-data", action="store_true", help="rerun although the data is not as recorded")
    add("--at-recorded-commit", action="store_true", help="use the recorded source")
    add("--json", action="store_true", help=JSON_HELP)
    return options


def rerun_run(word: str, options: RerunOptions) -> int:
    """Rerun the run that `word` names, and print the verdict. Returns the exit code."""
    with reading_store():
        store_runs = tracking.connect(options.uri)
    record = tracking.read_files(store_runs.uri, tracking.find_run(store_runs, word))
    run = record.run
    if options.at_commit:
        return _at_commit([record], [run.run_id], options)
    settings = _settings(record, options)
    pin_cpu_kernels(settings.bits)
    data = _checked_data(settings, record, options)
    _print_source_changes([record])
    _print(f"rerunning run {run.run_id} ({run.name}) of experiment {run.experiment}")
    job, store = _task(record, settings, options)
    tracking.show(store, ())  # an older version's experiment has no view
    with RunProgress(*updates_and_epochs(settings, data), CONSOLE) as progress:
        outcome = run_job(job, store, progress)
    verdict = _compare(record, outcome, store)
    _print(
        *([outcome.failure.message] if outcome.failure else []),
        *verdict_lines(verdict),
        f"run {outcome.run_id} in experiment {store.experiment}",
        where_to_look(store),
    )
    answer(verdict_facts(run, verdict, outcome))
    return 0 if verdict.same else 1


def rerun_sweep(word: str, sample: int | None, n_jobs: int, options: RerunOptions) -> int:
    """Rerun a sweep's runs, or a random sample, and print a table. Returns the exit code."""
    for option, value, check in (("--sample", sample, SAMPLE), ("--n-jobs", n_jobs, N_JOBS)):
        check_value(option, value, check)
    with reading_store():
        store_runs = tracking.connect(options.uri)
    sweep = tracking.find_sweep(store_runs, word)
    chosen = tracking.ended_runs(store_runs, sweep, sample)
    if not chosen:
        raise UserError(f"sweep {sweep} has no run that ended")
    records = [tracking.read_files(store_runs.uri, run) for run in chosen]
    if options.at_commit:
        words = [] if sample is None else ["--sample", str(sample)]
        return _at_commit(records, ["--sweep", sweep, *words, "--n-jobs", str(n_jobs)], options)
    label = f"rerun-{sweep}-{secrets.token_hex(2)}"
    tasks = _sweep_tasks(records, label, options)
    drawn = "" if sample is None else ", drawn at random"
    _print(f"rerunning {len(records)} run{'s' * (len(records) > 1)} of sweep {sweep}{drawn}")
    verdicts = _run_all(records, tasks, SweepSettings(n_jobs=n_jobs), label)
    print_table(verdict_table(records, verdicts), CONSOLE)
    words = [verdict.word for verdict, _ in verdicts.values()]
    counts = ", ".join(f"{words.count(w)} {w}" for w in ("IDENTICAL", "CLOSE", "DIFFERENT"))
    counts += f", {words.count(NO_VERDICT.word)} {NO_VERDICT.word}" * (NO_VERDICT.word in words)
    _print(f"sweep {sweep}: {counts}")
    runs = (record.run for record in records)
    answer({"sweep": sweep, "runs": [verdict_facts(run, *verdicts[run.run_id]) for run in runs]})
    return 0 if all(verdict.same for verdict, _ in verdicts.values()) else 1


def _sweep_tasks(
    records: Sequence["tracking.RunFiles"], label: str, options: RerunOptions
) -> list[Task]:
    """Return the jobs of a sweep's rerun, checked; `label` is its name as a sweep."""
    settings = [_settings(record, options) for record in records]
    pin_cpu_kernels(settings[0].bits)
    for each, record in zip(settings, records, strict=True):
        _checked_data(each, record, options)
    _print_source_changes(records)
    return [_task(*pair, options, sweep=label) for pair in zip(records, settings, strict=True)]


def _run_all(
    records: Sequence["tracking.RunFiles"],
    tasks: Sequence[Task],
    sweep: SweepSettings,
    label: str,
) -> Compared:
    """Run the jobs in parallel, and compare each with its record."""
    by_id = {record.run.run_id: record for record in records}
    stores = {job.name: store for job, store in tasks}
    progress, verdicts = SweepProgress(len(tasks), CONSOLE), Compared()
    try:
        with progress, closing(fan_out(tasks, sweep, label, progress.print)) as outcomes:
            for outcome in outcomes:
                progress.add(outcome)
                record = by_id[outcome.job.rerun_of or ""]
                verdict = _compare(record, outcome, stores[outcome.job.name])
                verdicts[record.run.run_id] = verdict, outcome
    except UserError as error:
        _print(f"stopped: {error}")
        raise SystemExit(1) from error
    return verdicts


def _at_commit(
    records: Sequence["tracking.RunFiles"], words: Sequence[str], options: RerunOptions
) -> int:
    (commit, diff), *others = {(r.provenance["git"]["commit"], r.diff) for r in records}
    if others:
        raise UserError("the runs were recorded at different commits: rerun them one by one")
    note = records[0].provenance["git"].get("note")
    if commit is None:
        raise UserError(f"no commit was recorded: {note or 'there was no git repository'}")
    _print(f"with the source of commit {commit}{' and its recorded changes' * bool(diff)}")
    if note:
        _print(f"the recorded changes are not complete: {note}")
    # Not among the words, which are recorded: an address may contain a password.
    words = [*words, *options.words()]
    code = run_at(commit, diff, words, MLFLOW_TRACKING_URI=tracking.store_uri(options.uri))
    # Programs up to version 0.2 end by pointing to their own folder, which is removed now.
    store = tracking.find_experiment(options.uri, records[0].run.experiment)
    if store is not None:
        _print(where_to_look(store))
    return code


def _settings(record: "tracking.RunFiles", options: RerunOptions) -> Settings:
    """Return the recorded settings, with the present folder of the data."""
    root = options.data_root or record.provenance["data"]["folder"]
    return record.settings.replace({"data.root": root})


def _checked_data(
    settings: Settings, record: "tracking.RunFiles", options: RerunOptions
) -> Dataset:
    """Return the data, if the run was trained on it. Raises UserError that names the file."""
    data = load_data(settings)
    recorded = record.provenance["data"]
    if data.digest != recorded["digest"] and not options.changed_data:
        root = Path(settings.data.root or BUNDLED)
        folder = root if root.is_dir() else root.parent
        pairs = [
            (name, sha, data.files[name])
            for name, sha in recorded["files"].items()
            if data.files.get(name, sha) != sha
        ] or [("", recorded["digest"], data.digest)]
        changes = (f"{folder / n} has the SHA-256 {b}, recorded is {a}" for n, a, b in pairs)
        raise UserError(f"the data of {record.run.run_id} changed: {'; '.join(changes)}")
    return data


def _print(*lines: str) -> None:
    """Print lines of any length: a terminal's width must not cut a number."""
    CONSOLE.print(*lines, sep="\n")


def _print_source_changes(records: Iterable["tracking.RunFiles"]) -> None:
    """Print which source files changed: the likeliest reason for other numbers."""
    now = source_files()
    recorded = [record.provenance["source"]["files"] for record in records]
    changed = sorted({n for files in recorded for n in files | now if files.get(n) != now.get(n)})
    if changed:
        _print(
            f"the source differs from the record: {', '.join(changed)}; "
            "--at-recorded-commit reruns with the recorded source"
        )


def _task(
    record: "tracking.RunFiles", settings: Settings, options: RerunOptions, **tags: str
) -> Task:
    """Return the job, and the store that records the rerun."""
    run = record.run
    tags |= {name: run.tags[name] for name in ("recipe", "seed") if name in run.tags}
    tags |= provenance_tags() | identity(settings, load_data(settings))
    name = f"rerun {run.run_id[:8]} {run.name}"
    job = Job(
        settings, run.tags.get("recipe", ""), name, tags, command_provenance(), rerun_of=run.run_id
    )
    return job, tracking.open_experiment(options.uri, run.experiment)


def _compare(record: "tracking.RunFiles", outcome: Outcome, store: "tracking.Store") -> Verdict:
    """Compare the records of the run and of its rerun, and tag the rerun."""
    if outcome.run_id is None:
        return NO_VERDICT
    try:
        (found,) = tracking.reader(store.uri).with_ids([outcome.run_id])
        rerun = tracking.read_files(store.uri, found)
    except UserError:  # the store broke meanwhile, and has no complete record of the rerun
        return NO_VERDICT
    verdict = compared(
        record.numbers,
        rerun.numbers,
        record.provenance,
        rerun.provenance,
        Difference("ending", _ending(record.run), _ending(rerun.run)),
        interrupted=record.run.status not in ENDED,
        contradictions=record.run.contradictions,
    )
    try:
        tracking.tag_verdict(store.uri, outcome.run_id, verdict.word)
    except StoreError as error:
        _print(f"the verdict is not recorded: {error}")
    return verdict


def _ending(run: "tracking.RecordedRun") -> str:
    return run.failure.message if run.failure else run.status
