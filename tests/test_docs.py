"""Commands, links and lists in the documentation, against the code and the files."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from support import Answer, points_of, runs_in

import sgdprobe
from sgdprobe.commands import COMMANDS, check, diagnose, explain_options, known_commands, rerun, ui
from sgdprobe.commands import compare as compare_runs
from sgdprobe.config import arguments, compose
from sgdprobe.config.arguments import hydra_arguments, recipes
from sgdprobe.config.compose import open_composer
from sgdprobe.config.recipe_pair import compose_pairs
from sgdprobe.data import load

if TYPE_CHECKING:
    from mlflow.entities import Run

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "experiments"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "mlruns/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(STUDIES.rglob("*.md")),
]
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


# Generated parts.


def regenerate() -> Any:
    spec = importlib.util.spec_from_file_location("regenerate", ROOT / "docs/regenerate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_settings_page_is_that_of_the_code() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert page == regenerate().settings_page(), "run: python docs/regenerate.py settings"


def test_rules_page_is_that_of_the_code() -> None:
    page = (ROOT / "docs/reference/rules.md").read_text()
    assert page == regenerate().rules_page(), "run: python docs/regenerate.py rules"


def test_picture_is_that_of_the_published_runs() -> None:
    recorded = (ROOT / "docs/two-changes.svg").read_bytes()
    assert recorded == regenerate().picture(), "run: python docs/regenerate.py picture"


# Links.

LINK = re.compile(r"(?<!`)\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


@by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


PLACE = re.compile(r"`((?:src|conf|docs|tests|experiments|examples)/[\w./-]*)`")


@by_page
def test_every_place_that_is_named_is_there(page: Path) -> None:
    if page.name == "CHANGELOG.md":  # it also says what was
        return
    made_up = {"conf/experiment/mine.yaml", "conf/experiment/my_digits.yaml"}
    made_up |= {"experiments/explain-notes-book/", "experiments/my-sweep/"}
    made_up |= {"experiments/two-changes/index.html", "conf/experiment/repaired.yaml"}
    named = [name for name in PLACE.findall(page.read_text()) if not re.search("[A-Z]{2}", name)]
    assert [n for n in named if n not in made_up and not (ROOT / n).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    for page in sorted((ROOT / "docs").rglob("*.md")):
        if page.name != "README.md":
            assert f"({page.relative_to(ROOT / 'docs')})" in index


# Lists.


def test_every_library_has_its_reason() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split(r"[<>=]", line)[0] for line in declared]
    page = (ROOT / "docs/libraries.md").read_text()
    assert sorted(re.findall(r"^\| ([\w-]+) \| (?!reason)", page, re.MULTILINE)) == sorted(names)


@pytest.mark.parametrize(
    "name", sorted({*known_commands()} - {"train", "sweep"})
)  # theirs are Hydra's
def test_every_option_is_explained(name: str) -> None:
    page = (ROOT / "docs/reference/commands.md").read_text() + (
        ROOT / "docs/how-to/install.md"
    ).read_text()
    actions = import_module(f"sgdprobe.commands.{name}").parser()._actions
    options = [option for action in actions for option in action.option_strings]
    missing = [o for o in options if o.startswith("--") and not re.search(rf"{o}(?![\w-])", page)]
    assert missing == []


def test_every_recipe_has_its_question() -> None:
    recipes = {path.stem for path in (ROOT / "conf/experiment").glob("*.yaml")}
    page = (ROOT / "docs/reference/commands.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \| .*\?.*\|$", page, re.MULTILINE)) == recipes


def test_one_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert sgdprobe.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    latest = re.findall(
        r"^## (\S+) \((\d\S+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert latest[0][0] == version
    assert f"\ndate-released: {latest[0][1]}\n" in (ROOT / "CITATION.cff").read_text()


def test_runs_leave_the_working_tree_clean() -> None:
    """git ignores what appears in mlruns/, but for the page that says so."""
    places = ["mlruns/README.md", "mlruns/book/1/artifacts/numbers.json", "mlruns/reports/a.html"]
    places += ["mlruns/checkpoints/key", "mlflow.db", "mlflow.db-journal"]
    answer = subprocess.run(
        ["git", "check-ignore", "--no-index", *places], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.stdout.split() == places[1:]


def test_every_metric_tag_and_artifact_is_explained(
    recorded: "tuple[Answer, Run]", artifacts: "Callable[[Run], Path]"
) -> None:
    _, run = recorded
    page = (ROOT / "docs/reference/metrics-tags-artifacts.md").read_text()
    explained = set(re.findall(r"`([\w./…]+)`", page))
    names = {re.sub(r"_\d+$", "_k", name) for name in run.data.metrics}
    names |= {re.sub(r"^(preflight|course)\..*", r"\1.…", tag) for tag in run.data.tags}
    names |= {path.name for path in artifacts(run).iterdir()}
    # Names that MLflow gives by itself.
    names -= {"mlflow.runName", "mlflow.user", "mlflow.source.type"}
    assert sorted(names - explained) == []


# Commands.

BLOCK = re.compile(r"^ *```(?:console)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[str]:
    """All commands on a page: in blocks, and in the text between backquotes."""
    text = page.read_text()
    for block in BLOCK.findall(text):
        is_console = "$ " in block
        for line in block.splitlines():
            line = line.strip()
            if not is_console or line.startswith("$ "):
                yield line.removeprefix("$ ").partition("  #")[0].strip()
    for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)):
        if code.startswith(("python ", "make ", "mlflow ", "sgdprobe ")):
            yield code


STARTS = ("python", "make", "mlflow", "pip", "sgdprobe")
ALL = sorted(
    {line for page in PAGES for line in commands(page) if line.split(" ")[0].rstrip("3") in STARTS}
)


def test_make_knows_every_target() -> None:
    targets = [line.split()[1] for line in ALL if line.startswith("make ")]
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "sweep" in targets
    assert sorted(set(targets) - set(known)) == []


KINDS = [f"python src/{path.name}" for path in (ROOT / "src").glob("*.py")] + ["python src/NAME.py"]
KINDS += [f"sgdprobe {name}" for name in (*COMMANDS, "NAME", "COMMAND")]
KINDS += ["make ", "mlflow ", "python3 -m venv", "python -m pytest", "python -m http.server"]
KINDS += ["pip install -e .", "pip install sgdprobe-*.whl", "pip wheel --no-deps ."]
KINDS += [
    "python tests/benchmarks/",
    "python docs/regenerate.py",
    "python docs/site.py",
    "python docs/demo.py",
]
KINDS += [f"python examples/{name}_by_hand.py" for name in ("train", "gradients")]
KINDS += [
    f"python experiments/{study}/study.py"
    for study in ("coverage", "elsewhere", "faultbench", "preflight", "the-notes-reproduced")
]


def test_every_command_is_of_a_known_kind() -> None:
    assert [line for line in ALL if not line.startswith(tuple(KINDS))] == []


PLACEHOLDERS = {"RUN_ID": "last", "SWEEP": "last"}


def words_of(script: str) -> list[list[str]]:
    """The words of every documented command of a script, also as `sgdprobe NAME`."""
    lines = [line.replace("sgdprobe sweep", "sgdprobe train -m") for line in ALL if "…" not in line]
    lines = [re.sub(r"^sgdprobe (\w+)", r"python src/\1.py", line) for line in lines]
    found = [shlex.split(line) for line in lines if line.startswith(f"python src/{script}")]
    return [[PLACEHOLDERS.get(word, word) for word in words[2:]] for words in found]


@pytest.fixture(scope="module")
def conf_of_guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of conf/ with the recipes of docs/how-to/own-recipe.md, each named by its command."""
    conf = tmp_path_factory.mktemp("guide") / "conf"
    shutil.copytree(ROOT / "conf", conf)
    page = (ROOT / "docs/how-to/own-recipe.md").read_text()
    for text in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        name = re.findall(r"^#   python src/train.py (?:-m )?(\w+)$", text, re.MULTILINE)[0]
        (conf / "experiment" / f"{name}.yaml").write_text(text)
    (conf.parent / "own.py").write_text(own_file_of_guide())
    return conf


@pytest.fixture
def with_recipes_of_guide(conf_of_guide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (arguments, compose):
        monkeypatch.setattr(module, "CONF", conf_of_guide)
    monkeypatch.chdir(conf_of_guide.parent)


@pytest.mark.usefixtures("with_recipes_of_guide")
@pytest.mark.parametrize("words", words_of("train.py"), ids=shlex.join)
def test_every_training_command_is_accepted(words: list[str]) -> None:
    """All settings of all its runs: the recipes, the keys, the values."""
    overrides = [word for word in hydra_arguments(words, recipes()) if not word.startswith("-")]
    parsed = OverridesParser.create().parse_overrides(overrides)
    with open_composer() as composer:
        for job in BasicSweeper.split_arguments(parsed, None)[0]:
            composer.compose(job)


@pytest.mark.parametrize("words", words_of("ui.py"), ids=shlex.join)
def test_every_page_of_runs_is_accepted(words: list[str]) -> None:
    assert ui.parser().parse_args(words).port


@pytest.mark.usefixtures("with_recipes_of_guide")
@pytest.mark.parametrize("words", words_of("explain.py"), ids=shlex.join)
def test_every_comparison_is_accepted(words: list[str]) -> None:
    given = explain_options.parser().parse_args(words)
    explain_options.check_options(given)
    for baseline, target in compose_pairs(explain_options.recipe_pairs(given)):
        assert baseline != target


@pytest.mark.parametrize("words", words_of("diagnose.py"), ids=shlex.join)
def test_every_diagnosis_is_accepted(words: list[str]) -> None:
    given = diagnose.parser().parse_intermixed_args(words)
    diagnose.check_options(given)
    diagnose.compose(given.words)


@pytest.mark.parametrize("words", words_of("rerun.py"), ids=shlex.join)
def test_every_rerun_is_accepted(words: list[str]) -> None:
    given = rerun.parser().parse_args(words)
    assert "last" in (given.run, given.sweep)


GUIDES = [ROOT / "docs/tutorial.md", *sorted((ROOT / "docs/how-to").glob("*.md"))]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_every_command_that_trains_has_its_time(page: Path) -> None:
    """In its section, in words: "20 to 30 minutes"."""
    for section in re.split(r"^(?=#)", page.read_text(), flags=re.MULTILINE):
        prose = FENCE.sub("", section)
        trains = re.search(
            r"python src/(train|explain|diagnose|rerun)\.py", "".join(BLOCK.findall(section))
        )
        assert not trains or re.search(r"seconds?\b|minutes?\b|hours?\b", prose), section


@pytest.mark.parametrize("name", ["check", "compare", "demo", "predict", "report", "ui"])
def test_every_other_command_has_these_options(name: str) -> None:
    if name not in known_commands():
        pytest.skip(f"{name} is not there yet")
    for words in words_of(f"{name}.py"):
        import_module(f"sgdprobe.commands.{name}").parser().parse_intermixed_args(words)


# Commands with their outputs.

LESSONS = ROOT / "docs/how-to/teach-with-it.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


PAGES_WITH_OUTPUTS = (ROOT / "docs/tutorial.md", LESSONS, ROOT / "README.md")


def outputs_of(page: Path) -> dict[str, list[str]]:
    """The commands in the console blocks of a page, in order, and the lines that they print."""
    found: dict[str, list[str]] = {}
    for block in CONSOLE.findall(page.read_text()):
        command = ""
        for line in block.splitlines():
            if line.startswith("$ "):
                command = line[2:]
                found.setdefault(command, [])
            else:
                found[command].append(line)
    own = ("python examples/", "python src/check.py")  # tested below: they need all of MNIST
    return {line: lines for line, lines in found.items() if not line.startswith(own)}


def outputs() -> dict[str, list[str]]:
    """The same of all pages; a command that is on several has the lines of all."""
    found: dict[str, list[str]] = {}
    for page in PAGES_WITH_OUTPUTS:
        for line, lines in outputs_of(page).items():
            found[line] = [*found.get(line, []), *lines]
    return found


def shrunk(line: str) -> list[str]:
    """The script and the words of a command, in a form that takes a tenth of a second."""
    line = re.sub(r"(training.iterations)=\d+", r"\1=2", line).replace("hidden=[5]", "hidden=[1]")
    script, *words = shlex.split(line)[1:]
    if "-m" in words:
        two = r"(=[^,\[]+,[^,\[]+),.*"  # of each axis
        words = [re.sub(two, r"\1", word) for word in words]
        words += ["sweep=sequential"]
    if "explain" in script:
        words += ["--seeds", "2", "--fix", "sweep.backend=sequential"]
    return [script, *words]


@pytest.fixture(scope="module")
def answers(
    run_commands: Callable[..., list[Answer]], new_store: Callable[[], str]
) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for page in PAGES_WITH_OUTPUTS:
        store = new_store()
        for line in [line for line in outputs_of(page) if line not in found]:
            script, *words = shrunk(line)
            (found[line],) = run_commands([words], script=script, MLFLOW_TRACKING_URI=store)
    return found


def test_every_command_with_an_output_works(answers: dict[str, Answer]) -> None:
    failed = {line: a.stderr or a.stdout for line, a in answers.items() if a.returncode != 0}
    assert not failed, "\n\n".join(f"{line}\n{said}" for line, said in failed.items())


def form(line: str) -> str:
    """A line without its numbers, ids and places; the tests' data and store are their own."""
    line = re.sub(r"root: .*", "root: PLACE", line)
    line = re.sub(r"\S*/\S*/\S*", "PLACE", line)
    line = re.sub(r"\b[0-9a-f]{32}\b", "ID", line)
    return " ".join(re.sub(r"[\d.,:]*\d", "0", line).split())


def without_advice(lines: list[str]) -> list[str]:
    """The lines without a sentence and a command that depend on how the run ends."""
    at = [i for i, line in enumerate(lines) if line.startswith("still rising: ")]
    return [line for i, line in enumerate(lines) if i not in at and i - 1 not in at]


@pytest.mark.parametrize("line", outputs(), ids=str)
def test_outputs_have_the_form_of_today(line: str, answers: dict[str, Answer]) -> None:
    """Each printed line, but for numbers, is one that the shrunk command prints."""
    printed = {form(said) for said in (answers[line].stdout + answers[line].stderr).splitlines()}
    shown = {form(said) for said in without_advice(outputs()[line])} - {"", "…"}
    tables = "-m" in line or "explain" in line or "compare" in line  # rows depend on what was run
    if not tables:
        assert sorted(shown - printed) == [], "run: python docs/regenerate.py outputs"


def run_with_numpy_alone(program: str, argument: str) -> list[str]:
    """The lines that an example prints; it must import none of the heavy libraries."""
    code = (
        "import runpy, sys\n"
        f"sys.argv[1:] = ['{argument}']\n"
        f"runpy.run_path('examples/{program}', run_name='__main__')\n"
        "print({'hydra', 'joblib', 'matplotlib', 'mlflow', 'scipy'} & {*sys.modules})\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    *lines, heavy = answer.stdout.splitlines()
    assert (answer.returncode, heavy) == (0, "set()"), answer.stderr
    return lines


def test_the_first_page_of_a_learner_needs_numpy_alone() -> None:
    """examples/train_by_hand.py, with 60 updates instead of 3,000."""
    lines = run_with_numpy_alone("train_by_hand.py", "60")
    accuracies = re.findall(r"([\d.]+)% t", lines[-1])
    assert min(map(float, accuracies)) > 60, f"after 60 updates: {lines}"  # 10 is guessing


def test_both_gradients_of_the_first_lesson_agree() -> None:
    """examples/gradients_by_hand.py, with 1 hidden unit instead of 50, prints what the page has."""
    lines = run_with_numpy_alone("gradients_by_hand.py", "1")
    (largest,) = re.findall(r"largest difference (\S+)", "\n".join(lines))
    assert float(largest) < 1e-9, f"central differences and backprop differ by {largest}"
    (block,) = re.findall(
        r"\$ python examples/gradients.*\n((?:[^$].*\n)*)```", LESSONS.read_text()
    )
    assert [re.sub(r"[-+\d.e]+", "0", line) for line in block.splitlines()] == [
        re.sub(r"[-+\d.e]+", "0", line) for line in lines
    ]


def test_the_class_of_the_tutorial_passes_its_check() -> None:
    """And the page has what is printed."""
    line = "python src/check.py examples/two_layer_net.py:TwoLayerNet"
    assert line in ALL
    answer = subprocess.run(
        [sys.executable, *line.split()[1:]], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    printed = "\n".join(regenerate().shortened(answer.stdout.splitlines()))
    assert f"$ {line}\n{printed}\n```" in (ROOT / "docs/tutorial.md").read_text()


@pytest.mark.parametrize("words", words_of("check.py"), ids=shlex.join)
def test_every_check_is_accepted(words: list[str]) -> None:
    given = check.parser().parse_args(words)
    assert check.sizes(given.sizes)
    check.named(given.given)


@pytest.mark.parametrize("words", words_of("compare.py"), ids=shlex.join)
def test_every_comparison_of_runs_is_accepted(words: list[str]) -> None:
    assert compare_runs.parser().parse_args(words).second


def own_file_of_guide() -> str:
    """The file of docs/how-to/own-activation.md, as it is printed."""
    page = (ROOT / "docs/how-to/own-activation.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return str(code)


def test_the_loop_of_the_guide_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_store: Callable[[], str]
) -> None:
    """The program of docs/how-to/record-your-own-loop.md, as it is printed."""
    page = (ROOT / "docs/how-to/record-your-own-loop.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    uri = new_store()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    exec(code, {})  # noqa: S102
    (run,) = runs_in(uri)
    assert (run.info.status, run.data.params) == (
        "FINISHED", {"seed": "0", "training.learning_rate": "0.5"},
    )  # fmt: skip
    losses = [value for _, value in points_of(uri, run)["loss"]]
    assert len(losses) == 3
    assert losses[0] == pytest.approx(np.log(10), rel=0.1)


def test_own_data_as_the_guide_writes_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program of docs/how-to/own-data.md, as it is printed."""
    page = (ROOT / "docs/how-to/own-data.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    data = load("my-digits", str(tmp_path / "digits.npz"))
    assert np.array_equal(data.train_images, names["x_train"].reshape(600, 784))
    assert np.array_equal(data.test_labels, names["t_test"])
