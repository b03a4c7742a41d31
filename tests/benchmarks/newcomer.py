"""The path of a new user, from an installed wheel to a check of a class of their own, timed.

python tests/benchmarks/newcomer.py --python .venv/bin/python --out DIR
python tests/benchmarks/newcomer.py --python python3.12 --install --python python3.13 --install

Each step is typed as the documentation says, in one empty folder for each interpreter. Without
--install, sgdprobe must be installed from a wheel for it already.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from machine import ROOT
from rich.table import Table
from timings import console, write_csv

RECIPE = """# @package _global_
# Does the learner's program learn with small weights?
defaults:
  - notes
  - _self_
dtype: float32
init:
  scale: 0.01
"""
DATA = """
import numpy as np
rng = np.random.default_rng(0)
x, t = rng.integers(0, 256, (800, 28, 28), dtype=np.uint8), rng.integers(0, 10, 800, dtype=np.uint8)
np.savez("digits.npz", x_train=x[:600], t_train=t[:600], x_test=x[600:], t_test=t[600:])
"""
EXPLAIN = "explain notes book --fix dtype=float32 --factors init.scale,network.hidden --seeds 3"
STEPS = {
    "demo": "demo --no-ui",
    "sweep": "sweep",
    "explain": f"{EXPLAIN} --study two-changes",
    "own recipe": "train mine",
    "own data": "train book data.root=digits.npz data.name=my-digits training.iterations=600",
    "check own class": "check two_layer_net.py:TwoLayerNet",
}
PORT = 5077


def walk(python: str, install: bool) -> Iterator[tuple[str, str, float]]:
    """Yield what was typed in each step, under a name, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if install:
            started = time.perf_counter()
            python = _installed(python, folder)
            yield "install", "pip install sgdprobe-*.whl", time.perf_counter() - started
        place = folder / "empty"
        (place / "conf" / "experiment").mkdir(parents=True)
        (place / "conf" / "experiment" / "mine.yaml").write_text(RECIPE)
        shutil.copy(ROOT / "examples" / "two_layer_net.py", place)
        subprocess.run([python, "-c", DATA], cwd=place, check=True)
        for step, words in STEPS.items():
            started = time.perf_counter()
            command = [python, "-m", "sgdprobe", *words.split()]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{step}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
            yield step, f"sgdprobe {words}", time.perf_counter() - started
            if step == "sweep":
                yield "ui", "sgdprobe ui", _until_served(python, place)


def _installed(python: str, folder: Path) -> str:
    """Make an environment with the wheel of this clone; return its interpreter."""
    subprocess.run([python, "-m", "venv", folder / "env"], check=True)
    ours = str(folder / "env" / "bin" / "python")
    subprocess.run([ours, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    return ours


def _until_served(python: str, place: Path) -> float:
    """Seconds until `sgdprobe ui` answers; it is then ended as by Ctrl-C."""
    started = time.perf_counter()
    command = [python, "-m", "sgdprobe", "ui", "--port", str(PORT)]
    served = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5):
                    return time.perf_counter() - started
            except (URLError, OSError):
                assert served.poll() is None, "ui ended"
                time.sleep(0.1)
    finally:
        served.send_signal(signal.SIGINT)
        served.wait(60)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", action="append", default=[], help="may be given again")
    parser.add_argument("--install", action="store_true", help="in a new environment of its own")
    parser.add_argument("--out", type=Path, help="folder of the table")
    given = parser.parse_args(arguments)
    os.environ.pop("PYTHONPATH", None)
    rows: list[dict[str, Any]] = []
    for python in given.python or [sys.executable]:
        asked = [python, "-c", "import platform; print(platform.python_version())"]
        version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        for step, typed, seconds in walk(python, given.install):
            rows.append({"python": version, "step": step, "typed": typed, "seconds": seconds})
            console().print(f"{version}  {step}: {seconds:.1f} s")
    table = Table("step", *dict.fromkeys(row["python"] for row in rows))
    for step in dict.fromkeys(row["step"] for row in rows):
        table.add_row(step, *(f"{row['seconds']:.1f} s" for row in rows if row["step"] == step))
    console().print(table)
    if given.out:
        write_csv(given.out / "newcomer.csv", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
