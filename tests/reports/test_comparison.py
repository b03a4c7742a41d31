"""Two runs side by side, from records made by hand."""

from collections.abc import Mapping, Sequence

from sgdprobe.reports.comparison import Parting, RunPair, comparison_lines
from sgdprobe.tracking.runs import RecordedRun


def run(run_id: str, series: Mapping[str, Sequence[float]], **tags: str) -> RecordedRun:
    metrics = {name: values[-1] for name, values in series.items()}
    params = {"seed": "0", "sweep.n_jobs": run_id}
    return RecordedRun(run_id, "FINISHED", params=params, tags=tags, metrics=metrics, series=series)


def test_the_first_difference_is_that_of_the_earliest_epoch() -> None:
    first = run("a", {"loss": [3.0, 2.0, 1.0], "test_accuracy": [0.1, 0.2, 0.3]})
    second = run("b", {"loss": [3.0, 2.0, 1.5], "test_accuracy": [0.1, 0.25, 0.3]})
    pair = RunPair(first, second)
    assert pair.parting == Parting(2, "test_accuracy", (0.2, 0.25))
    assert pair.sentence == "first difference: epoch 2, test_accuracy: 20.00 % and 25.00 %"
    assert pair.settings == {}, "the number of processes changes no number"


def test_numbers_that_look_alike_are_shown_in_full() -> None:
    pair = RunPair(run("a", {"loss": [1.0]}), run("b", {"loss": [1.0000001]}))
    assert pair.sentence == "first difference: epoch 1, loss: 1.0 and 1.0000001"


def test_a_longer_run_with_the_same_numbers() -> None:
    pair = RunPair(run("a", {"loss": [2.0, 1.0]}), run("b", {"loss": [2.0]}))
    assert pair.parting is None
    assert pair.sentence == "the same numbers in all 1 epochs that both have; then one of them ends"


def test_a_loop_of_ones_own_lacks_settings_that_are_no_difference() -> None:
    own = run("a", {"loss": [1.0]}, own_loop="mine.py", data_hash="x")
    ours = run("b", {"loss": [1.0]}, data_hash="x")
    ours = RecordedRun(**{**vars(ours), "params": {"seed": "1", "dtype": "float32"}})
    pair = RunPair(own, ours)
    assert pair.settings == {"seed": ("0", "1")}
    assert pair.not_recorded(own) == ["dtype"]
    assert ("not recorded", "1 settings", "–") in comparison_lines(pair)
    assert pair.versions == {"own loop": ("mine.py", "–")}
