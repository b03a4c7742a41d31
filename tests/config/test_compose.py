"""Composition: conf/ says what the code's defaults say; a sweep composes as Hydra does."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from sgdprobe.config import arguments
from sgdprobe.config.arguments import check_keys, exact_range
from sgdprobe.config.compose import Composer, errors_in_one_line
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError
from sgdprobe.paths import CONF

CHOICES = [
    f"{group.name}={file.stem}"
    for group in sorted(CONF.iterdir())
    if group.is_dir()
    for file in sorted(group.glob("*.yaml"))
]


@pytest.fixture(scope="module")
def composer() -> Iterator[Composer]:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        yield Composer(GlobalHydra.instance().config_loader(), words=["hydra.mode=MULTIRUN"])


def plain(words: list[str]) -> dict[str, Any]:
    """The settings that Hydra composes."""
    values: Any = OmegaConf.to_container(compose("config", words), resolve=True)
    return dict(values)


def by_hydra(words: list[str]) -> Settings:
    return Settings.from_dict(plain(words))


@pytest.mark.usefixtures("composer")
def test_conf_and_code_have_the_same_defaults() -> None:
    composed = plain([])
    assert Settings.from_dict(composed) == Settings()
    written = {
        f"{block}.{name}" if isinstance(values, dict) else block
        for block, values in composed.items()
        for name in (values if isinstance(values, dict) else [""])
    }
    assert written == set(Settings().flat()), "conf/ must show every setting, and no other"


@pytest.mark.usefixtures("composer")
@pytest.mark.parametrize("word", CHOICES)
def test_every_choice_of_every_group_is_accepted(word: str) -> None:
    group, _, name = word.partition("=")
    settings = by_hydra([word])
    if group == "experiment":
        return
    written = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    for key, value in written.items():
        if key != "defaults":
            composed = settings.flat()[f"{group}.{key}"]
            assert composed == (tuple(value) if isinstance(value, list) else value), key


@pytest.mark.usefixtures("composer")
@pytest.mark.parametrize(
    ("recipe", "differences"),
    [
        (
            "notes",
            {
                "dtype": "float64",
                "data.scale": "none",
                "network.hidden": (50, 100),
                "network.softmax_over": "batch",
                "init.scale": 1.0,
                "training.learning_rate": 0.01,
            },
        ),
        ("book", {}),
    ],
)
def test_recipe_is_the_program_it_is_named_after(recipe: str, differences: object) -> None:
    flat, defaults = by_hydra([f"experiment={recipe}"]).flat(), Settings().flat()
    assert {k: v for k, v in flat.items() if v != defaults[k]} == differences


@pytest.mark.parametrize(
    "words",
    [
        "",
        "seed=3",
        "experiment=notes",
        "experiment=notes init.scale=0.1 network.hidden=[5]",
        "init.scale=0.1 experiment=notes",  # a value wins over a recipe, wherever it stands
        "experiment=sweep dtype=float64",
        "network=deep init=he training.learning_rate=1",
        "network.hidden=[7,8] network=deep",
        "seed=1 seed=2",
        "++seed=4",
        "seed=4 ++seed=5",
        "init.scale=${training.learning_rate} training.learning_rate=0.3",
        "training.learning_rate=0.3 init.scale=${training.learning_rate}",
        "training.iterations=null training.epochs=2",
        "'tracking.experiment=\"a, b\"'",
        "tracking.experiment=null",
        "network.hidden=[]",
        "init.scale=1e-3",
    ],
)
def test_composed_once_is_what_hydra_composes_each_time(composer: Composer, words: str) -> None:
    overrides = shlex.split(words)
    assert composer.compose(overrides).settings == by_hydra(overrides)


def test_one_job_does_not_leak_into_the_next(composer: Composer) -> None:
    first, recipe, _ = composer.compose(["experiment=notes", "init.scale=7", "network.hidden=[1]"])
    second = composer.compose(["experiment=notes"]).settings
    assert recipe == "notes"
    assert first.init.scale == 7.0
    assert second == by_hydra(["experiment=notes"])


def test_jobs_that_share_their_keys_have_their_own_values(composer: Composer) -> None:
    words = [
        ["experiment=notes", f"seed={seed}", f"network.hidden={hidden}"]
        for seed, hidden in ((1, "[50,100]"), (2, "[7]"), (3, "[]"), (1, "[50,100]"))
    ]
    jobs = [composer.compose(each).settings for each in words]
    assert [(job.seed, job.network.hidden) for job in jobs] == [
        (1, (50, 100)),
        (2, (7,)),
        (3, ()),
        (1, (50, 100)),
    ]
    assert jobs == [by_hydra(each) for each in words]


def test_recipe_of_a_job(composer: Composer) -> None:
    assert [composer.compose(words).recipe for words in ([], ["experiment=book"])] == [None, "book"]


def test_known_recipes_are_those_of_a_single_run(composer: Composer) -> None:
    known = composer.recipes()
    assert known["notes"] == by_hydra(["experiment=notes"])
    assert {"notes", "book"} <= set(known)
    assert "sweep" not in known


@pytest.mark.parametrize(
    "words",
    [
        ["seed=1", "init.scale=0.1,0.2", "network.hidden=[50],[50,100]", "seed=range(0,10)"],
        ["++seed=1", "network=deep", "experiment=notes", "+experiment=notes"],
    ],
)
def test_keys_that_are_settings_or_groups(words: list[str]) -> None:
    check_keys(words)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("foo=1", "foo=1: no such setting; there are seed, dtype"),
        ("+foo=1,2", "foo=1,2: no such setting"),
        ("++network.foo=1", "network.foo=1: no such setting; there are network.hidden"),
        ("seed.foo=1", "seed.foo=1: no such setting"),
        ("~seed=0", "~seed=0: a setting cannot be removed"),
        ("~seed", "~seed: a setting cannot be removed"),
        ("~network.hidden", "~network.hidden: a setting cannot be removed"),
        ("~network", "~network"),
        ("seed=[1", "seed=[1: not KEY=VALUE in Hydra's grammar"),
        ("seed=1=2", "seed=1=2: not KEY=VALUE in Hydra's grammar"),
    ],
)
def test_keys_that_are_not(word: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        check_keys([word])
    assert message in str(refusal.value)


def test_an_error_of_hydra_becomes_one_line() -> None:
    with pytest.raises(SettingsError) as refusal, errors_in_one_line():
        raise HydraException("several\n  lines\n\nConfig search path:\n\tand more")
    assert str(refusal.value) == "several lines"


@pytest.fixture
def recipe_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Composer]:
    """Write a recipe with this text beside the others; returns a composer that finds it."""
    for file in sorted(CONF.rglob("*.yaml")):
        copy = tmp_path / file.relative_to(CONF)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(file.read_bytes())
    monkeypatch.setattr(arguments, "CONF", tmp_path)

    def write(text: str, name: str = "mine") -> Composer:
        (tmp_path / "experiment" / f"{name}.yaml").write_text(text)
        GlobalHydra.instance().clear()
        with initialize_config_dir(version_base="1.3", config_dir=str(tmp_path)):
            return Composer(GlobalHydra.instance().config_loader())

    return write


UNFINISHED = {
    "seed: 3": "mine.yaml must begin with the line # @package _global_",
    "": "mine.yaml must begin with the line # @package _global_",
    "# @package _global_\ninit:\n\tscale: 3": "mine.yaml, line 3: no YAML: found character",
    "# @package _global_\ninit: {scale: ": "mine.yaml, line 2: no YAML: expected the node",
    "# @package _global_\nfoo: 3": "foo=3: no such setting",
    "# @package _global_\nseed: ${oc.env:NOT_SET}": "Environment variable 'NOT_SET' not found",
}


@pytest.mark.parametrize("text", UNFINISHED)
def test_an_unfinished_recipe_is_refused_alone(
    recipe_file: Callable[[str], Composer], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """In one line if it is asked for; the other recipes are there without it."""
    composer = recipe_file(text)
    with pytest.raises(SettingsError) as refusal:
        composer.compose(["experiment=mine"])
    assert UNFINISHED[text] in str(refusal.value)
    assert set(composer.recipes()) == {"best", "book", "book_relu", "notes"}
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("the recipe mine is left out: ")
    assert UNFINISHED[text] in err


@pytest.mark.parametrize("name", ["._notes", ".#notes"])
def test_hidden_files_of_editors_are_no_recipes(
    recipe_file: Callable[[str, str], Composer], name: str
) -> None:
    recipe_file("\0", name)
    assert name not in arguments.recipes()
    assert "notes" in arguments.recipes()


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("init.scale=range(0.1,0.5,0.1)", "init.scale=0.1,0.2,0.3,0.4"),
        ("init.scale=range(1,0,-0.25)", "init.scale=1.0,0.75,0.5,0.25"),
        ("init.scale=shuffle(range(0.1,0.4,0.1))", "init.scale=shuffle(0.1,0.2,0.3)"),
        ("seed=range(0,3)", "seed=range(0,3)"),
        ("init.scale=range(0.5,0.5)", "init.scale=range(0.5,0.5)"),
        ("seed=1,2", "seed=1,2"),
    ],
)
def test_a_range_has_the_values_that_are_typed(word: str, values: str) -> None:
    assert exact_range(word) == values


def test_a_choice_that_does_not_exist_is_refused_with_the_choices(composer: Composer) -> None:
    with pytest.raises(SettingsError, match="Available options in 'init': he lecun normal xavier"):
        composer.compose(["init=relu"])
