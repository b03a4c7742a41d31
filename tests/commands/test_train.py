"""`python src/train.py`: what it refuses, in one line and with nothing written; where runs land."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support import Answer, Process

# What a person types after `python src/train.py`, and what must be in the answer. The training
# set of these tests has 600 images; DAMAGED stands for a folder with one file cut short.
REFUSED = {
    # Types, ranges, choices: one setting for each kind of check.
    "seed=1.5": "seed must be an integer of at least 0; got 1.5",
    "seed=": "seed must be an integer of at least 0",
    "'seed={a: 1}'": "seed must be an integer of at least 0",
    "tracking.uri=5": "tracking.uri must be an MLflow tracking URI such as ",
    "network.hidden=5": "network.hidden must be a list of integers of at least 1",
    "seed=-1": "seed must be an integer of at least 0; got -1",
    "init.scale=nan": "init.scale must be a finite number of at least 0; got nan",
    "init.scale=1e400": "init.scale must be a finite number of at least 0; got inf",
    "training.learning_rate=0": "training.learning_rate must be a finite number above 0; got 0",
    "training.batch_size=601": "at most 600, the number of training images; got 601",
    "data.validation=600": "data.validation must be less than 600",
    "network.hidden=[0]": "such as [50,100] or []; got [0]",
    "sweep.n_jobs=0": "sweep.n_jobs must be an integer other than 0",
    "dtype=float16": "dtype must be one of float32, float64; got float16",
    "network.activation=gelu": "identity, or FILE.py:NAME; got gelu",
    "sweep.backend=threads": "sweep.backend must be one of",
    "network=wide": "Available options in 'network': deep linear shallow",
    "experiment=missing": "Could not find 'experiment/missing'",
    # Unknown words, keys, options.
    "note": "note: no such recipe; there are best, book",
    "''": "no such recipe; there are best, book",
    "foo=1": "foo=1: no such setting; there are seed, dtype, bits, data, network",
    "+foo=1": "foo=1: no such setting",
    "network.foo=1": "network.foo=1: no such setting; there are network.hidden",
    "--learning-rate=1": "--learning-rate: no such option; --help lists them",
    "-x": "-x: no such option",
    "hydra.foo=1": "hydra.foo",
    # Contradictions, and what can't be done.
    "training.epochs=3": "got training.iterations=12 and training.epochs=3",
    "data.root=null data.name=cifar": "data.name must be mnist while data.root is null; got cifar",
    "~seed": "a setting cannot be removed",
    "~network": "a setting cannot be removed",
    "network=5": "network must be one of deep, linear, shallow; got 5",
    "notes book": "experiment=notes and experiment=book cannot be combined",
    "seed=1,2": "seed=1,2: several values are a sweep, which needs -m; a list is [a,b]",
    "'init.scale=${nothing}'": "nothing",
    "-m --cfg job": "--multirun and --cfg cannot be combined; choose one",
    "--cfg": "--cfg/-c: expected one argument",
    "--cfg foo": "invalid choice: 'foo' (choose from",
    "--resolve": "--resolve",
    "-cn missing": "missing",
    # Hydra's grammar.
    "seed=[1": "seed=[1: not KEY=VALUE in Hydra's grammar",
    "--cfg=job seed=1=2": "seed=1=2: not KEY=VALUE",
    "-m notes seed=1,": "seed=1,",
    # Data and store.
    "data.root=/nowhere": "data.root /nowhere is not a folder",
    "data.root=DAMAGED": "train-labels-idx1-ubyte has 92 bytes of values; its header says 600",
    "tracking.uri=nowhere://x": "nowhere://x can't be used",
    # Sweeps, in which one of many values is wrong: no run is begun.
    "-m notes init.scale=1,-1": "init.scale must be a finite number of at least 0; got -1",
    "-m notes training.batch_size=100,601": "at most 600, the number of training images",
    "-m notes training.epochs=null,3": "got training.iterations=12 and training.epochs=3",
    "-m notes +foo=1,2": "no such setting",
    "-m experiment=notes,missing": "Could not find 'experiment/missing'",
    "-m notes tracking.uri=a,b": "tracking.uri must be the same in all runs of a sweep; got a, b",
    "-m notes sweep.n_jobs=1,2": "sweep.n_jobs must be the same in all runs of a sweep; got 1, 2",
    "-m notes data.root=/nowhere,null": "data.root /nowhere is not a folder",
    "-m notes 'seed=range(5,5)'": "seed=range(5,5): no values",
}

# One of every kind, typed once more, each in an interpreter of its own.
FOR_REAL = [
    "seed=-1",
    "network.activation=gelu",
    "experiment=missing",
    "seed=1,2",
    "data.root=DAMAGED",
    "-m notes init.scale=1,-1",
    "-m notes tracking.uri=a,b",
]

Answers = Mapping[str, Answer]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """The digits without the last 508 labels."""
    folder = tmp_path_factory.mktemp("damaged")
    for file in digits.iterdir():
        kept = 100 if file.name.startswith("train-labels") else None
        (folder / file.name).write_bytes(file.read_bytes()[:kept])
    return folder


def words(typed: str, damaged: Path) -> list[str]:
    return shlex.split(typed.replace("DAMAGED", str(damaged)))


@pytest.fixture(scope="module")
def answers(run_commands: Callable[..., list[Answer]], damaged: Path) -> Answers:
    """The answer to every row. The store can't be used: what is not refused fails there."""
    commands = [words(typed, damaged) for typed in REFUSED]
    found = run_commands(commands, MLFLOW_TRACKING_URI="refused://by-the-test")
    return dict(zip(REFUSED, found, strict=True))


@pytest.mark.parametrize("typed", REFUSED)
def test_refused_in_one_line(answers: Answers, typed: str) -> None:
    answer = answers[typed]
    assert REFUSED[typed] in answer.stderr
    assert answer.stderr.count("\n") == 1, answer.stderr
    assert answer.returncode == 2
    assert answer.stdout == ""


def files(*folders: Path) -> set[tuple[str, int]]:
    """Every file below, with the time of its last change."""
    return {
        (str(path), path.stat().st_mtime_ns)
        for folder in folders
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def typed_for_real(
    start: Callable[..., Process],
    project: Path,
    damaged: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Answers, set[tuple[str, int]]]:
    """The answers of new interpreters, and the files that changed meanwhile."""
    cwd, temporary = tmp_path_factory.mktemp("cwd"), tmp_path_factory.mktemp("temporary")
    before = files(project, cwd, temporary)
    started = {
        typed: start(*words(typed, damaged), new_interpreter=True, cwd=cwd, TMPDIR=str(temporary))
        for typed in FOR_REAL
    }
    found = {typed: process.answer() for typed, process in started.items()}
    return found, files(project, cwd, temporary) ^ before


@pytest.mark.parametrize("typed", FOR_REAL)
def test_a_new_interpreter_answers_the_same(
    typed_for_real: tuple[Answers, object], answers: Answers, typed: str
) -> None:
    real, forked = typed_for_real[0][typed], answers[typed]
    assert (real.returncode, real.stdout, real.stderr) == (2, "", forked.stderr)
    assert REFUSED[typed] in real.stderr


def test_a_refusal_writes_nothing(typed_for_real: tuple[Answers, set[tuple[str, int]]]) -> None:
    found, changed = typed_for_real
    assert len(found) == len(FOR_REAL)
    assert changed == set()


def test_runs_land_at_the_projects_root_from_anywhere(
    recorded: tuple[Answer, object], project: Path, other_cwd: Path
) -> None:
    answer, _ = recorded
    assert answer.returncode == 0
    assert (project / "mlflow.db").is_file()
    assert [*(project / "mlruns").rglob("weights.npz")]
    assert [*other_cwd.iterdir()] == [], "written where the command was typed"
    written = {path.name for path in project.iterdir()} - {".git", ".gitignore", "src", "conf"}
    assert written == {"mlflow.db", "mlruns"}
