"""What is killed goes on from its checkpoint and ends with the same bits."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import Process

from sgdprobe.nn import (
    OPTIMIZERS,
    EpochMetrics,
    Examples,
    Network,
    Optimizer,
    TrainingState,
    draw_params,
    train,
)
from sgdprobe.run.checkpoint import Checkpoint, CheckpointWriter, restore, save

if TYPE_CHECKING:
    from mlflow.entities import Run

# 50 images and batches of 16 are epochs of 4 updates; 10 updates are 4, 4 and 2.
UPDATES = 10


def begin(
    sampling: str,
    optimizer: Optimizer,
    start: TrainingState | None = None,
    on_update: Callable[[TrainingState], None] = lambda _: None,
) -> tuple[Network, Iterator[EpochMetrics]]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 12), dtype=np.uint8)
    examples = Examples(images, rng.integers(0, 3, 50))
    params = draw_params(rng, (12, 5, 3), scheme="xavier", scale=1.0, dtype="float32")
    network = Network(params)
    return network, train(
        network,
        examples,
        examples,
        np.random.default_rng(1),
        optimizer,
        batch_size=16,
        updates=UPDATES,
        sampling=sampling,
        start=start,
        on_update=on_update,
    )


class Killed(Exception):  # noqa: N818 (it stands for a signal)
    """What stops a run in these tests."""


@pytest.mark.parametrize("sampling", ["with_replacement", "permutation"])
@pytest.mark.parametrize("at", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_run_goes_on_from_any_update_with_the_same_bits(
    name: str, sampling: str, at: int, tmp_path: Path
) -> None:
    def optimizer() -> Optimizer:
        return OPTIMIZERS[name](0.05, weight_decay=0.01)

    whole, epochs = begin(sampling, optimizer())
    expected = list(epochs)
    file = tmp_path / "standing"
    seen: list[EpochMetrics] = []
    keep = CheckpointWriter(file, "a" * 32, seen, interval=0.0)

    def kill(checkpoint: TrainingState) -> None:
        keep.update(checkpoint)
        if checkpoint.updates == at:
            raise Killed

    _, epochs = begin(sampling, optimizer(), on_update=kill)
    with pytest.raises(Killed):
        seen.extend(epochs)
    standing = restore(file)
    assert standing is not None
    assert standing.state.updates == at
    resumed, rest = begin(sampling, optimizer(), start=standing.state)
    found = standing.epochs + list(rest)
    assert found == expected
    assert [m.losses.tolist() for m in found] == [m.losses.tolist() for m in expected]
    assert resumed.theta.tobytes() == whole.theta.tobytes()


def test_a_damaged_checkpoint_is_said_and_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "standing"
    state = np.random.default_rng(0).bit_generator.state
    save(file, Checkpoint("a" * 32, TrainingState(1, 0, [2.3], state, np.zeros(5)), []))
    assert restore(file) is not None
    file.write_bytes(file.read_bytes()[:100])
    assert restore(file) is None
    message = capsys.readouterr().err
    assert message.startswith(f"{file} can't be read, so the run starts from the"), message


def test_a_disk_that_takes_no_checkpoint_is_said_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    keep = CheckpointWriter(tmp_path / "file" / "standing", "a" * 32, [], interval=0.0)
    here = TrainingState(1, 0, [2.3], np.random.default_rng(0).bit_generator.state, np.zeros(5))
    keep.update(here)
    keep.update(here)
    message = capsys.readouterr().err
    assert message.count("can't be written") == 1, message


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
