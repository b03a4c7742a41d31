"""Settings: a refusal names key, value and choices; a key tells runs apart by their numbers."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import pytest

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import OPERATIONAL, Settings, check_against_data, unknown_setting
from sgdprobe.errors import SettingsError


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"init.scale": 1, "seed": 2} as {"init": {"scale": 1}, "seed": 2}."""
    result: dict[str, Any] = {}
    for key, value in flat.items():
        block, _, name = key.rpartition(".")
        (result.setdefault(block, {}) if block else result)[name] = value
    return result


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tracking": {"lease": 9}}, "tracking.lease must be an integer of at least 10; got 9"),
        ({"seed": -1}, "seed must be an integer of at least 0; got -1"),
        ({"seed": 1.5}, "seed must be an integer of at least 0; got 1.5"),
        ({"seed": True}, "seed must be an integer of at least 0; got true"),
        ({"seed": None}, "seed must be an integer of at least 0; got null"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64; got float16"),
        ({"training": {"optimizer": "rmsprop"}}, "adagrad, adam, or FILE.py:NAME; got rmsprop"),
        ({"training": {"momentum": 1}}, "momentum must be a finite number of at least 0 and below"),
        ({"training": {"beta1": -0.1}}, "beta1 must be a finite number of at least 0 and below 1"),
        (
            {"training": {"beta2": 1.0}},
            "training.beta2 must be a finite number of at least 0 and b",
        ),
        ({"training": {"weight_decay": -1}}, "training.weight_decay must be a finite number of at"),
        ({"network": {"hidden": 5}}, "network.hidden must be a list of integers"),
        ({"network": {"hidden": [50, 0]}}, "such as [50,100] or []; got [50,0]"),
        ({"init": {"scheme": "relu"}}, "normal, xavier, he, lecun, or FILE.py:NAME; got relu"),
        ({"init": {"scale": math.nan}}, "init.scale must be a finite number"),
        ({"training": {"learning_rate": math.inf}}, "above 0; got inf"),
        ({"sweep": {"n_jobs": 0}}, "an integer other than 0 (-1: one for each core); got 0"),
        (
            {"sweep": {"backend": "dask", "scheduler": "host"}},
            "sweep.scheduler must be a Dask scheduler's address such as tcp://HOST:8786 or tls://",
        ),
        ({"sweep": {"scheduler": "tcp://a:1"}}, "sweep.scheduler must be null without sweep=dask;"),
        (
            {"sweep": {"backend": "dask", "scheduler": "tcp://a:1", "n_jobs": 2}},
            "sweep.n_jobs must be -1 with sweep.scheduler",
        ),
        ({"sead": 1}, "sead=1: no such setting; there are seed, dtype, bits, data"),
        ({"network": {"layers": 2}}, "network.layers=2: no such setting; there are network.hidden"),
        ({"network": 5}, "network must be a block of settings; got 5"),
        ({"data": {"name": "cifar"}}, "data.name must be mnist while data.root is null; got cifar"),
        ({"training": {"epochs": 3}}, "got training.iterations=10000 and training.epochs=3"),
        ({"training": {"iterations": None}}, "only one of them; got training.iterations=null"),
    ],
)
def test_refused(given: Mapping[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_dict(given)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [1.0, "1", "", " "])
def test_a_refusal_does_not_show_an_accepted_value(value: Any) -> None:
    # "batch_size must be an integer of at least 1; got 1" would help nobody.
    with pytest.raises(SettingsError) as refusal:
        Settings.from_dict({"training": {"batch_size": value}})
    got = str(refusal.value).partition("; got ")[2]
    assert got.strip() not in ("", "1"), str(refusal.value)


def test_one_of_two_lengths_is_enough() -> None:
    by_epochs = Settings.from_dict({"training": {"iterations": None, "epochs": 3}})
    assert (by_epochs.training.iterations, by_epochs.training.epochs) == (None, 3)


def test_what_is_not_given_keeps_its_default() -> None:
    assert Settings.from_dict({}) == Settings()
    changed = Settings.from_dict({"init": {"scale": 1}})
    assert changed.flat() == Settings().flat() | {"init.scale": 1.0}


@pytest.mark.parametrize(
    ("settings", "images", "message"),
    [
        ({"training": {"batch_size": 601}}, 600, "training.batch_size must be at most 600"),
        ({"data": {"validation": 600}}, 600, "data.validation must be less than 600"),
        ({"data": {"validation": 501}}, 600, "training.batch_size must be at most 99"),
        ({"data": {"train_images": 601}}, 600, "data.train_images must be at most 600"),
        (
            {"data": {"validation": 200, "train_images": 401}},
            600,
            "data.train_images must be at most 400, those that are not held out; got 401",
        ),
        ({"data": {"train_images": 50}}, 600, "training.batch_size must be at most 50"),
    ],
)
def test_refused_by_the_data(settings: Mapping[str, Any], images: int, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_against_data(Settings.from_dict(settings), images)


def test_a_batch_of_all_images_fits() -> None:
    check_against_data(Settings.from_dict({"training": {"batch_size": 600}}), 600)


def test_unknown_lists_the_siblings() -> None:
    assert str(unknown_setting("init.skale", 3)) == (
        "init.skale=3: no such setting; there are init.scheme, init.scale, init.bias_scale; "
        "did you mean init.scale?"
    )
    assert "there are seed, dtype, bits, data, network" in str(
        unknown_setting("nothing.like.it", None)
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (0.1, "0.1"),
        (1.0, "1"),
        (1e-7, "1e-07"),
        (0.1 + 0.2, "0.30000000000000004"),
        ((50, 100), "[50,100]"),
        ((), "[]"),
        ("relu", "relu"),
    ],
)
def test_shown_as_one_would_type_it(value: Any, text: str) -> None:
    assert format_value(value) == text


# For each setting another value than its default.
OTHER: dict[str, Any] = {
    "seed": 1,
    "dtype": "float64",
    "bits": "avx2",
    "data.name": "other",
    "data.root": "/some/folder",
    "data.scale": "none",
    "data.train_images": 100,
    "data.validation": 1,
    "network.hidden": [50, 100],
    "network.activation": "relu",
    "network.output": "sigmoid",
    "network.softmax_over": "batch",
    "network.loss": "mean_squared_error",
    "network.loss_reduction": "sum",
    "init.scheme": "he",
    "init.scale": 0.02,
    "init.bias_scale": 0.1,
    "training.learning_rate": 0.2,
    "training.batch_size": 128,
    "training.iterations": 1,
    "training.epochs": 17,
    "training.sampling": "permutation",
    "training.gradient": "numerical",
    "training.optimizer": "adam",
    "training.momentum": 0.5,
    "training.beta1": 0.5,
    "training.beta2": 0.5,
    "training.weight_decay": 0.1,
    "tracking.uri": "sqlite:////x.db",
    "tracking.experiment": "x",
    "tracking.lease": 900,
    "tracking.model": False,
    "sweep.n_jobs": 2,
    "sweep.resume": False,
    "sweep.fail_fast": True,
    "sweep.max_kills": 3,
    "sweep.dry_run": True,
    "sweep.backend": "sequential",
    "sweep.scheduler": "tcp://host:8786",
}
# What has to be said with it.
ALSO: dict[str, dict[str, Any]] = {
    "data.name": {"data.root": "/x"},
    "training.epochs": {"training.iterations": None},
    "sweep.scheduler": {"sweep.backend": "dask"},
}
# They lead to the data, whose hash is in the key, or say where a run is recorded or executed.
NOT_IN_KEY = ("data.name", "data.root", "tracking.", "sweep.")


@pytest.mark.parametrize("name", [*Settings().flat()])
def test_a_setting_is_in_the_key_if_it_changes_numbers(name: str) -> None:
    assert name in OTHER, f"{name} is new: give it another value above"
    other = Settings.from_dict(nested({name: OTHER[name]} | ALSO.get(name, {})))
    same_key = other.key("data", "source") == Settings().key("data", "source")
    assert other != Settings()
    assert same_key == name.startswith(NOT_IN_KEY), f"{name}={format_value(OTHER[name])}"


def test_key_depends_on_data_and_source() -> None:
    keys = {Settings().key(*hashes) for hashes in [("a", "b"), ("a", "c"), ("c", "b"), ("b", "a")]}
    assert len(keys) == 4


def test_key_is_that_of_the_value_not_of_its_spelling() -> None:
    one = Settings.from_dict({"init": {"scale": 1}, "network": {"hidden": [50]}})
    other = Settings.from_dict({"network": {"hidden": (50,)}, "init": {"scale": 1.0}})
    assert one == other
    assert one.key() == other.key()


@pytest.mark.parametrize(
    ("trait", "keys"),
    [
        ("affects_results", {"tracking.", "sweep."}),
        ("tunable", {"tracking.", "sweep.", "seed", "bits", "data.name", "data.root", "data.vali"}),
    ],
)
def test_traits_that_some_settings_lack(trait: str, keys: set[str]) -> None:
    without = {key for key in Settings().flat() if not getattr(Settings.traits(key), trait)}
    assert without == {key for key in Settings().flat() if key.startswith(tuple(keys))}


def test_settings_that_a_sweep_shares() -> None:
    shared = {key for key in Settings().flat() if Settings.traits(key).same_in_sweep}
    assert shared == OPERATIONAL | {"bits"}


def test_replace() -> None:
    changed = Settings().replace({"init.scale": 1, "seed": 2, "network.hidden": [7]})
    assert changed == Settings.from_dict(
        {"seed": 2, "init": {"scale": 1.0}, "network": {"hidden": (7,)}}
    )


def test_replace_checks_all_settings_together() -> None:
    with pytest.raises(SettingsError, match="only one of them"):
        Settings().replace({"training.epochs": 3})
    with pytest.raises(SettingsError, match=r"init\.skale=1: no such setting"):
        Settings().replace({"init.skale": 1})


def test_settings_are_frozen_and_can_be_hashed() -> None:
    assert len({Settings(), Settings.from_dict({}), Settings(seed=1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().seed = 1  # type: ignore[misc]
