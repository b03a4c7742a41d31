"""Source hash: the files whose change can change a number are in a run's key."""

import hashlib
import subprocess
import sys
from pathlib import Path

from sgdprobe.provenance.source import source_files, source_hash

PACKAGE = Path(__file__).parents[2] / "src" / "sgdprobe"


def test_every_file_of_nn_and_data_and_the_build_step_is_hashed() -> None:
    computing = {f"{f}/{file.name}" for f in ("nn", "data") for file in (PACKAGE / f).glob("*.py")}
    assert set(source_files()) == computing | {"run/build.py"}
    training = (PACKAGE / "nn" / "training.py").read_bytes()
    assert source_files()["nn/training.py"] == hashlib.sha256(training).hexdigest()


def test_the_hash_is_that_of_a_sha256sum_listing() -> None:
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(source_files().items()))
    assert source_hash() == hashlib.sha256(listing.encode()).hexdigest()


def test_a_key_needs_neither_mlflow_nor_hydra() -> None:
    program = (
        "import sys\n"
        "from sgdprobe.config.settings import Settings\n"
        "from sgdprobe.provenance.source import source_hash\n"
        "from sgdprobe.run.build import load_data\n"
        "settings = Settings()\n"
        "print(settings.key(load_data(settings).digest, source_hash()))\n"
        "print(sorted({'mlflow', 'hydra', 'omegaconf'} & set(sys.modules)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    key, imported = answer.stdout.splitlines()
    assert (len(key), imported) == (64, "[]")
