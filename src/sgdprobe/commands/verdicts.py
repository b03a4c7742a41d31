"""Verdicts of reruns as text, as a table, and as facts for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sgdprobe import tracking
from sgdprobe.config.formatting import duration, percent
from sgdprobe.provenance.compare import (
    ACCURACY_TOLERANCE,
    LOSS_TOLERANCE,
    NO_VERDICT,
    Verdict,
)
from sgdprobe.run.job import Outcome

MAX_SHOWN = 8  # causes

Compared = dict[str, tuple[Verdict, Outcome]]  # by the id of the recorded run


def verdict_lines(verdict: Verdict) -> list[str]:
    """Return the verdict in lines for people."""
    if verdict is NO_VERDICT:
        return ["no verdict: the rerun has no complete record"]
    recorded, rerun = verdict.epochs
    part = f"as far as the run came, {recorded} of {rerun} epochs: " * (recorded < rerun)
    equal = f"{part}all {verdict.compared} numbers and hashes, to the last bit"
    if verdict.contradictions:
        lines = [f"{verdict.word}: the record contradicts itself"]
        lines += [f"  {contradiction}" for contradiction in verdict.contradictions]
        if verdict.first is None:
            return [*lines, f"  the rerun has what is in numbers.json: {equal}"]
        lines.append(f"  the rerun differs from numbers.json, first at {verdict.first}")
    elif verdict.first is None:
        return [f"{verdict.word}: {equal}"]
    else:
        lines = [f"{verdict.word}: first at {verdict.first}"]
    if verdict.word == "CLOSE":
        loss, accuracy = percent(LOSS_TOLERANCE), percent(ACCURACY_TOLERANCE)
        lines.append(f"  within {loss} of the loss, {accuracy} accuracy")
    if verdict.largest:
        lines.append(f"  largest at {verdict.largest}")
    if not verdict.causes:
        return [*lines, "  no recorded difference explains it"]
    lines.append("  what can explain it, most likely first:")
    lines += [f"  {number}. {cause}" for number, cause in enumerate(verdict.causes[:MAX_SHOWN], 1)]
    more = [f"  and {len(verdict.causes) - MAX_SHOWN} more in provenance.json"]
    return lines + more * (len(verdict.causes) > MAX_SHOWN)


def verdict_facts(
    run: "tracking.RecordedRun", verdict: Verdict, outcome: Outcome
) -> dict[str, Any]:
    """Return the verdict on one run for programs."""
    return {
        "run_id": run.run_id,
        "name": run.name,
        "verdict": verdict.word,
        "rerun_id": outcome.run_id,
        "compared": verdict.compared,
        "first": asdict(verdict.first) if verdict.first else None,
        "largest": asdict(verdict.largest) if verdict.largest else None,
        "causes": [asdict(cause) for cause in verdict.causes],
        "contradictions": verdict.contradictions,
        "seconds": outcome.seconds,
    }


def verdict_table(records: Sequence["tracking.RunFiles"], verdicts: Compared) -> Table:
    """Return a table of the runs by name, with the first difference and its likeliest cause."""
    table = Table("run", "name", "verdict", "time", "", box=SIMPLE_HEAD, pad_edge=False)
    for run in sorted((record.run for record in records), key=lambda run: run.name):
        verdict, outcome = verdicts[run.run_id]
        notes = [*verdict.contradictions[:1], *([str(verdict.first)] if verdict.first else [])]
        notes += [str(cause) for cause in verdict.causes[:1]]
        cells = (run.run_id[:12], run.name, verdict.word, duration(outcome.seconds))
        table.add_row(*cells, "; ".join(notes))
    return table
