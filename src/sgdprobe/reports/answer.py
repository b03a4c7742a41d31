"""The answers of a study and a sweep in short."""

from textwrap import wrap
from typing import Any

from sgdprobe.config.formatting import counted, listing, percent, terminal_columns
from sgdprobe.reports.explanation import StudySummary
from sgdprobe.reports.format import MARK, interval, points
from sgdprobe.reports.render import to_markdown
from sgdprobe.reports.sweep import SweepTable
from sgdprobe.study.effects import SUFFICIENT_WITHIN
from sgdprobe.study.intervals import Estimate


def verdict(study: StudySummary) -> list[str]:
    """Return the answer in lines that fit a terminal."""
    results, tuned = study.results, study.tuned
    own, best, (baseline, target) = study.own, study.best, study.ends
    low, high = (interval(own.at(cell)) for cell in study.design.corners)
    lines = [f"{baseline} {low} -> {target} {high}"]
    if results.spec.claim and not study.claim_holds:
        claimed = percent(results.spec.claim.accuracy)
        lines.insert(0, f"{baseline} does not reproduce its claim of {claimed}")
    note = f" (right: at each cell's best {tuned.key})" if tuned else ""
    lines.append(f"gap {points(own.gap)} points, of which{note}")
    width = max(map(len, own.names))
    for name, share in own.shares.items():
        other = points(best.shares[name]) if best and name in best.shares else ""
        lines.append(f"  {name:<{width}}  {points(share):<26}{other}".rstrip())
    lines += [
        f"{MARK} {name} rests on seed {share.one_seed[0]}: without it {points(share.one_seed[1])}"
        for name, share in own.shares.items()
        if share.one_seed
    ]
    if own.gap.excludes_zero:
        sizes = ((counted(sum(cell), "change"), rest) for cell, rest in own.best_sets.items())
        left = "; ".join(f"{changes} {points(rest)}" for changes, rest in sizes)
        lines += [f"left to {target} with the best {left} points"] if left else []
        sets = " or ".join(listing(own.changes(cell)) or "no change" for cell in own.minimal_sets)
        near = f"within {100 * SUFFICIENT_WITHIN:.0f} point of {target}"
        lines.append(f"enough to come {near}: {sets}")
    elif own.gap.is_tied:
        lines.append("all seeds give the same gap, which says nothing about other seeds")
    else:
        lines.append("the two do not differ clearly: the interval of the gap includes 0")
    return [part for line in lines for part in wrapped(line)]


def study_as_json(study: StudySummary) -> dict[str, Any]:
    """Return the answer for programs; accuracies and shares 0 … 1."""
    spec, own, best = study.results.spec, study.own, study.best
    low, high = study.design.corners
    facts = {
        "baseline": {"name": spec.baseline, **_as_json(own.at(low))},
        "target": {"name": spec.target, **_as_json(own.at(high))},
        "gap": _as_json(own.gap),
        "shares": {name: _as_json(share) for name, share in own.shares.items()},
        "minimal_sets": [own.changes(cell) for cell in own.minimal_sets],
        "seeds": spec.seeds,
        "level": spec.level,
        "claim_holds": study.claim_holds,
        "run_ids": [run.run_id for run in study.results.runs.values()],
    }
    if best is not None:
        facts["tuned"] = {
            "setting": spec.tuned,
            "gap": _as_json(best.gap),
            "shares": {name: _as_json(share) for name, share in best.shares.items()},
        }
    return facts


def _as_json(estimate: Estimate) -> dict[str, Any]:
    interval = None if estimate.is_tied else [estimate.low, estimate.high]
    return {"mean": estimate.mean, "interval": interval}


def sweep_answer(table: SweepTable) -> str:
    """Return the answer of a sweep as a paragraph of Markdown, without links."""
    return to_markdown("sweep_answer.md.j2", {"table": table, "linked": False}, page=False).strip()


def wrapped(line: str) -> list[str]:
    """A line in the columns of a terminal; names stay whole."""
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    columns = terminal_columns()
    if len(line) <= columns:
        return [line]
    return wrap(line, columns, subsequent_indent="  ", **options)
