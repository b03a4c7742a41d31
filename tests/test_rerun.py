"""rerun.py: what is the same is found to be, what is not is found and explained."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

InTurn = Callable[..., list[CompletedProcess[str]]]
Rerun = Callable[..., CompletedProcess[str]]

SINGLE = [
    ["notes"],
    ["book"],
    ["book_relu", "network.hidden=[]"],
    ["seed=7", "network.activation=tanh", "network.hidden=[20,10]", "init=xavier"],
    ["seed=1", "network.activation=relu", "network.hidden=[30,20,10]", "init=he", "dtype=float64"],
    ["network.activation=identity", "training.sampling=permutation", "dtype=float64"],
    ["training.sampling=permutation", "data.validation=100", "network.loss=mean_squared_error"],
    ["data.scale=standard", "init=lecun", "training.batch_size=7"],
    ["data.scale=none", "training.epochs=2", "training.iterations=null"],
    ["training.gradient=numerical", "network.hidden=[2]", "training.iterations=2"],
    ["training.learning_rate=1e9", "data.scale=none", "network.activation=identity"],
    ["bits=native", "seed=123456789012345678901234567890"],
]
SWEEPS = {
    1: ["-m", "notes", "init.scale=1,0.1", "dtype=float32,float64", "sweep.n_jobs=1"],
    2: ["-m", "book_relu", "seed=1,2", "network.hidden=[50],[20,20]", "sweep.n_jobs=2"],
}


@pytest.fixture(scope="module")
def store(new_store: Callable[[], str]) -> str:
    return new_store()


@pytest.fixture(scope="module")
def trained(
    in_turn: InTurn, store: str, runs: "Callable[[str], list[Run]]"
) -> tuple[list["Run"], list["Run"]]:
    """Twelve runs and two sweeps of four, which make twenty, all in one store."""
    commands = [[*words, f"tracking.uri={store}"] for words in [*SINGLE, *SWEEPS.values()]]
    for answer in in_turn(commands):
        assert answer.returncode == ("learning_rate=1e9" in str(answer.args)), answer
    found = runs(store)
    sweeps = [run for run in found if "sweep" in run.data.tags]
    return [run for run in found if "sweep" not in run.data.tags], sweeps


def words_of(answer: CompletedProcess[str]) -> list[str]:
    return [word for word in answer.stdout.split() if word.rstrip(":") in VERDICTS]


VERDICTS = ("IDENTICAL", "CLOSE", "DIFFERENT")


def test_twenty_runs_of_different_settings_are_repeated_to_the_last_bit(
    trained: tuple[list["Run"], list["Run"]],
    in_turn: InTurn,
    store: str,
    runs: "Callable[[str], list[Run]]",
) -> None:
    single, sweeps = trained
    assert (len(single), len(sweeps)) == (12, 8)
    ids = list(dict.fromkeys(run.data.tags["sweep"] for run in sweeps))
    commands = [[run.info.run_id, "--uri", store] for run in single]
    commands += [
        ["--sweep", sweep, "--uri", store, "--n-jobs", str(n)]
        for sweep, n in zip(ids, (2, 1), strict=True)
    ]
    answers = in_turn(commands, door="rerun.py")
    for answer in answers[:12]:
        assert answer.returncode == 0, answer
        assert words_of(answer) == ["IDENTICAL:"], answer.stdout
    for answer in answers[12:]:
        assert answer.returncode == 0, answer
        assert "4 IDENTICAL, 0 CLOSE, 0 DIFFERENT" in answer.stdout
    repeats = {run.data.tags["rerun_of"]: run for run in runs(store) if "rerun_of" in run.data.tags}
    for run in [*single, *sweeps]:
        repeat = repeats[run.info.run_id]
        assert repeat.data.metrics == run.data.metrics
        assert repeat.info.status == run.info.status
        assert repeat.data.tags["verdict"] == "IDENTICAL"
        assert repeat.data.tags.get("sweep") not in ids, "it would count as one of the sweep's"


def test_provenance_says_all_that_decides_the_numbers(
    trained: tuple[list["Run"], list["Run"]], artifacts: "Callable[[Run], Path]", project: Path
) -> None:
    for run in (trained[0][0], trained[1][-1]):
        facts = json.loads((artifacts(run) / "provenance.json").read_text())
        assert facts["settings"]["network.hidden"]
        assert len(facts["data"]["files"]) == 4
        assert facts["data"]["digest"] != facts["seen"]["digest"]
        assert facts["streams"]["batches"]["spawn_key"] == [1]
        assert facts["blas"]["threads"] == 1
        assert facts["git"] == {
            "commit": run.data.tags["mlflow.source.git.commit"],
            "dirty": "false",
        }
        assert facts["command"].startswith("python ")
        assert "train.py" in facts["command"]
        assert facts["packages"]["mlflow"]
        for name in ("numpy", "python", "processor", "os", "libc", "simd", "lock"):
            assert name in facts
        assert set(facts["source"]["files"]) >= {"nn/training.py", "data/idx.py", "assembly.py"}
        numbers = json.loads((artifacts(run) / "numbers.json").read_text())
        assert len({e["weights"] for e in numbers["epochs"]} | {numbers["initial_weights"]}) > 3
        assert numbers["epochs"][-1]["loss"] == run.data.metrics["loss"]
        assert numbers["peak_memory_bytes"] > 1e7


@pytest.fixture
def other(project: Path, tmp_path: Path) -> Path:
    """Another machine's copy of the project: without its conf/, its store and its history."""
    shutil.copytree(project / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def rerun(elsewhere: Path, environment: dict[str, str], store: str) -> Rerun:
    """Run `python src/rerun.py …` of a copy of the project in a process of its own."""

    def run(project: Path, *words: str, **variables: str) -> CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(project / "src" / "rerun.py"), *words, "--uri", store],
            cwd=elsewhere,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new))


def causes(answer: CompletedProcess[str]) -> list[str]:
    """The causes listed, the first one first."""
    lines = answer.stdout.partition("most likely first:\n")[2].splitlines()
    return [line.split(". ", 1)[1] for line in lines if line[:4].strip().rstrip(".").isdigit()]


def test_one_bit_of_the_data(
    trained: tuple[list["Run"], list["Run"]],
    rerun: Rerun,
    other: Path,
    digits: Path,
    store: str,
    runs: "Callable[[str], list[Run]]",
) -> None:
    run = trained[0][1]
    folder = Path(shutil.copytree(digits, other / "digits"))
    words = (run.info.run_id, "--data-root", str(folder))
    assert words_of(rerun(other, *words)) == ["IDENTICAL:"], "the same data in another place"
    file = folder / "train-images-idx3-ubyte"
    content = bytearray(file.read_bytes())
    content[16 + 784 * 5 + 300] ^= 0x80
    file.write_bytes(content)
    before = len(runs(store))
    refused = rerun(other, *words)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert f"{file} has the SHA-256" in refused.stderr
    assert len([word for word in refused.stderr.replace(";", " ").split() if len(word) == 64]) == 2
    assert len(runs(store)) == before, "nothing is written"
    answer = rerun(other, *words, "--changed-data")
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert causes(answer)[0].startswith("data: "), answer.stdout
    assert causes(answer)[1].startswith("data file train-images-idx3-ubyte: ")


def test_one_setting(
    trained: tuple[list["Run"], list["Run"]],
    rerun: Rerun,
    other: Path,
    artifacts: "Callable[[Run], Path]",
) -> None:
    settings = artifacts(trained[0][1]) / "settings.yaml"
    text = settings.read_text()
    try:
        edit(settings, "learning_rate: 0.1,", "learning_rate: 0.1001,")
        answer = rerun(other, trained[0][1].info.run_id)
    finally:
        settings.write_text(text)
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert causes(answer) == ["setting training.learning_rate: 0.1 recorded, 0.1001 repeated"]
    assert "first at epoch 1, loss: 2." in answer.stdout


def test_the_order_of_operations_in_the_code(
    trained: tuple[list["Run"], list["Run"]], rerun: Rerun, other: Path
) -> None:
    edit(
        other / "src/sgdprobe/nn/training.py",
        "grad *= rate\n            network.theta -= grad",
        "network.theta[:] = (network.theta / rate - grad) * rate",
    )
    answer = rerun(other, trained[0][1].info.run_id)
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert answer.stdout.startswith("the source differs from the record: nn/training.py;")
    assert causes(answer)[0].startswith("source nn/training.py: ")
    assert len(causes(answer)) == 1


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core: BLAS has one thread anyhow")
def test_two_threads(trained: tuple[list["Run"], list["Run"]], rerun: Rerun, other: Path) -> None:
    edit(other / "src/sgdprobe/machine.py", "limits=1", "limits=2")
    answer = rerun(other, trained[0][1].info.run_id)
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert causes(answer) == ["BLAS threads: 1 recorded, 2 repeated"]


# What an x86-64 processor of 2008 would choose.
OLD = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}
X86 = platform.machine() in ("x86_64", "AMD64") and sys.platform == "linux"


@pytest.mark.skipif(not X86, reason="other kernels")
def test_another_kernel_is_close_and_named(
    trained: tuple[list["Run"], list["Run"]], rerun: Rerun, other: Path
) -> None:
    answer = rerun(other, trained[0][1].info.run_id, **OLD)
    assert (answer.returncode, words_of(answer)) == (0, ["CLOSE:"]), answer
    assert causes(answer)[0].startswith("BLAS kernel: ")
    assert causes(answer)[0].endswith("Nehalem repeated")
    assert causes(answer)[1].startswith("NumPy's SIMD level: ")
    assert "largest at epoch " in answer.stdout


@pytest.mark.skipif(not X86, reason="other kernels")
def test_pinned_bits_are_the_same_on_a_processor_that_would_choose_others(
    train: Callable[..., CompletedProcess[str]], rerun: Rerun, other: Path, store: str
) -> None:
    assert train("bits=avx2", f"tracking.uri={store}", **OLD).returncode == 0
    answer = rerun(other, "last")
    assert (answer.returncode, words_of(answer)) == (0, ["IDENTICAL:"]), answer


def test_bad_requests_are_refused_in_one_line_and_write_nothing(
    trained: tuple[list["Run"], list["Run"]],
    in_turn: InTurn,
    store: str,
    runs: "Callable[[str], list[Run]]",
    artifacts: "Callable[[Run], Path]",
    digits: Path,
) -> None:
    from sgdprobe.tracking.processes import process_tags

    run = trained[0][0]
    client = client_of(store)
    experiment = run.info.experiment_id
    ours = {"source_hash": "x", **process_tags()}
    foreign = client.create_run(experiment, run_name="foreign").info.run_id
    client.set_terminated(foreign)
    running = client.create_run(experiment, run_name="running", tags=ours).info.run_id
    bare = client.create_run(experiment, run_name="bare", tags=ours).info.run_id
    client.set_terminated(bare)
    mistyped = run.info.run_id[:8] + "g" + run.info.run_id[9:]
    cases = {
        mistyped: f"{mistyped}: no such run; the nearest are {run.info.run_id[:12]} (",
        foreign: f"{foreign} (foreign) was not recorded by sgdprobe",
        running: f"{running} is still running",
        bare: f"{bare} (bare) has no settings.yaml, no provenance.json, no numbers.json in ",
        "--sweep=nosuch": "nosuch: no such sweep; the nearest are 20",
        "--sweep=last --sample=0": "--sample must be an integer of at least 1, or null; got 0",
    }
    before = len(runs(store))
    answers = in_turn([[*words.split(), "--uri", store] for words in cases], door="rerun.py")
    for answer, message in zip(answers, cases.values(), strict=True):
        assert (answer.returncode, answer.stdout) == (2, ""), answer
        assert answer.stderr.startswith(message), answer.stderr
        assert answer.stderr.count("\n") == 1
    assert len(runs(store)) == before


def client_of(uri: str) -> "MlflowClient":
    from sgdprobe.tracking import Store

    return Store(uri, experiment="any", experiment_id="0").client()


@pytest.fixture
def changed(project: Path, tmp_path: Path) -> Path:
    """A clone of the project with a change that is not committed, and a file git doesn't know."""
    root = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(project), str(root)], check=True)
    edit(
        root / "src/sgdprobe/nn/training.py",
        "grad *= rate\n            network.theta -= grad",
        "network.theta -= moved(grad, rate)",
    )
    (root / "src/sgdprobe/nn/moved.py").write_text(
        "def moved(grad, rate):\n    return grad * (rate * 1.5)\n"
    )
    edit(
        root / "src/sgdprobe/nn/training.py",
        "from sgdprobe.nn.network import Network\n",
        "from sgdprobe.nn.moved import moved\nfrom sgdprobe.nn.network import Network\n",
    )
    return root


def test_the_recorded_source_is_repeated_and_leaves_nothing(
    changed: Path,
    rerun: Rerun,
    elsewhere: Path,
    environment: dict[str, str],
    store: str,
) -> None:
    git = ["git", "-C", str(changed)]
    door = [sys.executable, str(changed / "src" / "train.py"), "seed=77", f"tracking.uri={store}"]
    subprocess.run(door, cwd=elsewhere, env=environment, check=True, stdout=subprocess.DEVNULL)
    for words in (["checkout", "-q", "."], ["clean", "-qfd"]):
        subprocess.run([*git, *words], check=True)
    answer = rerun(changed, "last", "--at-recorded-commit")
    assert (answer.returncode, words_of(answer)) == (0, ["IDENTICAL:"]), answer
    assert "the source differs" not in answer.stdout
    nothing_left(changed, environment)
    answer = rerun(changed, "last")
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert answer.stdout.startswith(
        "the source differs from the record: nn/moved.py, nn/training.py;"
    )


def nothing_left(root: Path, environment: dict[str, str]) -> None:
    git = ["git", "-C", str(root)]
    listed = subprocess.run([*git, "worktree", "list"], check=True, capture_output=True, text=True)
    assert listed.stdout.count("\n") == 1, listed.stdout
    assert not list(Path(environment["TMPDIR"]).glob("sgdprobe-*/"))
    status = subprocess.run([*git, "status", "--porcelain"], check=True, capture_output=True)
    assert status.stdout == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_repeat_of_recorded_source_leaves_nothing(
    number: signal.Signals,
    trained: tuple[list["Run"], list["Run"]],
    project: Path,
    environment: dict[str, str],
    store: str,
) -> None:
    door = str(project / "src" / "rerun.py")
    process = subprocess.Popen(
        [sys.executable, door, trained[0][1].info.run_id, "--at-recorded-commit", "--uri", store],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list(Path(environment["TMPDIR"]).glob("sgdprobe-*/worktree/src/rerun.py")):
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    nothing_left(project, environment)
