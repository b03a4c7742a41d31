"""The description of a run that MLflow's page shows: question, answer, warnings; in Markdown."""

from collections.abc import Sequence

from sgdprobe.config.formatting import counted, percent
from sgdprobe.config.questions import question_of
from sgdprobe.nn import EpochMetrics
from sgdprobe.rules import Finding
from sgdprobe.run.ending import ENDINGS


def description(
    recipe: str,
    epochs: Sequence[EpochMetrics],
    findings: Sequence[Finding],
    ending: str,
    diverged: bool,
) -> str:
    """Return the description of a run that has ended, or of as much of it as there is.

    findings : those before training, and those after it. ending : a name in ENDINGS, or "".
    """
    question = question_of(recipe)
    head = f"Recipe **{recipe}**" + (f": *{question}*" if question else "")
    found = [f"* {finding.text}" for finding in findings]
    warnings = "\n".join(["Warnings:", "", *found]) if found else ""
    return "\n\n".join(filter(None, [head, _answer(epochs, ending, diverged), warnings]))


def _answer(epochs: Sequence[EpochMetrics], ending: str, diverged: bool) -> str:
    if not epochs:
        return "It diverged in its first epoch." if diverged else "It ended in its first epoch."
    last = epochs[-1]
    state = ", then it diverged" if diverged else f"; {ENDINGS[ending]}" if ending else ""
    return (
        f"Test accuracy **{percent(last.test_accuracy)}** after "
        f"{counted(len(epochs), 'epoch')}{state} "
        f"(training accuracy {percent(last.train_accuracy)}, loss {last.loss:.4g})."
    )
