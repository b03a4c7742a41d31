"""The description of an experiment: ours in place of an earlier one, a person's words stay."""

from collections.abc import Callable

from sgdprobe import tracking


def test_a_persons_words_stay_above_ours(new_store: Callable[[], str]) -> None:
    store = tracking.open_experiment(new_store(), "notes")

    def note() -> str:
        return str(store.client().get_experiment(store.experiment_id).tags[tracking.NOTE])

    tracking.describe_experiment(store, "first")
    tracking.describe_experiment(store, "second")
    assert note().endswith("\n\nsecond")
    assert "first" not in note()
    store.client().set_experiment_tag(store.experiment_id, tracking.NOTE, f"Mine.\n\n{note()}")
    tracking.describe_experiment(store, "third http://ann:secret@host")
    assert note().startswith("Mine.\n\n")
    assert "third" in note()
    assert "second" not in note()
    assert "secret" not in note()
    store.client().set_experiment_tag(store.experiment_id, tracking.NOTE, "Only mine.")
    tracking.describe_experiment(store, "x" * 6000)
    assert note().startswith("Only mine.")
    assert len(note()) == 5000
