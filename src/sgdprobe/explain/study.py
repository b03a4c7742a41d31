"""A study, end to end: what to run, running what is not recorded yet, the report."""

from sgdprobe.assembly import load_data
from sgdprobe.console import PROJECT_ROOT, duration
from sgdprobe.explain.design import Design, changed
from sgdprobe.explain.estimate import seconds_of_study
from sgdprobe.explain.factors import Factor, compare, narrow
from sgdprobe.explain.measured import Run, collect, keys_of
from sgdprobe.explain.request import Request
from sgdprobe.refusal import Refusal
from sgdprobe.settings import Settings

EXPERIMENTS = PROJECT_ROOT / "experiments"

# Each factor more doubles the runs.
MANY_FACTORS = 7


def explain(request: Request, first: Settings, second: Settings) -> int:
    """Answer a request about these two ends and write the report. Returns the exit code.

    Raises Refusal, before anything is written, for what can't be answered.
    """
    differences = compare(first, second)
    factors = narrow(differences, request.factors)
    left_out = tuple(factor for factor in differences if factor not in factors)
    design = Design(_recorded_under(first, request.study), factors, request.seeds)
    keys = keys_of(design)
    _run_what_is_missing(request, design, keys)
    measured = collect(request, design, left_out, keys)
    from sgdprobe.analysis.explanation import verdict, write

    files = write(measured, EXPERIMENTS / request.study)
    print(*verdict(measured), *files, sep="\n")
    return 0


def _recorded_under(first: Settings, study: str) -> Settings:
    """The first recipe with its runs in an experiment of the study's name, or the one asked for."""
    load_data(first)
    return changed(first, {"tracking.experiment": first.tracking.experiment or study})


def _run_what_is_missing(request: Request, design: Design, keys: dict[Run, str]) -> None:
    from sgdprobe.tracking import recorded_results

    recorded = recorded_results(design.base.tracking.uri)
    missing = [run for run, key in keys.items() if key not in recorded]
    k = len(design.factors)
    runs = f"2^{k} cells × {design.seeds} seeds = {len(keys)} runs"
    if not missing or not request.run:
        print(_listed(design.factors))
        print(f"{runs}, {len(keys) - len(missing)} recorded")
        return
    time = duration(seconds_of_study(design, len(missing)))
    if k > MANY_FACTORS and not request.force:
        raise Refusal(
            f"{k} factors: {runs}, {len(missing)} of them to run, about {time}; --factors or --fix "
            "makes them fewer, --force runs them all"
        )
    print(_listed(design.factors))
    print(f"{runs}, {len(keys) - len(missing)} recorded, {len(missing)} to run: about {time}")
    from sgdprobe.sweep.runner import run_sweep

    run_sweep(design.plan(request.study, missing), None)


def _listed(factors: tuple[Factor, ...]) -> str:
    """The factors, one a line."""
    width = max(len(factor.name) for factor in factors)
    return "\n".join(
        f"{factor.name:<{width}}  {factor.shown(0)} -> {factor.shown(1)}" for factor in factors
    )
