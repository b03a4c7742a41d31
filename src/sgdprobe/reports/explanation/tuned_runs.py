"""Every run that a tuning tried: as a CSV file, and as a table of the page."""

import csv
import io

from sgdprobe.config.formatting import format_value
from sgdprobe.reports.document import Block, Heading, Table, Text
from sgdprobe.reports.explanation.facts import Facts
from sgdprobe.reports.explanation.runs import COLUMNS, linked_run
from sgdprobe.reports.explanation.words import percents
from sgdprobe.study.effects import estimate
from sgdprobe.study.factors import cell_id
from sgdprobe.study.tuning import Tuned

BEST = "best"
METRICS = ("validation_accuracy", "test_accuracy", "train_accuracy", "loss")
OWN = {
    BEST: "1 where this value is the cell's best by validation_accuracy, mean over the seeds",
    "validation_accuracy": "on the images held out of training, 0 … 1",
}


def tuned_table(tuned: Tuned) -> str:
    """tuned.csv: a line for each run, by value, then in the order of the design."""
    names = [factor.name for factor in tuned.factorial.factors]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    key = tuned.key
    writer.writerow(["cell", *names, key, BEST, "seed", "run_id", "diverged", *METRICS])
    for place, (value, study) in enumerate(zip(tuned.values, tuned.tried, strict=True)):
        for cell, seed in study.factorial.runs():
            result = study.results[cell, seed]
            accuracies = (study.accuracy_of((cell, seed), name) for name in METRICS[:2])
            writer.writerow(
                [
                    cell_id(cell),
                    *(
                        f.format_level(level)
                        for f, level in zip(study.factorial.factors, cell, strict=True)
                    ),
                    format_value(value),
                    int(tuned.chosen[cell] == place),
                    seed,
                    result.run_id,
                    int(result.diverged),
                    *accuracies,
                    *(result.metrics.get(name) for name in METRICS[2:]),
                ]
            )
    return stream.getvalue()


def tuned_columns(facts: Facts) -> list[Block]:
    """What the columns of tuned.csv are."""
    if facts.tuned is None:
        return []
    names = [factor.name for factor in facts.tuned.factorial.factors]
    words = COLUMNS | OWN
    rows = [
        ["`cell`", words["cell"]],
        [f"`{'`, `'.join(names)}`", "the factor's settings in this cell"],
        [f"`{facts.tuned.key}`", "the value that was tried"],
        *([f"`{name}`", words[name]] for name in (BEST, "seed", "run_id", "diverged", *METRICS)),
    ]
    return [
        Heading("tuned.csv"),
        Text("Every run that the tuning tried, a line each, with its id."),
        Table(["column", "what it is"], rows),
    ]


def tuned_runs(facts: Facts) -> list[Block]:
    """The runs of each cell at each value, where the links of the tuned numbers lead."""
    if facts.tuned is None:
        return []
    tuned, rows, places = facts.tuned, [], []
    for cell in tuned.factorial.cells():
        for place, study in enumerate(tuned.tried):
            ids = [linked_run(study.results[cell, seed]) for seed in range(study.factorial.seeds)]
            reached = percents(estimate(study.accuracies()[cell]))
            value = format_value(tuned.values[place])
            is_best = "best" if tuned.chosen[cell] == place else ""
            rows.append([cell_id(cell), f"`{value}`", is_best, reached, " ".join(ids)])
            places.append(f"tuned-{cell_id(cell)}-{place}")
    names = ", ".join(f"`{factor.name}`" for factor in tuned.factorial.factors)
    return [
        Heading("Tuned runs", place="tuned-runs"),
        Text(
            f"A row for each cell at each value of `{tuned.key}`; digits: {names}. The "
            "numbers of the tuned cells are of the rows that are best."
        ),
        Table(["cell", tuned.key, "", "test accuracy", "runs"], rows, places),
    ]
