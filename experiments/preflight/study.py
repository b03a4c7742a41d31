"""Hits and false alarms of the warnings before training, on 214 settings.

python experiments/preflight/study.py        (about ten minutes on two cores)

Settings are drawn at random, and fourteen fixed ones are added: ReLU networks with he weights at
seven learning rates. Each is trained to its end. Thresholds were chosen on the settings with an
even number; those with an odd number were held back. Writes settings.csv and README.md beside this
file. The column `before` of settings.csv, warnings of an earlier version, is kept as it is.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.nn import DivergedError
from sgdprobe.provenance.environment import Environment
from sgdprobe.rules import findings
from sgdprobe.run.build import load_data
from sgdprobe.run.setup import TrainingSetup

HERE = Path(__file__).parent
DRAWN = 200
BAD, GOOD = 0.8, 0.9  # test accuracy below which a run is bad, and from which it is good

Row = dict[str, Any]

CHOICES: dict[str, Sequence[Any]] = {
    "data.scale": ("unit", "unit", "unit", "none", "standard"),
    "network.hidden": (
        *((), (50,), (100,), (50, 100), (100, 100)),
        *((50,) * 3, (1,), (10,), (50,) * 5),
    ),
    "network.activation": ("sigmoid", "relu", "relu", "tanh"),
    "network.softmax_over": ("sample", "sample", "sample", "batch"),
    "network.loss": ("cross_entropy", "cross_entropy", "cross_entropy", "mean_squared_error"),
    "training.learning_rate": (
        *(1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.1),
        *(0.3, 1.0, 1.5, 2.0, 3.0, 10.0, 1000.0),
    ),
    "training.batch_size": (1, 10, 100, 100, 100, 500),
    "training.iterations": (2, 50, 1000, 3000, 3000, 3000, 3000),
    "init.scheme": ("normal", "xavier", "he", "lecun"),
}
NORMAL_SCALES, OTHER_SCALES = (0.01, 0.01, 0.1, 1.0, 10.0), (1.0, 1.0, 1.0, 0.1, 5.0)
RATES = (0.1, 0.5, 1.5, 2.0, 3.0, 1000.0, 1e30)


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    """Return one random choice of each setting."""
    chosen: dict[str, Any] = {"seed": int(rng.integers(0, 1000))}
    chosen |= {key: values[rng.choice(len(values))] for key, values in CHOICES.items()}
    scales = NORMAL_SCALES if chosen["init.scheme"] == "normal" else OTHER_SCALES
    return chosen | {"init.scale": scales[rng.choice(len(scales))]}


def all_settings() -> list[dict[str, Any]]:
    """Return the settings of the study, in order."""
    rng = np.random.default_rng(20261126)
    relu = {
        "network.activation": "relu",
        "network.hidden": (100,),
        "init.scheme": "he",
        "init.scale": 1.0,
        "training.iterations": 3000,
    }
    fixed = [relu | {"training.learning_rate": r, "seed": s} for r in RATES for s in (0, 1)]
    return [*(drawn(rng) for _ in range(DRAWN)), *fixed]


def result(number: int, chosen: dict[str, Any], known: float | None) -> Row:
    """Return the settings with their warnings and the accuracy: known, or by training."""
    settings = Settings().replace(chosen)
    setup = TrainingSetup.of(settings, load_data(settings))
    accuracy = 1 / setup.data.classes if known is None else known
    with Environment().single_threaded_blas():
        found = findings("before", setup.evidence())
        try:
            for metrics in setup.train() if known is None else ():
                accuracy = metrics.test_accuracy
        except DivergedError:
            accuracy = 1 / setup.data.classes
    return {
        "number": number,
        "half": "held back" if number % 2 else "thresholds",
        **{key: format_value(settings.flat()[key]) for key in ("seed", *CHOICES, "init.scale")},
        "test_accuracy": accuracy,
        "now": " ".join(warning.name for warning in found),
    }


def published() -> list[Row]:
    """Return the rows of settings.csv, in the order of the settings."""
    with (HERE / "settings.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def table(rows: Sequence[Row], version: str) -> list[str]:
    """Return lines of Markdown: how many bad and good runs had a warning, in each half."""
    lines = []
    for half in ("thresholds", "held back"):
        bad = [row for row in rows if row["half"] == half and row["test_accuracy"] < BAD]
        good = [row for row in rows if row["half"] == half and row["test_accuracy"] >= GOOD]
        hits, alarms = (sum(bool(row[version]) for row in part) for part in (bad, good))
        lines.append(f"| {version} | {half} | {hits} of {len(bad)} | {alarms} of {len(good)} |")
    return lines


def by_warning(rows: Sequence[Row]) -> list[str]:
    """Return a line of Markdown for each warning: its counts in the held-back half."""
    held_back = [row for row in rows if row["half"] == "held back"]
    counts: dict[str, Counter[str]] = {}
    for row in held_back:
        kind = (
            "bad" if row["test_accuracy"] < BAD else "good" if row["test_accuracy"] >= GOOD else ""
        )
        for version in ("before", "now"):
            for name in {warning.rstrip("_0123456789") for warning in row[version].split()}:
                counts.setdefault(name, Counter())[f"{version} {kind}"] += 1
    columns = ("before bad", "before good", "now bad", "now good")
    return [
        f"| `{name}` | {' | '.join(str(count[column]) for column in columns)} |"
        for name, count in sorted(counts.items())
    ]


PAGE = """# Warnings before training: hits and false alarms

*Do the warnings of a run find networks that will not learn, and do they spare those that will?*

`python experiments/preflight/study.py` trains {total} settings to their ends: 200 drawn at random
from the lists in [study.py](study.py), and fourteen fixed ones. A run is bad below {bad:.0f} % of
test accuracy and good from {good:.0f} %. Thresholds were chosen on the even-numbered settings, and
the odd-numbered ones were held back. One seed each. `before` is version 0.2.0.

| version | half | bad runs with a warning (hits) | good runs with a warning (false alarms) |
|---|---|---|---|
{halves}

Each warning in the held-back half, in number of runs:

| warning | before, bad | before, good | now, bad | now, good |
|---|---|---|---|---|
{warnings}

The settings are drawn to be difficult, so bad runs are many; the share of bad runs is not that of
anybody's own experiments. A network without a hidden layer recovers from nearly any learning
rate, to a lower accuracy: two of the three false alarms of `learning_rate` are such. All settings,
accuracies and warnings: [settings.csv](settings.csv).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--first", type=int, metavar="N", help="only the first N settings")
    parser.add_argument(
        "--no-training", action="store_true", help="keep the accuracies; ask for warnings again"
    )
    options = parser.parse_args()
    chosen, kept = all_settings()[: options.first], published()
    known = [float(row["test_accuracy"]) if options.no_training else None for row in kept]
    jobs = (delayed(result)(k, each, known[k]) for k, each in enumerate(chosen))
    rows: list[Row] = list(Parallel(n_jobs=-1)(jobs))
    rows = [row | {"before": old["before"]} for row, old in zip(rows, kept, strict=False)]
    with (HERE / "settings.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    page = PAGE.format(
        total=len(rows),
        bad=100 * BAD,
        good=100 * GOOD,
        halves="\n".join([*table(rows, "before"), *table(rows, "now")]),
        warnings="\n".join(by_warning(rows)),
    )
    (HERE / "README.md").write_text(page)


if __name__ == "__main__":
    main()
