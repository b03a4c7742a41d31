"""Explain the gap between two recipes: design the study, run what is missing, report."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import fill

from sgdprobe import reports, tracking
from sgdprobe.commands.answers import answer, answering
from sgdprobe.commands.console import print_contradictions, reading_store
from sgdprobe.commands.explain_options import check_options, parser, recipe_pairs, study_spec
from sgdprobe.config.formatting import duration, format_value, terminal_columns
from sgdprobe.config.recipe_pair import RecipePair, compose_pairs
from sgdprobe.errors import EXIT_FAILED, StoreError, UserError, one_line
from sgdprobe.paths import study_folder
from sgdprobe.study.design import Factorial, Run, Study
from sgdprobe.study.factors import Factor, cell_id
from sgdprobe.study.intervals import FEW_SEEDS, reach
from sgdprobe.study.results import StudyResults, load_results, load_series
from sgdprobe.study.screening import Screening, as_screen, exact
from sgdprobe.study.tuning import Tuned

# Each factor doubles the runs. More runs than this many factors make need --force.
MANY_FACTORS = 7
MAX_SHOWN = 4  # cells in a message


def main(arguments: Sequence[str]) -> int:
    """Answer the question on the command line and write the report. Returns the exit code.

    Raises UserError, before anything is written, for a question that cannot be answered.
    """
    given = parser().parse_args(arguments)
    check_options(given)
    with answering(given.json):
        return _explain(given, [word for word in arguments if word != "--json"])


def _explain(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    names = (given.baseline, given.target)
    as_written, recipes, *tuned = compose_pairs([RecipePair(*names), *recipe_pairs(given)])
    factorial = Factorial.between(*recipes, given.factors, given.seeds, given.group)
    ends = factorial.name_corners(dict(zip(names, as_written, strict=True)))
    spec = study_spec(given, arguments, ends, as_written[0])
    Study.of(spec, factorial, tuned)  # refuses what cannot be tuned
    reports.check_study_folder(study_folder(spec.name), spec, given.force)
    screening = None
    if given.screen is not None:
        screening = _screened(Study.of(spec, as_screen(factorial, given.screen)), given)
        factorial = exact(screening)
    for seeds in spec.looks or (spec.seeds,):
        asked = replace(spec, seeds=seeds)
        study = Study.of(asked, replace(factorial, seeds=seeds), tuned)
        results, *at_values = _results(study, given)
        at_best = Tuned(spec.tuned, tuple(at_values)) if tuned else None
        summary = reports.StudySummary(results, at_best, screening)
        if summary.within_reached:
            break
    return _report(replace(summary, results=load_series(results)))


def _screened(study: Study, given: argparse.Namespace) -> Screening:
    """Run the design that finds the differences that matter."""
    (results,) = _results(study, given)
    screening = Screening.of(results, given.screen)
    print("screening keeps:", ", ".join(screening.kept))
    return screening


def _results(study: Study, given: argparse.Namespace) -> list[StudyResults]:
    """Run what the store lacks of a study, and return the results of each factorial."""
    recorded = _recorded(study)
    missing = study.missing(recorded)
    print_plan(study, missing, given)
    if missing and not given.no_run:
        from sgdprobe.commands.sweep import run_sweep  # imports joblib

        run_sweep(study.plan(missing), None)
        recorded = _recorded(study)
    check_complete(study, study.missing(recorded))
    recorded = _checked(study, recorded)
    return [load_results(study.spec, one, recorded) for one in study.factorials]


def _recorded(study: Study) -> "dict[str, tracking.RecordedRun]":
    """Return the results that the store holds already, by key."""
    with reading_store():
        return tracking.recorded_results(study.factorial.base.tracking.uri, study.keys)


def _checked(
    study: Study, recorded: "Mapping[str, tracking.RecordedRun]"
) -> "dict[str, tracking.RecordedRun]":
    """Return these results, held against the runs' files; print those that contradict these."""
    uri = tracking.store_uri(study.factorial.base.tracking.uri)
    runs = tracking.checked(uri, [recorded[key] for key in sorted(study.keys)])
    print_contradictions(runs)
    return {run.tags["key"]: run for run in runs}


def print_plan(
    study: Study, missing: Sequence[tuple[Factorial, Run]], given: argparse.Namespace
) -> None:
    """Print the factors and the number of runs. Raises UserError if these are too many."""
    words = f"{size_of(study)}, {len(study.keys) - len(missing)} recorded"
    if missing and not given.no_run:
        from sgdprobe.study.estimate import seconds_of_study  # imports joblib

        time = duration(seconds_of_study(study.factorial, len(missing)))
        k, many = len(study.factorial.factors), 2**MANY_FACTORS * study.spec.seeds
        if len(missing) > many and not given.force:
            raise UserError(
                f"{k} factors: {size_of(study)}, {len(missing)} of them to run, about {time}; "
                "--screen 6 finds those that matter, --factors or --fix reduces them, --force "
                "runs all"
            )
        words += f", {len(missing)} to run: about {time}"
    if study.spec.seeds == given.seeds:  # not at each further look
        print(_listed(study.factorial.factors))
    print(fill(words, terminal_columns()))
    if (n := study.spec.seeds) < FEW_SEEDS:
        print(
            fill(
                f"{n} seeds: each interval reaches {reach(n):.1f} standard deviations of a seed to "
                f"either side, that of 10 seeds {reach(10):.1f}; only large differences are clear",
                terminal_columns(),
            )
        )


def size_of(study: Study) -> str:
    """Format the size of a study: 2^4 cells × 10 seeds = 160 runs."""
    seeds = study.spec.seeds
    words = f"{cells_of(study.factorial)} × {seeds} seeds"
    if study.tuned:
        values = f"{len(study.tuned)} values of {study.spec.tuned}"
        words = f"{words} + {cells_of(study.tuned[0])} × {values} × {seeds} seeds"
    shared = sum(len(factorial.keys) for factorial in study.factorials) - len(study.keys)
    return f"{words}{f', {shared} of them shared,' if shared else ''} = {len(study.keys)} runs"


def cells_of(factorial: Factorial) -> str:
    """Format the number of cells: 2^4 cells, or 32 cells of a screening."""
    cells, k = len(factorial.cells()), len(factorial.factors)
    return f"2^{k} cells" if cells == 2**k else f"{cells} cells of a screening"


def _listed(factors: Sequence[Factor]) -> str:
    """Format the factors, one a line."""
    width = max(len(factor.name) for factor in factors)
    return "\n".join(
        f"{factor.name:<{width}}  {factor.format_level(0)} -> {factor.format_level(1)}"
        for factor in factors
    )


def check_complete(study: Study, missing: Sequence[tuple[Factorial, Run]]) -> None:
    """Raise UserError if a run has no result: a report never fills gaps."""
    if not missing:
        return
    cells = sorted({_cell(study, factorial, run) for factorial, run in missing})
    raise UserError(
        f"{len(missing)} of {len(study.keys)} runs are missing or failed, in "
        f"{', '.join(cells[:MAX_SHOWN])}{', …' if cells[MAX_SHOWN:] else ''} of the cells "
        f"({', '.join(study.factorial.names)}): no report without them"
    )


def _cell(study: Study, factorial: Factorial, run: Run) -> str:
    """Name a cell in a message: 010, or 01 at training.learning_rate=0.1."""
    key = study.spec.tuned
    if factorial is study.factorial:
        return cell_id(run[0])
    return f"{cell_id(run[0])} at {key}={format_value(factorial.base.flat()[key])}"


def _report(summary: "reports.StudySummary") -> int:
    """Write the report, print the answer, keep the page in the store. Returns the exit code."""
    measured = summary.results
    folder = study_folder(measured.spec.name)
    try:
        page, *others = reports.write_study_report(summary, folder)
    except OSError as error:
        sys.stderr.write(f"no report in {folder}, but all runs are recorded: {one_line(error)}\n")
        return EXIT_FAILED
    print(*reports.verdict(summary), page, *others, sep="\n")
    code = _keep(measured, page)
    answer({**reports.study_as_json(summary), "page": page})
    return code


def _keep(measured: StudyResults, page: Path) -> int:
    """Keep the page as an artifact of the baseline's first run. Returns the exit code."""
    factorial = measured.factorial
    run = measured.runs[factorial.baseline, 0]
    try:
        address = tracking.log_report(factorial.base.tracking.uri, run, page, measured.spec.name)
    except StoreError as error:  # the report is written; only its copy in the store is missing
        print(f"the page is not in MLflow: {error}")
        return 1
    print(f"in MLflow: {address}")
    return 0
