"""Differences between two recipes."""

from typing import Any

import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError, UserError
from sgdprobe.study.factors import Factor, compare, select

BOOK = Settings()


def differing(**values: Any) -> tuple[Factor, ...]:
    return compare(BOOK, BOOK.replace({k.replace("__", "."): v for k, v in values.items()}))


def test_each_setting_that_differs_is_a_factor_with_two_levels() -> None:
    hidden, rate = differing(network__hidden=(50, 100), training__learning_rate=1.0)
    assert (hidden.name, hidden.format_level(0), hidden.format_level(1)) == (
        "network.hidden",
        "[50]",
        "[50,100]",
    )
    assert rate.values(0) == {"training.learning_rate": 0.1}
    assert rate.values(1) == {"training.learning_rate": 1.0}


def test_coupled_settings_are_one_factor() -> None:
    init, length = differing(
        init__scheme="he", init__scale=1.0, training__iterations=None, training__epochs=3
    )
    assert (init.name, init.keys) == ("init", ("init.scheme", "init.scale"))
    assert (init.format_level(0), init.format_level(1)) == ("normal 0.01", "he 1")
    assert (length.name, length.format_level(1)) == ("training.length", "null 3")


def test_a_group_of_which_one_setting_differs_is_named_after_it() -> None:
    (factor,) = differing(init__scale=1.0)
    assert (factor.name, factor.keys) == ("init.scale", ("init.scale",))


def test_store_execution_and_seed_are_no_difference() -> None:
    assert differing(seed=7, tracking__uri="sqlite:///x.db", sweep__n_jobs=1) == ()


def test_a_factor_is_selected_by_its_name_or_by_a_setting() -> None:
    both = differing(init__scheme="he", init__scale=1.0, dtype="float64")
    assert [factor.name for factor in both] == ["dtype", "init"]
    for word in ("init", "init.scale"):
        assert [factor.name for factor in select(both, [word])] == ["init"]
    with pytest.raises(
        UserError, match=r"--factors lr: no such difference; choose from dtype, init$"
    ):
        select(both, ["lr"])


def test_a_cell_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"training.iterations or training.epochs"):
        BOOK.replace({"training.epochs": 3})
