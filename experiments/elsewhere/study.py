"""Does the answer of why-70-percent hold elsewhere? The same study with one thing changed.

python experiments/elsewhere/study.py        (about half an hour on two cores)

The same 32 cells with a fifth of the updates, with four times as many, and on Fashion-MNIST, which
Debian has in its package dataset-fashion-mnist. Runs what the store does not hold yet, then writes
cells.csv and README.md beside this file. Options make a smaller copy elsewhere: --only, --updates,
--seeds, --fashion, --out, --uri.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "src"))

from sgdprobe import tracking  # noqa: E402
from sgdprobe.commands.cli import Parser, run_main  # noqa: E402
from sgdprobe.commands.sweep import run_sweep  # noqa: E402
from sgdprobe.config.recipe_pair import RecipePair, compose_pairs  # noqa: E402
from sgdprobe.reports.estimates import Estimates  # noqa: E402
from sgdprobe.reports.format import points  # noqa: E402
from sgdprobe.study.design import Factorial, Study  # noqa: E402
from sgdprobe.study.factors import cell_id  # noqa: E402
from sgdprobe.study.results import StudyResults, load_results  # noqa: E402
from sgdprobe.study.spec import StudySpec  # noqa: E402

UPDATES = 10_000
FASHION = "/usr/share/datasets/fashion-mnist"

# By name: seeds, updates as a multiple of those of why-70-percent, whether on Fashion-MNIST.
VARIANTS: Mapping[str, tuple[int, float, bool]] = {
    "2,000 updates": (10, 0.2, False),
    "as published": (10, 1, False),
    "40,000 updates": (5, 4, False),
    "Fashion-MNIST": (10, 1, True),
}
PAIR = ("network.hidden", "init.scale")  # the learner's two guesses


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options; the defaults are those of the published study."""
    options = Parser(prog="study.py", description=(__doc__ or "").partition("\n")[0])
    add = options.add_argument
    add(
        "--only", choices=VARIANTS, default=[], action="append", help="this variant; again for more"
    )
    add("--updates", type=int, default=UPDATES, help="in place of 10,000 updates")
    add("--seeds", type=int, default=10, help="at most so many seeds of each variant")
    add("--fashion", default=FASHION, help=f"folder of Fashion-MNIST; default: {FASHION}")
    add("--out", type=Path, default=HERE, help="folder of the files that are written")
    add("--uri", help="the MLflow store; default: the one that train.py uses")
    return options.parse_args(words)


def design(given: argparse.Namespace) -> dict[str, Study]:
    """Return the study of each variant."""
    studies = {}
    for name in given.only or VARIANTS:
        seeds, updates, fashion = VARIANTS[name]
        fixed = ["dtype=float32", f"training.iterations={round(updates * given.updates)}"]
        fixed += [f"data.root={given.fashion}"] if fashion else []
        fixed += [f"tracking.uri={given.uri}"] if given.uri else []
        ((baseline, target),) = compose_pairs([RecipePair("notes", "book", tuple(fixed))])
        factorial = Factorial.between(baseline, target, (), min(seeds, given.seeds))
        spec = StudySpec(HERE.name, "notes", "book", factorial.seeds)
        studies[name] = Study.of(spec, factorial)
    return studies


def results(study: Study) -> StudyResults:
    """Run what the store lacks of a study, and return its results."""
    uri = study.factorial.base.tracking.uri
    missing = study.missing(tracking.recorded_results(uri, study.keys))
    if missing and run_sweep(study.plan(missing), None):
        raise SystemExit(1)
    recorded = tracking.recorded_results(uri, study.keys)
    return load_results(study.spec, study.factorial, recorded)


def rows(found: Mapping[str, StudyResults]) -> list[dict[str, Any]]:
    """Return a line for each run."""
    return [
        {
            "variant": name,
            "cell": cell_id(cell),
            "seed": seed,
            "run_id": run.run_id,
            "diverged": int(run.diverged),
            "test_accuracy": study.accuracy_of((cell, seed)),
        }
        for name, study in found.items()
        for (cell, seed), run in study.runs.items()
    ]


def estimates(runs: Sequence[Mapping[str, Any]]) -> dict[str, Estimates]:
    """Return the statistics of each variant from the lines of cells.csv."""
    ((baseline, target),) = compose_pairs([RecipePair("notes", "book", ("dtype=float32",))])
    factors = Factorial.between(baseline, target, (), 1).factors
    found = {}
    for name in dict.fromkeys(run["variant"] for run in runs):
        mine = [run["test_accuracy"] for run in runs if run["variant"] == name]
        y = np.reshape(mine, (2,) * len(factors) + (-1,))
        found[name] = Estimates(factors, y)
    return found


def table(found: Mapping[str, Estimates]) -> str:
    """Return the table of gap, shares and the pair; a column for each variant."""
    first = next(iter(found.values()))
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]

    def line(label: str, texts: Sequence[str]) -> None:
        lines.append(f"| {label} | {' | '.join(texts)} |")

    line("seeds", [str(one.y.shape[-1]) for one in found.values()])
    k = len(first.names)
    for label, cell in (("`notes`, %", (0,) * k), ("`book`, %", (1,) * k)):
        line(label, [f"{100 * one.at(cell).mean:.2f}" for one in found.values()])
    line("gap", [str(points(one.gap)) for one in found.values()])
    for name in first.names:
        line(f"share of `{name}`", [str(points(one.shares[name])) for one in found.values()])
    pair = tuple(int(name in PAIR) for name in first.names)
    left = [one.best_sets for one in found.values()]
    line(
        "left with the learner's two guesses changed",
        [str(points(one.estimate(one.y[(1,) * k] - one.y[pair]))) for one in found.values()],
    )
    for size in (1, 2, 3, 4):
        texts = []
        for one, sets in zip(found.values(), left, strict=True):
            cell, rest = next((c, rest) for c, rest in sets.items() if sum(c) == size)
            texts.append(f"{100 * rest.mean:+.2f}: {', '.join(map(short, one.changes(cell)))}")
        line(f"left with the best {size}", [text.replace("-", "−") for text in texts])
    inside = [[each.inside for each in one.predictions] for one in found.values()]
    line("cells predicted inside", [f"{sum(some)} of {len(some)}" for some in inside])
    return "\n".join(lines)


def short(name: str) -> str:
    """Return a plain word for a setting."""
    return {
        "training.learning_rate": "rate", "network.hidden": "layers", "data.scale": "pixels",
        "network.softmax_over": "softmax", "init.scale": "weights",
    }[name]  # fmt: skip


def main(words: Sequence[str]) -> int:
    """Run and write. Returns the exit code."""
    given = parse(words)
    found = {name: results(study) for name, study in design(given).items()}
    given.out.mkdir(parents=True, exist_ok=True)
    lines = rows(found)
    with (given.out / "cells.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    text = (HERE / "page.md.in").read_text().format(table=table(estimates(lines)))
    (given.out / "README.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(run_main(lambda: main, sys.argv[1:]))
