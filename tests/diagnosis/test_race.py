"""The race and the proof on made surfaces: an accuracy for each setting, in no time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.diagnosis.changes import (
    distinct,
    fault_of,
    merged,
    neighbourhood,
    textbook,
    words_of,
)
from sgdprobe.diagnosis.diagnosis import learned_nothing
from sgdprobe.diagnosis.proof import prove
from sgdprobe.diagnosis.race import NEAR, Race
from sgdprobe.diagnosis.runs import Clock, Result
from sgdprobe.errors import UserError
from sgdprobe.rules import FAULTS, Change

Surface = Callable[[Mapping[str, Any], int], float]
START = Settings().replace(
    {"init.scale": 1.0, "training.learning_rate": 0.001, "training.iterations": 1000}
)


class MadeRuns:
    """Runs whose accuracies come from a function of settings and updates."""

    def __init__(self, surface: Surface, seconds: float = 0.0, waking: Sequence[str] = ()) -> None:
        self.surface, self.seconds = surface, seconds
        self.seconds_of_training = 10.0  # long enough for short runs first
        self.names: list[str] = []
        self.waking_names = waking

    def measure(
        self, wanted: Sequence[Settings], name_of: Callable[[Settings], str]
    ) -> dict[Settings, Result]:
        self.names += [name_of(settings) for settings in wanted]
        return {s: self._result(s, name_of(s)) for s in wanted}

    def _result(self, settings: Settings, name: str) -> Result:
        noise = 0.002 * np.sin(settings.seed)
        accuracy = self.surface(settings.flat(), settings.training.iterations or 0) + noise
        return Result(accuracy, accuracy, False, name)

    def expected(self, wanted: Sequence[Settings]) -> float:
        return self.seconds * len(wanted)

    def waking(self, results: Sequence[Result], factor: float) -> list[Result]:
        return [result for result in results if result.run_id.startswith(tuple(self.waking_names))]


def race_on(
    surface: Surface,
    digits: Path,
    suggested: Sequence[Change] = (),
    seconds: float = 0.0,
    waking: Sequence[str] = ("nothing",),
) -> tuple[Race, Any]:
    runs: Any = MadeRuns(surface, seconds, waking)
    race = Race(START.replace({"data.root": str(digits)}), runs, Clock(300))
    race.begin()
    race.run(suggested, lambda _: None)
    return race, runs


def rate_alone(flat: Mapping[str, Any], updates: int) -> float:
    return 0.95 if flat["training.learning_rate"] >= 0.05 else 0.5


def test_a_single_change_is_found_and_proven(digits: Path) -> None:
    race, runs = race_on(rate_alone, digits)
    proof = prove(race, runs, race.clock)
    assert proof.seeds == (1, 2, 3, 4, 5), "seeds that the race, with seed 0, has not seen"
    words = [arm.candidate.words for arm in proof.repairs]
    assert "training.learning_rate=0.1" in words
    assert all(len(arm) == 1 for arm in proof.repairs)
    assert not proof.is_healthy
    gain = proof.gain(proof.repairs[0])
    assert gain.mean == pytest.approx(0.45)


def both(flat: Mapping[str, Any], updates: int) -> float:
    """Each change alone does little; weights and learning rate together do all."""
    good_weights = flat["init.scheme"] == "xavier"
    good_rate = flat["training.learning_rate"] >= 0.05
    return {0: 0.2, 1: 0.4, 2: 0.95}[good_weights + good_rate]


def test_a_pair_is_found_where_no_single_change_is_enough(digits: Path) -> None:
    race, runs = race_on(both, digits)
    proof = prove(race, runs, race.clock)
    (first, *_) = proof.repairs
    assert len(first) == 2
    change = first.candidate.change
    assert change["init.scheme"] == "xavier"
    assert change["training.learning_rate"] >= 0.05
    assert {fault_of(race.base, part) for part in first.candidate.parts} == {
        "weights",
        "learning_rate_low",
    }


def test_textbook_values_find_what_no_step_by_step_search_would(digits: Path) -> None:
    def all_or_nothing(flat: Mapping[str, Any], updates: int) -> float:
        return 0.95 if both(flat, updates) > 0.9 else 0.1

    race, runs = race_on(all_or_nothing, digits)
    proof = prove(race, runs, race.clock)
    assert [len(arm) for arm in proof.repairs][:1] == [2]


def test_a_recipe_near_the_best_found_is_healthy(digits: Path) -> None:
    race, runs = race_on(lambda flat, _: 0.95 if flat["init.scheme"] == "he" else 0.92, digits)
    proof = prove(race, runs, race.clock)
    assert NEAR == 0.05
    assert proof.is_healthy


def test_where_nothing_helps_nothing_is_claimed(digits: Path) -> None:
    race, runs = race_on(lambda flat, _: 0.1, digits)
    proof = prove(race, runs, race.clock)
    assert proof.repairs == []
    assert not proof.gains(proof.best)


def test_a_slow_starter_survives_short_runs(digits: Path) -> None:
    """An init that waits at a guess in short runs, and is the best at the whole length."""

    def surface(flat: Mapping[str, Any], updates: int) -> float:
        if flat["init.scheme"] == "he":
            return 0.1 if updates < 1000 else 0.97
        return 0.2 + 0.0001 * float(flat["training.learning_rate"])

    slow = "init.scheme=he"
    found, _ = race_on(surface, digits, waking=(slow,))
    assert any(a.candidate.words == slow for a in found.full)
    lost, _ = race_on(surface, digits)
    assert not any(a.candidate.words == slow for a in lost.full), "waking is what saves it"


def test_what_does_not_fit_the_time_is_named(digits: Path) -> None:
    race, runs = race_on(rate_alone, digits, seconds=50.0)
    assert race.left_out
    assert len(runs.names) <= 4 * 300 / 50, runs.names
    proof = prove(race, runs, race.clock)
    assert len(proof.seeds) == 2, "too little time for five seeds"


def test_what_a_rule_suggests_comes_first(digits: Path) -> None:
    _, runs = race_on(rate_alone, digits, [{"training.learning_rate": 0.07}], seconds=20.0)
    assert any(name.startswith("training.learning_rate=0.07") for name in runs.names)


def test_a_repair_that_a_rule_suspects_is_named_first(digits: Path) -> None:
    race, runs = race_on(rate_alone, digits, [{"training.learning_rate": 0.07}])
    proof = prove(race, runs, race.clock)
    assert proof.repairs[0].candidate.words == "training.learning_rate=0.07"


def test_an_asked_accuracy_replaces_the_best_found(digits: Path) -> None:
    runs: Any = MadeRuns(rate_alone)
    race = Race(START.replace({"data.root": str(digits)}), runs, Clock(300), reach=0.99)
    race.begin()
    race.run([], lambda _: None)
    proof = prove(race, runs, race.clock)
    assert proof.repairs == [], "0.95 is not 0.99"


# The changes.


def test_the_neighbourhood_has_a_change_of_every_setting_that_can_repair() -> None:
    settings = Settings().replace(
        {
            "data.scale": "none",
            "data.train_images": 1000,
            "network.activation": "tanh",
            "network.softmax_over": "batch",
            "network.output": "identity",
            "network.loss_reduction": "sum",
            "init.bias_scale": 1.0,
            "training.weight_decay": 0.1,
            "training.gradient": "numerical",
            "training.optimizer": "momentum",
            "training.momentum": 0.5,
        }
    )
    changed = {key for change in neighbourhood(settings, 1000) for key in change}
    left = {key for key, traits in Settings().flat().items()} - changed
    operational = {key for key in left if not Settings.traits(key).affects_results}
    assert left - operational == {
        "seed",
        "bits",
        "data.name",
        "data.root",
        "data.validation",
        "training.epochs",
        "training.beta1",
        "training.beta2",
    }


def test_every_change_belongs_to_a_fault() -> None:
    for change in neighbourhood(START, 1000) + textbook(START, 1000):
        assert fault_of(START, change) in FAULTS, words_of(change)


def test_changes_that_change_nothing_or_cannot_be_are_left_out() -> None:
    found = distinct(
        START,
        [{"init.scale": 1.0}, {"init.scale": -1.0}, {"seed": 3}, {"seed": 3}],
    )
    assert found == [{"seed": 3}]


def test_changes_that_contradict_each_other_are_no_set() -> None:
    assert merged([{"init.scale": 1.0}, {"init.scale": 2.0}]) is None
    assert merged([{"init.scale": 1.0}, {"seed": 2}]) == {"init.scale": 1.0, "seed": 2}


@pytest.mark.parametrize(
    ("accuracy", "classes", "nothing"),
    [(0.2, 10, False), (0.18, 10, True), (0.99, 2, False), (0.56, 2, False), (0.54, 2, True)],
)
def test_learned_nothing_is_near_a_guess_for_any_number_of_classes(
    accuracy: float, classes: int, nothing: bool
) -> None:
    # A tenth of the way from a guess to 100 %: 0.19 of 10 classes, 0.55 of 2.
    assert learned_nothing(accuracy, 1 / classes) == nothing


def test_a_recipe_that_cannot_be_run_is_refused(digits: Path) -> None:
    """Also where its textbook values can be run."""

    class Failing(MadeRuns):
        def measure(
            self, wanted: Sequence[Settings], name_of: Callable[[Settings], str]
        ) -> dict[Settings, Result]:
            made = super().measure(wanted, name_of)
            return {s: r for s, r in made.items() if not r.run_id.startswith("as given")}

    runs: Any = Failing(rate_alone)
    race = Race(START.replace({"data.root": str(digits)}), runs, Clock(300))
    with pytest.raises(UserError, match="the recipe as given could not be run"):
        race.begin()
