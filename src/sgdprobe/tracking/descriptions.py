"""Descriptions of runs and experiments, which MLflow's pages show: a tag, in Markdown."""

from mlflow.exceptions import MlflowException

from sgdprobe.provenance.redact import redact
from sgdprobe.tracking.store import Store, store_errors

__all__ = ["NOTE", "describe_experiment", "fitting", "tag_experiment"]

NOTE = "mlflow.note.content"
MAX_LENGTH = 5000  # of a tag
# Markdown that shows nothing; all above it was written by a person, and stays.
MARK = "[//]: # (below: written by sgdprobe)"


def describe_experiment(store: Store, text: str) -> None:
    """Let an experiment's description end with this text, in place of an earlier one of ours.

    Raises StoreError.
    """
    with store_errors(store.uri):
        client = store.client()
        before = client.get_experiment(store.experiment_id).tags.get(NOTE, "")
        theirs = before.partition(MARK)[0].strip()
        after = "\n\n".join(filter(None, [theirs, MARK, redact(text)]))
        if after != before:
            tag_experiment(store, NOTE, fitting(after))


def tag_experiment(store: Store, key: str, value: str) -> None:
    """Set a tag of an experiment, also where another command adds the same one at this moment."""
    client = store.client()
    try:
        client.set_experiment_tag(store.experiment_id, key, value)
    except MlflowException:  # it looked for the tag before the other one had added it
        client.set_experiment_tag(store.experiment_id, key, value)


def fitting(text: str) -> str:
    """Return a text, cut where a tag ends."""
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"
