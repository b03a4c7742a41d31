"""A killed run goes on from its checkpoint to the same bits; a bad checkpoint is set aside."""

import io
import json
import random
import signal
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import Process

from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.nn import OPTIMIZERS, EpochMetrics, TrainingState
from sgdprobe.provenance.environment import Environment
from sgdprobe.provenance.hashes import weights_hash
from sgdprobe.run.checkpoint import CheckpointWriter, restore
from sgdprobe.run.record import provenance
from sgdprobe.run.setup import TrainingSetup

if TYPE_CHECKING:
    from mlflow.entities import Run

# 50 images and batches of 16 are epochs of 4 updates; 10 updates are 4, 4 and 2.
UPDATES = 10
RUN_ID = "a" * 32


def setup_of(sampling: str = "permutation", optimizer: str = "momentum") -> TrainingSetup:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 12), dtype=np.uint8)
    labels = rng.integers(0, 3, 50).astype(np.uint8)
    training: dict[str, Any] = {"batch_size": 16, "iterations": UPDATES, "learning_rate": 0.05}
    training |= {"sampling": sampling, "optimizer": optimizer, "weight_decay": 0.01}
    settings = Settings.from_dict(
        {"network": {"hidden": [5]}, "init": {"scheme": "xavier", "scale": 1}, "training": training}
    )
    return TrainingSetup.of(settings, Dataset("tiny", images, labels, images, labels))


def facts_of(setup: TrainingSetup) -> dict[str, Any]:
    return provenance(setup.settings, setup.data, Environment())


class Killed(Exception):  # noqa: N818 (it stands for a signal)
    """What stops a run in these tests."""


def kill_at(setup: TrainingSetup, file: Path, at: int, **facts: Any) -> None:
    """Train with a checkpoint after each update, up to this one."""
    seen: list[EpochMetrics] = []
    writer = CheckpointWriter(file, RUN_ID, seen, facts_of(setup) | facts, interval=0.0)

    def on_update(state: TrainingState) -> None:
        writer.update(state)
        if state.updates == at:
            raise Killed

    with pytest.raises(Killed):
        seen.extend(hashed(setup, setup.train(on_update=on_update)))


def hashed(setup: TrainingSetup, epochs: Iterator[EpochMetrics]) -> Iterator[EpochMetrics]:
    for metrics in epochs:
        yield replace(metrics, weights=weights_hash(setup.network.params))


@pytest.mark.parametrize("sampling", ["with_replacement", "permutation"])
@pytest.mark.parametrize("at", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_run_goes_on_from_any_update_with_the_same_bits(
    name: str, sampling: str, at: int, tmp_path: Path
) -> None:
    whole = setup_of(sampling, name)
    expected = list(hashed(whole, whole.train()))
    file = tmp_path / "checkpoint"
    kill_at(setup_of(sampling, name), file, at)
    resumed = setup_of(sampling, name)
    checkpoint = restore(file, facts_of(resumed), resumed)
    assert checkpoint is not None
    assert checkpoint.state.updates == at
    found = checkpoint.epochs + list(hashed(resumed, resumed.train(checkpoint.state)))
    assert found == expected
    assert [m.losses.tolist() for m in found] == [m.losses.tolist() for m in expected]
    assert resumed.network.theta.tobytes() == whole.network.theta.tobytes()


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"blas": {"kernel": "Nehalem"}}, "BLAS kernel: recorded Nehalem, rerun "),
        ({"simd": ["X86_V2"]}, "NumPy's SIMD level: recorded [X86_V2], rerun ["),
        ({"numpy": "1.26.4"}, f"NumPy: recorded 1.26.4, rerun {np.__version__}"),
        ({"settings": {"seed": 7}}, "setting seed: recorded 7, rerun 0"),
    ],
)
def test_a_checkpoint_made_with_something_else_is_not_used(
    changed: dict[str, Any], cause: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup, file = setup_of(), tmp_path / "checkpoint"
    facts = facts_of(setup)
    for name, value in changed.items():
        facts[name] = facts[name] | value if isinstance(value, dict) else value
    kill_at(setup, file, 5, **facts)
    assert restore(file, facts_of(setup), setup) is None
    message = capsys.readouterr().err
    assert message.startswith(f"the checkpoint {file}.unused can't be used, so the run starts anew")
    assert cause in message
    assert message.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.unused"]


def test_another_system_on_the_same_processor_can_go_on(tmp_path: Path) -> None:
    setup, file = setup_of(), tmp_path / "checkpoint"
    kill_at(setup, file, 5, os="Linux 4.4", cores=96)
    assert restore(file, facts_of(setup), setup) is not None


def test_no_damage_to_its_bytes_goes_unnoticed_or_raises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """400 checkpoints with bytes overwritten, cut out, put in, or the end cut off."""
    rng, setup, file = random.Random(0), setup_of(), tmp_path / "checkpoint"  # noqa: S311
    kill_at(setup, file, 9)
    sound, facts = file.read_bytes(), facts_of(setup)
    theta = expected_theta(setup, file)
    for number in range(400):
        damaged, at = bytearray(sound), rng.randrange(len(sound))
        size = rng.choice((1, 1, 8, 100))
        match number % 4:
            case 0:
                damaged[at : at + size] = rng.randbytes(size)
            case 1:
                del damaged[at : at + size]
            case 2:
                damaged[at:at] = rng.randbytes(size)
            case 3:
                del damaged[at:]
        file.write_bytes(damaged)
        checkpoint = restore(file, facts, setup)
        if checkpoint is None:
            message = capsys.readouterr().err
            assert message.count("\n") == 1, message
            assert not file.exists()
        else:  # such as another date in the archive
            assert checkpoint.state.theta.tobytes() == theta.tobytes()
            assert len(checkpoint.epochs) == 2


def expected_theta(setup: TrainingSetup, file: Path) -> Any:
    checkpoint = restore(file, facts_of(setup), setup)
    assert checkpoint is not None
    return checkpoint.state.theta


STRANGE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    "",
    "x",
    [],
    {},
    [[]],
    {"a": 1},
    "\0",
    1e308,
)


def changed_fact(rng: random.Random, facts: dict[str, Any]) -> None:
    """Replace a value at random, at any depth, by a strange one, or delete it."""
    inside: Any = facts
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = rng.choice(keys)
        if not isinstance(inside[key], dict | list) or not inside[key] or rng.random() < 0.3:
            break
        inside = inside[key]
    if rng.random() < 0.2:
        del inside[key]
    else:
        inside[key] = rng.choice(STRANGE)


def test_a_well_formed_file_of_other_content_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """300 checkpoints with one array of another shape or type, or one strange fact.

    One that is taken up has to be a state from which the run comes to its end.
    """
    rng, file = random.Random(1), tmp_path / "checkpoint"  # noqa: S311
    setup = setup_of()
    kill_at(setup, file, 9)
    with np.load(file) as content:
        sound = dict(content)
    facts = facts_of(setup)
    taken_up = 0
    for number in range(300):
        arrays = dict(sound)
        if number % 3:
            changed = json.loads(str(arrays["facts"]))
            changed_fact(rng, changed)
            arrays["facts"] = np.array(json.dumps(changed))
        else:
            name = rng.choice(sorted(arrays))
            array = arrays.pop(name)
            numbers = array if array.dtype.kind == "f" else np.zeros(2)
            others = [
                np.full_like(numbers, np.nan),
                array[None],
                array.ravel()[:-1],
                np.zeros(3, int),
                np.array("x"),
                np.empty(0),
            ]
            others += [numbers.astype("S8"), numbers.astype(">f8"), np.zeros((0, 3))]
            arrays |= {name: rng.choice(others)} if rng.random() < 0.9 else {}
        with file.open("wb") as stream:
            np.savez(stream, **arrays)
        fresh = setup_of()
        checkpoint = restore(file, facts, fresh)
        message = capsys.readouterr().err
        if checkpoint is None:
            assert message.count("\n") == 1, message
            assert not file.exists()
        else:  # such as another hash of an epoch's symptom: nobody can know the right one
            taken_up += 1
            rest = list(fresh.train(checkpoint.state))
            assert [m.epoch for m in (*checkpoint.epochs, *rest)] == [1, 2, 3]
    assert 0 < taken_up < 100


def test_a_compressed_or_foreign_archive_is_set_aside(tmp_path: Path) -> None:
    setup = setup_of()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as content:
        content.writestr("facts.npy", b"x" * 1000)
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for content_ in (b"", archive.getvalue(), array.getvalue(), b"PK\5\6" + bytes(18)):
        file = tmp_path / "checkpoint"
        file.write_bytes(content_)
        assert restore(file, facts_of(setup), setup) is None
        assert not file.exists()


def test_a_disk_that_takes_no_checkpoint_is_said_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    writer = CheckpointWriter(tmp_path / "file" / "checkpoint", RUN_ID, [], {}, interval=0.0)
    state = TrainingState(1, 0, [2.3], np.random.default_rng(0).bit_generator.state, np.zeros(5))
    writer.update(state)
    writer.update(state)
    message = capsys.readouterr().err
    assert message.count("can't be written") == 1, message


def test_a_finished_run_leaves_no_draft_of_a_killed_process(tmp_path: Path) -> None:
    for name in ("aa11", "aa11.4711.new", "bb22.4711.new", "aa11.unused"):
        (tmp_path / name).touch()
    CheckpointWriter(tmp_path / "aa11", RUN_ID, [], {}).remove()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aa11.unused", "bb22.4711.new"]


def test_kill_9_of_a_numerical_run_and_the_same_command_again(
    project: Path,
    start: Callable[..., Process],
    new_store: Callable[[], str],
    runs: "Callable[[str], list[Run]]",
    artifacts: "Callable[[Run], Path]",
) -> None:
    store = new_store()

    def begin() -> Process:
        """Start a command that saves a checkpoint after every update."""
        return start(
            *("notes", "network.hidden=[2]", "training.gradient=numerical"),
            *("training.iterations=20", f"tracking.uri={store}"),
            SGDPROBE_CHECKPOINT_INTERVAL_S="0",
        )

    kept = project / "mlruns" / "checkpoints"
    before = set(kept.glob("*[!w]"))  # without the drafts, *.new
    process = begin()
    process.wait_until(lambda: set(kept.glob("*[!w]")) != before, "a checkpoint")
    process.send(signal.SIGKILL)
    process.wait()
    for what in ("goes on", "is whole, from the start"):
        assert begin().wait() == 0, what
    killed, resumed, whole = runs(store)
    statuses = [run.info.status for run in (killed, resumed, whole)]
    assert statuses == ["KILLED", "FINISHED", "FINISHED"]
    assert resumed.data.tags["continues"] == killed.info.run_id
    assert "continues" not in whole.data.tags
    assert resumed.data.metrics == whole.data.metrics
    for name in ("weights.npz", "losses.npz"):
        with np.load(artifacts(resumed) / name) as one, np.load(artifacts(whole) / name) as other:
            assert one.files == other.files
            for key in one.files:
                assert one[key].tobytes() == other[key].tobytes(), f"{name}: {key}"
    assert set(kept.glob("*")) == before, "a finished run leaves no checkpoint"
