"""rerun.py: what is the same is found to be, what is not is found and explained."""

import json
import os
import platform
import re
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import Answer, Process, client_of, edit, git, path_of

from sgdprobe.commands.verdicts import verdict_lines
from sgdprobe.provenance.compare import NO_VERDICT, Verdict
from sgdprobe.provenance.environment import VARIABLES

if TYPE_CHECKING:
    from mlflow.entities import Run

RunCommands = Callable[..., list[Answer]]
Trained = tuple[list["Run"], list["Run"]]  # single runs, and those of sweeps

OPTIMIZER = "nn/optimizer.py"
# Appended to a copy of the optimizer: the same update, rounded otherwise.
OTHER_ROUNDING = """
def _update(self, theta, grad):
    theta[:] = (theta / 3 - self.learning_rate * grad / 3) * 3
SGD.update = _update
"""
# Appended likewise: half as much again is learned, by a function in a module that is new.
FASTER = """
from sgdprobe.nn.moved import moved
def _update(self, theta, grad):
    theta -= moved(self.learning_rate * grad)
SGD.update = _update
"""
TWO_THREADS = """
Environment.single_threaded_blas = lambda self: self._pools.limit(limits=2, user_api="blas")
"""
IMAGES = "train-images-idx3-ubyte"

# What an x86-64 processor of 2008 would choose.
OLD = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}
X86 = platform.machine() in ("x86_64", "AMD64") and sys.platform == "linux"
# Sessions of many commands run pinned: bits=avx2 then needs no process of its own.
PINNED = VARIABLES["avx2"] if X86 else {}

SINGLE = [
    ["notes"],
    ["seed=123456789012345678901234567890", f"bits={'avx2' if X86 else 'native'}"],
    ["training.sampling=permutation", "data.validation=100", "network.loss=mean_squared_error"],
    ["data.scale=standard", "training.epochs=2", "training.iterations=null"],
    ["training.gradient=numerical", "network.hidden=[2]", "training.iterations=2"],
    ["training.learning_rate=1e30", "training.batch_size=600", "network.activation=identity"],
]
DIVERGES = "training.learning_rate=1e30"
SWEEPS = {
    1: [
        "init=he,xavier",
        "training.sampling=with_replacement,permutation",
        "dtype=float32,float64",
    ],
    2: ["network.activation=relu,tanh,identity", "network.hidden=[],[30,20,10]"],
}


@pytest.fixture(scope="module")
def store(new_store: Callable[[], str]) -> str:
    return new_store()


@pytest.fixture(scope="module")
def trained(run_commands: RunCommands, store: str, runs: "Callable[[str], list[Run]]") -> Trained:
    """Six runs and two sweeps, of eight and of six, which make twenty, all in one store."""
    sweeps = [["-m", *words, f"sweep.n_jobs={n}"] for n, words in SWEEPS.items()]
    commands = [[*words, f"tracking.uri={store}"] for words in [*SINGLE, *sweeps]]
    for answer in run_commands(commands, **PINNED):
        assert answer.returncode == (DIVERGES in answer.args), answer
    found = runs(store)
    swept = [run for run in found if "sweep" in run.data.tags]
    return [run for run in found if "sweep" not in run.data.tags], swept


def words_of(answer: Answer) -> list[str]:
    return [word for word in answer.stdout.split() if word.rstrip(":") in VERDICTS]


VERDICTS = ("IDENTICAL", "CLOSE", "DIFFERENT")


def test_twenty_runs_of_different_settings_are_repeated_to_the_last_bit(
    trained: Trained,
    run_commands: RunCommands,
    store: str,
    runs: "Callable[[str], list[Run]]",
) -> None:
    single, sweeps = trained
    assert (len(single), len(sweeps)) == (6, 14)
    ids = list(dict.fromkeys(run.data.tags["sweep"] for run in sweeps))
    commands = [[run.info.run_id, "--uri", store] for run in single]
    commands += [
        ["--sweep", sweep, "--uri", store, "--n-jobs", str(n)]
        for sweep, n in zip(ids, (2, 1), strict=True)
    ]
    answers = run_commands(commands, script="src/rerun.py", **PINNED)
    for answer in answers[:6]:
        assert answer.returncode == 0, answer
        assert words_of(answer) == ["IDENTICAL:"], answer.stdout
    for answer, number in zip(answers[6:], (8, 6), strict=True):
        assert answer.returncode == 0, answer
        assert f"{number} IDENTICAL, 0 CLOSE, 0 DIFFERENT" in answer.stdout
    repeats = {run.data.tags["rerun_of"]: run for run in runs(store) if "rerun_of" in run.data.tags}
    for run in [*single, *sweeps]:
        repeat = repeats[run.info.run_id]
        assert repeat.data.metrics == run.data.metrics
        assert repeat.info.status == run.info.status
        assert repeat.data.tags["verdict"] == "IDENTICAL"
        assert repeat.data.tags.get("sweep") not in ids, "it would count as one of the sweep's"


def test_provenance_says_all_that_decides_the_numbers(
    trained: Trained, artifacts: "Callable[[Run], Path]", project: Path
) -> None:
    single, swept = trained
    deep = next(run for run in swept if run.data.params["network.hidden"] == "[30,20,10]")
    for run, hidden in ((single[0], [50, 100]), (deep, [30, 20, 10])):
        facts = json.loads((artifacts(run) / "provenance.json").read_text())
        assert facts["settings"]["network.hidden"] == hidden
        assert len(facts["data"]["files"]) == 4
        scale = facts["settings"]["data.scale"]
        assert facts["seen"]["factor"] == {"none": 1.0, "unit": 1 / 255}[scale]
        assert len(facts["data"]["digest"]) == 64
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
        assert set(facts["source"]["files"]) >= {"nn/training.py", "data/idx.py", "run/build.py"}
        numbers = json.loads((artifacts(run) / "numbers.json").read_text())
        assert len({e["weights"] for e in numbers["epochs"]} | {numbers["initial_weights"]}) > 3
        assert numbers["epochs"][-1]["loss"] == run.data.metrics["loss"]
        assert numbers["peak_memory_bytes"] > 1e7


@pytest.fixture(scope="module")
def copy(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Make another machine's copy of the project: without its conf/, its store, its history."""

    def make() -> Path:
        root = tmp_path_factory.mktemp("copy")
        shutil.copytree(project / "src", root / "src")
        return root

    return make


def append(file: Path, text: str) -> None:
    assert file.exists()
    with file.open("a") as stream:
        stream.write(text)


def causes(answer: Answer) -> list[str]:
    """The causes listed, the first one first."""
    lines = answer.stdout.partition("most likely first:\n")[2].splitlines()
    return [line.split(". ", 1)[1] for line in lines if line[:4].strip().rstrip(".").isdigit()]


@pytest.fixture(scope="module")
def reruns(
    trained: Trained,
    run_commands: RunCommands,
    copy: Callable[[], Path],
    digits: Path,
    artifacts: "Callable[[Run], Path]",
    store: str,
) -> dict[str, Answer]:
    """The reruns of one run with one change each, and of one run without any."""
    run, other = trained[0][2], trained[0][3]
    projects = {change: copy() for change in ("none", "code", "threads")}
    package = Path("src/sgdprobe")
    append(projects["code"] / package / OPTIMIZER, OTHER_ROUNDING)
    append(projects["threads"] / package / "provenance/environment.py", TWO_THREADS)
    moved = Path(shutil.copytree(digits, projects["none"] / "moved"))
    flipped = Path(shutil.copytree(digits, projects["none"] / "flipped"))
    images = bytearray((flipped / IMAGES).read_bytes())
    images[16 + 784 * 5 + 300] ^= 0x80
    (flipped / IMAGES).write_bytes(images)
    settings = artifacts(other) / "settings.yaml"
    edit(settings, "learning_rate: 0.1,", "learning_rate: 0.1001,")
    run_id, flipped_root = run.info.run_id, ["--data-root", str(flipped)]
    commands = {
        "moved data": ("none", [run_id, "--data-root", str(moved)]),
        "data, refused": ("none", [run_id, *flipped_root]),
        "data": ("none", [run_id, *flipped_root, "--changed-data"]),
        "setting": ("none", [other.info.run_id]),
        "code": ("code", [run_id]),
        "threads": ("threads", [run_id]),
    }
    answers = {}
    for name, (where, words) in commands.items():
        command = [*words, "--uri", store]
        (answers[name],) = run_commands(
            [command], script="src/rerun.py", root=projects[where], **PINNED
        )
    edit(settings, "learning_rate: 0.1001,", "learning_rate: 0.1,")
    accuracy = "UPDATE {} SET value = {} WHERE run_uuid = '{}' AND key = 'test_accuracy'"
    with closing(sqlite3.connect(path_of(store))) as database:
        for value in (0.99, run.data.metrics["test_accuracy"]):
            with database:
                database.execute(accuracy.format("latest_metrics", value, run_id))
            if value == 0.99:
                for name, script in (("store", "rerun"), ("report", "report")):
                    words = [[run_id, "--uri", store]]
                    (answers[name],) = run_commands(words, script=f"src/{script}.py", **PINNED)
    return answers


Reruns = dict[str, Answer]


def test_the_same_data_in_another_folder_changes_nothing(reruns: Reruns) -> None:
    answer = reruns["moved data"]
    assert (answer.returncode, words_of(answer)) == (0, ["IDENTICAL:"]), answer


def test_changed_data_is_refused_with_its_file_and_both_hashes(reruns: Reruns) -> None:
    refused = reruns["data, refused"]
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    pattern = rf"/flipped/{IMAGES} has the SHA-256 [0-9a-f]{{64}}, recorded is [0-9a-f]{{64}}\n$"
    assert re.search(pattern, refused.stderr), refused.stderr


def test_one_bit_of_the_data_is_found_and_blamed(reruns: Reruns) -> None:
    answer = reruns["data"]
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert causes(answer)[0].startswith("data: ")
    assert causes(answer)[1].startswith(f"data file {IMAGES}: ")


def test_one_setting_is_found_and_blamed(reruns: Reruns) -> None:
    answer = reruns["setting"]
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert causes(answer) == ["setting training.learning_rate: recorded 0.1, rerun 0.1001"]
    assert "training.learning_rate: settings.yaml has 0.1001, the store 0.1\n" in answer.stdout
    assert "first at epoch 1, loss: " in answer.stdout


def test_a_record_that_contradicts_itself_is_different_whatever_the_rerun_says(
    trained: Trained, reruns: Reruns
) -> None:
    accuracy = trained[0][2].data.metrics["test_accuracy"]
    contradiction = f"test_accuracy: the store's last value 0.99 is not {accuracy}"
    answer = reruns["store"]
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert f"DIFFERENT: the record contradicts itself\n  {contradiction}\n" in answer.stdout
    assert "\n  the rerun has what is in numbers.json: all " in answer.stdout
    report = reruns["report"]
    assert report.returncode == 0, report
    assert "1 of 1 records contradict themselves" in report.stderr
    assert contradiction in report.stderr


def test_a_rerun_of_a_killed_run_says_how_much_was_compared() -> None:
    killed = Verdict("IDENTICAL", 78, epochs=(7, 20))
    assert verdict_lines(killed) == [
        "IDENTICAL: as far as the run came, 7 of 20 epochs: all 78 numbers and hashes, to the last "
        "bit"
    ]
    assert verdict_lines(NO_VERDICT) == ["no verdict: the rerun has no complete record"]
    assert not NO_VERDICT.same


def test_the_order_of_operations_in_the_code_is_found_and_blamed(reruns: Reruns) -> None:
    answer = reruns["code"]
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert answer.stdout.startswith(f"the source differs from the record: {OPTIMIZER};")
    assert causes(answer)[0].startswith(f"source {OPTIMIZER}: ")
    assert len(causes(answer)) == 1


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core: BLAS has one thread anyhow")
def test_two_threads_are_found_and_blamed(reruns: Reruns) -> None:
    answer = reruns["threads"]
    assert (answer.returncode, words_of(answer)) == (1, ["DIFFERENT:"]), answer
    assert causes(answer)[0].startswith("source provenance/environment.py: ")
    assert causes(answer)[1:] == ["BLAS threads: recorded 1, rerun 2"]


@pytest.mark.skipif(not X86, reason="other kernels")
def test_another_kernel_is_close_and_named(
    trained: Trained, start: Callable[..., Process], copy: Callable[[], Path], store: str
) -> None:
    words = (trained[0][2].info.run_id, "--uri", store)
    answer = start(*words, script="src/rerun.py", root=copy(), **OLD).answer()
    assert (answer.returncode, words_of(answer)) == (0, ["CLOSE:"]), answer
    assert causes(answer)[0].startswith("BLAS kernel: ")
    assert causes(answer)[0].endswith("rerun Nehalem")
    assert causes(answer)[1].startswith("NumPy's SIMD level: ")
    assert "largest at epoch " in answer.stdout


@pytest.mark.skipif(not X86, reason="other kernels")
def test_pinned_bits_are_the_same_on_a_processor_that_would_choose_others(
    trained: Trained, start: Callable[..., Process], store: str
) -> None:
    run = trained[0][1]
    assert run.data.params["bits"] == "avx2"
    answer = start(run.info.run_id, "--uri", store, script="src/rerun.py", **OLD).answer()
    assert (answer.returncode, words_of(answer)) == (0, ["IDENTICAL:"]), answer


def test_bad_requests_are_refused_in_one_line_and_write_nothing(
    trained: Trained,
    run_commands: RunCommands,
    project: Path,
    store: str,
    runs: "Callable[[str], list[Run]]",
    artifacts: "Callable[[Run], Path]",
    digits: Path,
) -> None:
    from sgdprobe.provenance.processes import process_tags

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
    answers = run_commands(
        [[*words.split(), "--uri", store] for words in cases], script="src/rerun.py"
    )
    for answer, message in zip(answers, cases.values(), strict=True):
        assert (answer.returncode, answer.stdout) == (2, ""), answer
        assert answer.stderr.startswith(message), answer.stderr
        assert answer.stderr.count("\n") == 1
    assert len(runs(store)) == before


@pytest.fixture
def changed_clone(project: Path, tmp_path: Path) -> Path:
    """A clone of the project with a change that is not committed, and a file git doesn't know."""
    git(tmp_path, "clone", "-q", str(project), "clone")
    nn = tmp_path / "clone/src/sgdprobe/nn"
    append(nn.parent / OPTIMIZER, FASTER)
    (nn / "moved.py").write_text("def moved(step):\n    return step * 1.5\n")
    return tmp_path / "clone"


def test_the_recorded_source_is_rerun_and_leaves_nothing(
    changed_clone: Path,
    start: Callable[..., Process],
    environment: dict[str, str],
    store: str,
) -> None:
    first = start("seed=77", f"tracking.uri={store}", root=changed_clone).answer()
    assert first.returncode == 0, first
    git(changed_clone, "checkout", "-q", ".")
    git(changed_clone, "clean", "-qfd")
    words = ("last", "--at-recorded-commit", "--uri", store)
    answer = start(*words, script="src/rerun.py", root=changed_clone).answer()
    assert (answer.returncode, words_of(answer)) == (0, ["IDENTICAL:"]), answer
    assert "the source differs" not in answer.stdout
    ending = answer.stdout.rpartition("to compare: ")[2]
    assert ending.startswith(f"python src/ui.py --uri {store}, which opens\n"), answer.stdout
    assert "/worktree" not in answer.stdout, "it is removed"
    nothing_left(changed_clone, environment)


def nothing_left(root: Path, environment: dict[str, str]) -> None:
    assert git(root, "worktree", "list").count("\n") == 1
    assert not list(Path(environment["TMPDIR"]).glob("sgdprobe-*/"))
    assert git(root, "status", "--porcelain") == ""


def test_an_interrupted_rerun_of_recorded_source_leaves_nothing(
    trained: Trained,
    start: Callable[..., Process],
    project: Path,
    environment: dict[str, str],
    store: str,
) -> None:
    words = (trained[0][1].info.run_id, "--at-recorded-commit", "--uri", store)
    process = start(*words, script="src/rerun.py")
    worktrees = Path(environment["TMPDIR"])
    process.wait_until(
        lambda: any(worktrees.glob("sgdprobe-*/worktree/src/rerun.py")), "its worktree", every=0.01
    )
    process.send(signal.SIGINT)
    assert process.wait() == 128 + signal.SIGINT
    nothing_left(project, environment)
