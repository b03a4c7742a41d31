"""A study, end to end: what to run, running what is not recorded yet, the report."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import fill

from sgdprobe import tracking
from sgdprobe.commands.cli import Parser
from sgdprobe.config.formatting import duration, format_value
from sgdprobe.config.recipe_pair import compose_pairs
from sgdprobe.config.settings import Settings, unknown_setting
from sgdprobe.errors import StoreError, UserError
from sgdprobe.paths import study_folder
from sgdprobe.run.build import load_data
from sgdprobe.study.design import Design, cell_id, plan_of, recorded_under
from sgdprobe.study.estimate import seconds_of_study
from sgdprobe.study.factors import Factor, compare, select
from sgdprobe.study.results import Run, StudyResults, load_results, run_keys
from sgdprobe.study.spec import StudySpec, tried_values
from sgdprobe.study.tuning import Tuned, Tuning, tuning_of

# Each factor more doubles the runs: what a person expects ends here, by whatever way it is passed.
MANY_FACTORS = 7


DESCRIPTION = "Explain an accuracy gap: which difference between two recipes causes which part."


def main(words: Sequence[str]) -> int:
    """Explain the gap between two recipes. Returns the exit code."""
    spec = parse(words)
    specs = [spec, *spec.per_tuned_value()]
    (baseline, target), *tried = compose_pairs([spec.pair for spec in specs])
    return explain(spec, baseline, target, tried)


def parser() -> Parser:
    """Return the options and their help."""
    options = Parser(prog="explain.py", description=DESCRIPTION)
    add = options.add_argument
    add("first", help="the recipe whose result is to be explained")
    add("second", help="the recipe it is compared with")
    add("--study", metavar="NAME", help="folder in experiments/; default: explain-FIRST-SECOND")
    add("--factors", metavar="A,B", help="only these differences; the rest stays as in FIRST")
    add("--fix", metavar="KEY=VALUE", action="append", default=[], help="the same in both recipes")
    add(
        "--with",
        metavar="KEY=a,b",
        action="append",
        default=[],
        dest="varied",
        help="one more difference: a in FIRST, b in SECOND",
    )
    add(
        "--tune",
        metavar="KEY=a,b,c",
        action="append",
        default=[],
        help="each cell also at its best of these values, chosen on images held out",
    )
    add("--seeds", metavar="N", type=int, default=10, help="runs of each cell; default: 10")
    add("--claim", metavar="PERCENT", type=float, help="what FIRST is said to reach")
    add("--tolerance", metavar="POINTS", type=float, help="how far from it the mean may lie")
    add("--force", action="store_true", help="run even more than 7 factors make")
    add("--no-run", action="store_true", help="only from runs that are recorded already")
    return options


def parse(arguments: Sequence[str]) -> StudySpec:
    """Return the study that the words ask for. Raises UserError."""
    given = parser().parse_args(arguments)
    _check(given)
    command_words = [word for word in arguments if word not in ("--force", "--no-run")]
    return StudySpec(
        baseline=given.first,
        target=given.second,
        study=given.study or f"explain-{given.first}-{given.second}",
        factors=tuple(given.factors.split(",")) if given.factors else (),
        fixed=tuple(given.fix),
        varied=tuple(given.varied),
        tune=given.tune[0] if given.tune else None,
        seeds=given.seeds,
        claim=None if given.claim is None else given.claim / 100,
        tolerance=None if given.tolerance is None else given.tolerance / 100,
        force=given.force,
        run=not given.no_run,
        command=shlex.join(["python", "src/explain.py", *command_words]),
    )


def _check(given: argparse.Namespace) -> None:
    if given.seeds < 2:
        raise UserError(
            f"--seeds must be at least 2, or nothing has an interval; got {given.seeds}"
        )
    for name in ("claim", "tolerance"):
        value = getattr(given, name)
        if value is not None and not 0 <= value <= 100:
            raise UserError(f"--{name} must be a percentage from 0 to 100; got {value:g}")
    for word in given.tune:
        _check_tune(word)
    if len(given.tune) > 1:
        raise UserError(f"--tune {given.tune[1]}: only one setting is tuned at a time")
    if given.study:
        study_folder(given.study)


def _check_tune(word: str) -> None:
    key, _, value = word.partition("=")
    if key not in Settings().flat():
        raise unknown_setting(key, value)
    if not Settings.traits(key).tunable:
        raise UserError(
            f"--tune {word}: this setting cannot be tuned; choose one of the data, network, "
            "init or training settings"
        )
    values = tried_values(word)
    if len(values) < 2 or len(set(values)) < len(values) or not all(values):
        raise UserError(f"--tune {word}: two different values or more, KEY=a,b,c, are needed")


@dataclass(frozen=True)
class Study:
    """What a request asks to be run: the factorial, and again for each value that is tried."""

    request: StudySpec
    left_out: tuple[Factor, ...]
    design: Design
    tuning: Tuning | None

    @property
    def designs(self) -> tuple[Design, ...]:
        """All factorials, the study's own first."""
        return (self.design, *(self.tuning.designs if self.tuning else ()))

    @cached_property
    def keys(self) -> list[dict[Run, str]]:
        """The keys of each factorial's runs."""
        return [run_keys(design) for design in self.designs]

    @property
    def count(self) -> int:
        """How many runs there are, recorded or not; one that serves twice counts once."""
        return len({key for keys in self.keys for key in keys.values()})

    @property
    def words(self) -> str:
        """For example "2^4 cells × 10 seeds = 160 runs"."""
        seeds = self.request.seeds
        said = f"2^{len(self.design.factors)} cells × {seeds} seeds"
        if self.tuning:
            cells = f"2^{len(self.tuning.designs[0].factors)} cells"
            values = f"{len(self.tuning.values)} values of {self.tuning.key}"
            said = f"{said} + {cells} × {values} × {seeds} seeds"
        shared = sum(map(len, self.keys)) - self.count
        return f"{said}{f', {shared} of them shared,' if shared else ''} = {self.count} runs"

    def recorded(self) -> "dict[str, tracking.Result]":
        """The results that the store holds already, by key."""
        keys = [key for some in self.keys for key in some.values()]
        return tracking.recorded_results(self.design.base.tracking.uri, keys)

    def missing(self, recorded: "Mapping[str, tracking.Result]") -> list[tuple[Design, Run]]:
        """The runs without a result, each once."""
        found = {
            key: (design, run)
            for design, keys in zip(self.designs, self.keys, strict=True)
            for run, key in keys.items()
            if key not in recorded
        }
        return list(found.values())


def explain(
    request: StudySpec,
    first: Settings,
    second: Settings,
    tried: Sequence[tuple[Settings, Settings]] = (),
) -> int:
    """Answer a request about these two ends and write the report. Returns the exit code.

    tried : both ends at each value of the tuned setting. Raises Refusal, before anything is
    written, for what can't be answered.
    """
    study = study_of(request, first, second, tried)
    recorded = study.recorded()
    if _run_what_is_missing(study, recorded):
        recorded = study.recorded()
    measured, tuned = _results(study, recorded)
    from sgdprobe.reports.explanation import verdict, write

    files = write(measured, study_folder(request.study), tuned)
    print(*verdict(measured, tuned), *files, sep="\n")
    return _keep(measured, files[0])


def study_of(
    request: StudySpec,
    first: Settings,
    second: Settings,
    tried: Sequence[tuple[Settings, Settings]],
) -> Study:
    """The study, checked. Raises Refusal."""
    differences = compare(first, second)
    factors = select(differences, request.factors)
    left_out = tuple(factor for factor in differences if factor not in factors)
    load_data(first)
    base = recorded_under(first, request.study)
    tuning = tuning_of(request, tried) if tried else None
    return Study(request, left_out, Design(base, factors, request.seeds), tuning)


def _run_what_is_missing(study: Study, recorded: "Mapping[str, tracking.Result]") -> bool:
    """Say what there is, and run what there is not; whether anything was run."""
    request, factors = study.request, study.design.factors
    missing = study.missing(recorded)
    count = study.count - len(missing)
    if not missing or not request.run:
        print(_listed(factors))
        print(fill(f"{study.words}, {count} recorded", 80))
        return False
    time = duration(seconds_of_study(study.design, len(missing)))
    k, many = len(factors), 2**MANY_FACTORS * request.seeds
    if (k > MANY_FACTORS or len(missing) > many) and not request.force:
        raise UserError(
            f"{k} factors: {study.words}, {len(missing)} of them to run, about {time}; --factors "
            "or --fix makes them fewer, --force runs them all"
        )
    print(_listed(factors))
    words = f"{study.words}, {count} recorded, {len(missing)} to run: about {time}"
    print(fill(words, 80))
    from sgdprobe.commands.sweep import run_sweep

    axes = study.design.axes
    if study.tuning:  # a cell that is tried at its own rate differs in what is held out
        axes += [study.tuning.key, "data.validation"]
    runs = [design.settings(*run) for design, run in missing]
    run_sweep(plan_of(request.study, runs, axes), None)
    return True


def _results(
    study: Study, recorded: "Mapping[str, tracking.Result]"
) -> tuple[StudyResults, Tuned | None]:
    """Both from the store. Raises Refusal if a run has no result: nothing is filled in."""
    if missing := study.missing(recorded):
        without = sorted({_cell(study, design, run) for design, run in missing})
        raise UserError(
            f"{len(missing)} of {study.count} runs are missing or failed, in "
            f"{', '.join(without[:4])}{', …' if without[4:] else ''} of the cells "
            f"({', '.join(factor.name for factor in study.design.factors)}): "
            "no report without them"
        )
    own, *tried = ({run: recorded[key] for run, key in keys.items()} for keys in study.keys)
    measured = load_results(study.request, study.design, study.left_out, own)
    if study.tuning is None:
        return measured, None
    at_values = (
        StudyResults(study.request, design, study.left_out, results)
        for design, results in zip(study.tuning.designs, tried, strict=True)
    )
    return measured, Tuned(study.tuning, tuple(at_values))


def _keep(measured: StudyResults, page: Path) -> int:
    """Keep the page in the store too, with the first recipe's first run. Returns the exit code."""
    design = measured.design
    run = measured.results[design.baseline, 0]
    try:
        where = tracking.log_report(design.base.tracking.uri, run, page, measured.request.study)
    except StoreError as error:  # the report is written: only this copy of it is not
        print(f"the page is not in MLflow: {error}")
        return 1
    print(f"in MLflow: {where}")
    return 0


def _cell(study: Study, design: Design, run: Run) -> str:
    """A cell's name in a message: 010, or 01 tuned at training.learning_rate=0.1."""
    key = study.request.tuned_key
    at = "" if design is study.design else f" at {key}={format_value(design.base.flat()[key])}"
    return f"{cell_id(run[0])}{at}"


def _listed(factors: tuple[Factor, ...]) -> str:
    """The factors, one a line."""
    width = max(len(factor.name) for factor in factors)
    return "\n".join(
        f"{factor.name:<{width}}  {factor.format_level(0)} -> {factor.format_level(1)}"
        for factor in factors
    )
