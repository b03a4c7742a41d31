"""Run names: what varies first comes first, short enough for a narrow column."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sgdprobe.config.formatting import run_name
from sgdprobe.config.settings import Settings


@pytest.mark.parametrize(
    ("given", "varied", "name"),
    [
        ({}, [], "seed=0"),
        ({"seed": 3}, ["seed"], "seed=3"),
        ({"init": {"scale": 1}}, ["init.scale"], "scale=1 seed=0"),
        (
            {"seed": 3, "init": {"scale": 1}, "network": {"hidden": [50, 100]}},
            ["training.learning_rate", "init.scale", "network.hidden"],
            "lr=0.1 scale=1 [50,100] seed=3",
        ),
        (
            {"network": {"hidden": [], "activation": "relu"}},
            ["network.hidden", "network.activation", "training.batch_size", "data.scale"],
            "[] relu batch=100 pixels=unit seed=0",
        ),
        ({}, ["training.epochs"], "epochs=null seed=0"),
    ],
)
def test_run_name(given: Mapping[str, Any], varied: Sequence[str], name: str) -> None:
    assert run_name(Settings.from_dict(given), varied) == name


def test_a_name_says_only_what_changes_numbers() -> None:
    settings = Settings.from_dict(
        {"sweep": {"n_jobs": 2}, "tracking": {"uri": "sqlite:////a/b/c.db"}}
    )
    name = run_name(settings, ["sweep.n_jobs", "tracking.uri", "init.scale"])
    assert name == "scale=0.01 seed=0"


@pytest.mark.parametrize(
    ("key", "short"),
    [
        ("training.learning_rate", "lr"),
        ("init.scale", "scale"),
        ("data.scale", "pixels"),  # not a second "scale"
        ("training.sampling", "sampling"),
        ("seed", "seed"),
    ],
)
def test_label(key: str, short: str) -> None:
    assert Settings.traits(key).label == short


def test_labels_tell_all_settings_apart() -> None:
    labels = [Settings.traits(key).label for key in Settings().flat()]
    assert sorted(labels) == sorted(set(labels))
