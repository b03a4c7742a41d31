"""Every recipe in conf/experiment, run: shrunk by overrides, and on a few images."""

import math
from collections.abc import Callable, Mapping
from itertools import takewhile
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from sgdprobe.config.arguments import recipes
from sgdprobe.paths import CONF

if TYPE_CHECKING:
    from mlflow.entities import Run

IMAGES = 600
SHRUNK = {"training.iterations": 7, "training.epochs": "null", "training.batch_size": 100}


def composed(recipe: str) -> DictConfig:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", [f"experiment={recipe}"], return_hydra_config=True)


def axes(recipe: DictConfig) -> dict[str, list[str]]:
    """Return the axes of a recipe, {"init.scale": ["1", "0.3"], …}; {} for a single run."""
    result = {}
    for key, values in (recipe.hydra.sweeper.params or {}).items():
        axis = OverridesParser.create().parse_overrides([f"{key}={values}"])
        (jobs,) = BasicSweeper.split_arguments(axis, None)
        result[str(key)] = [word.partition("=")[2] for (word,) in jobs]
    return result


def shrunk(name: str, digits: object) -> tuple[list[str], int]:
    """A short form of the recipe, of two cells if it is a sweep; and the number of its runs."""
    recipe = composed(name)
    words: dict[str, Any] = {"data.root": digits, "data.validation": 0, **SHRUNK}
    if recipe.training.gradient == "numerical":
        words["network.hidden"] = "[1]"  # two forward passes for each weight and update
    first, *others = [*axes(recipe).items()] or [("", [""])]
    words |= {key: values[0] for key, values in others}
    if first[0]:
        words[first[0]] = ",".join(first[1][:2])
        words |= {"sweep": "sequential"}
    options = ["-m"] if first[0] else []
    cells = len(first[1][:2])
    return [*options, name, *(f"{key}={value}" for key, value in words.items())], cells


Results = Mapping[str, tuple[CompletedProcess[str], int, "list[Run]"]]


@pytest.fixture(scope="module")
def uri(new_store: Callable[[], str]) -> str:
    return new_store()


@pytest.fixture(scope="module")
def results(
    run_commands: Callable[..., list[CompletedProcess[str]]],
    runs: "Callable[[str], list[Run]]",
    digits: object,
    uri: str,
) -> Results:
    """The answer of each recipe, how many runs it should make, and those it made."""
    commands = {name: shrunk(name, digits) for name in recipes()}
    # An overflow or a division by zero on the way is an error here, as it is in pytest.
    answers = run_commands(
        [words for words, _ in commands.values()],
        MLFLOW_TRACKING_URI=uri,
        PYTHONWARNINGS="error::RuntimeWarning",
    )
    made = runs(uri)
    return {
        name: (answer, cells, [run for run in made if run.data.tags["recipe"] == name])
        for (name, (_, cells)), answer in zip(commands.items(), answers, strict=True)
    }


@pytest.mark.parametrize("recipe", recipes())
def test_recipe(
    results: Results, points: "Callable[[str, Run], dict[str, Any]]", uri: str, recipe: str
) -> None:
    answer, cells, made = results[recipe]
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    assert len(made) == cells
    for run in made:
        assert run.info.status == "FINISHED", run.data.tags.get("failure")
        given = {
            key: int(run.data.params[f"training.{key}"]) for key in ("iterations", "batch_size")
        }
        epochs = math.ceil(given["iterations"] / math.ceil(IMAGES / given["batch_size"]))
        recorded = points(uri, run)
        assert {"loss", "train_accuracy", "test_accuracy"} <= recorded.keys()
        for metric, values in recorded.items():
            assert [step for step, _ in values] == [*range(1, epochs + 1)], metric


@pytest.mark.parametrize("recipe", recipes())
def test_recipe_opens_with_its_question_and_its_command(recipe: str) -> None:
    lines = (CONF / "experiment" / f"{recipe}.yaml").read_text().splitlines()
    header = list(takewhile(lambda line: line.startswith("#"), lines))
    command = "python src/train.py -m" if axes(composed(recipe)) else "python src/train.py"
    assert header[0] == "# @package _global_"
    assert "?" in "".join(header), "no question"
    assert any(f"{command} {recipe}" in line for line in header), f"no {command} {recipe}"
