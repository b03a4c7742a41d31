"""The benchmarks, each as a process in its shortest form: do they work? Not: are they fast?"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what five benchmarks wrote, and the picture of it."""
    folder = tmp_path_factory.mktemp("speed")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    for words in (
        ("bench.py", "--quick", "--only", "ours", "--only", "ours_all"),
        ("update.py", "--quick"),
        ("parts.py", "--quick"),
        ("numerical.py", "--quick"),
        ("recording.py", "--runs", "2", "--updates", "60"),
        ("figure.py",),
    ):
        command = [sys.executable, str(SCRIPTS / words[0]), *words[1:], "--out", str(folder)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{words[0]}\n{done.stdout}\n{done.stderr}"
        assert "Warning" not in done.stderr, f"{words[0]}\n{done.stderr}"
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_epoch_is_timed_with_its_evaluation(out: Path) -> None:
    turns = rows(out / "bench.csv")
    assert [(turn["contestant"], turn["turn"]) for turn in turns] == [
        ("ours", "1"),
        ("ours", "2"),
        ("ours_all", "1"),
        ("ours_all", "2"),
    ]
    for turn in turns:
        updating, evaluating = float(turn["updating_seconds"]), float(turn["evaluating_seconds"])
        assert updating > 0
        assert evaluating > 0
        assert float(turn["epoch_seconds"]) == pytest.approx(updating + evaluating)
    learned = [float(turn["test_accuracy"]) for turn in turns]
    assert learned[1] > 0.3, "after 120 updates it has begun to learn"
    assert learned[:2] == pytest.approx(learned[2:], abs=0.001), "dark pixels teach nothing"


def test_an_update_is_held_against_its_products_with_and_without_dark_pixels(out: Path) -> None:
    cases = rows(out / "update.csv")
    assert [(case["network"], case["leaves_out"]) for case in cases] == [
        ("784-50-100-10", "True"),
        ("784-50-100-10", "False"),
    ]
    for case in cases:
        least, median, greatest = (
            float(case[f"ratio_{name}"]) for name in ("least", "median", "greatest")
        )
        assert 0 < least <= median <= greatest


def test_every_part_of_an_update_takes_time(out: Path) -> None:
    # That they are the parts of the loop's own update is checked by parts.py: it compares weights.
    parts = {row["part"]: float(row["seconds_least"]) for row in rows(out / "parts.csv")}
    assert len(parts) == 8
    assert {"matrix products", "update of all weights", "one update"} <= set(parts)
    assert min(parts.values()) > 0
    assert parts["matrix products"] < parts["one update"]


def test_what_recording_takes_is_the_sum_of_its_writes_and_a_share_of_the_run(out: Path) -> None:
    writes = {row["what"]: float(row["seconds_median"]) for row in rows(out / "recording.csv")}
    whole, recorded = writes.pop("the whole run"), writes.pop("all that is recorded")
    assert {"begin, with settings and data set", "the metrics of all epochs", "end"} <= set(writes)
    assert min(writes.values()) > 0
    # The median of two runs is their mean, so that of the sum is the sum of the medians.
    assert sum(writes.values()) == pytest.approx(recorded)
    assert recorded < whole


def test_central_differences_are_scaled_up_to_all_weights(out: Path) -> None:
    *central, backprop = rows(out / "numerical.csv")
    assert [int(row["weights"]) for row in central] == [45_360, 45_360]
    for row in central:
        update, training = (float(row[f"{n}_seconds_median"]) for n in ("update", "training"))
        assert training == pytest.approx(10_000 * update)
    assert backprop["gradient"] == "sgdprobe, backprop"


@pytest.mark.parametrize("name", ["bench", "update", "parts", "numerical"])
def test_the_machine_is_named_beside_the_numbers(out: Path, name: str) -> None:
    machine = json.loads((out / f"{name}.json").read_text())["machine"]
    assert {"processor", "cores", "system", "python", "commit", "numpy"} <= set(machine)


def test_there_is_a_picture_of_an_epoch(out: Path) -> None:
    assert (out / "epoch.png").read_bytes().startswith(b"\x89PNG")
    assert not (out / "scaling.png").exists(), "scaling.py has not run"
