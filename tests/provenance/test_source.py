"""Source hash: the files whose change can change a number are in a run's key."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sgdprobe.provenance import source
from sgdprobe.provenance.source import source_files, source_hash

PACKAGE = Path(__file__).parents[2] / "src" / "sgdprobe"


# Modules that a run uses, and whose change changes no number: they record, name, guard and warn.
OUTSIDE = {"errors", "paths", "provenance", "rules", "tracking"}


def test_every_module_that_a_run_uses_is_hashed_but_those_that_record() -> None:
    """Imports are followed from the composition of settings and from the job to the last one."""
    todo, used = {"config/compose.py", "run/job.py"}, set[str]()
    while todo:
        used.add(name := todo.pop())
        imports = re.findall(
            r"^ *from sgdprobe\.([\w.]+) import", (PACKAGE / name).read_text(), re.MULTILINE
        )
        paths = {PACKAGE.joinpath(*module.split(".")) for module in imports}
        files = {p / "__init__.py" if p.is_dir() else p.with_suffix(".py") for p in paths}
        todo |= {file.relative_to(PACKAGE).as_posix() for file in files} - used
    computing = {name for name in used if re.split(r"[./]", name)[0] not in OUTSIDE}
    assert computing >= {"nn/training.py", "data/idx.py", "run/build.py", "config/settings.py"}
    assert computing | {"provenance/environment.py"} <= set(source_files())
    training = (PACKAGE / "nn" / "training.py").read_bytes()
    assert source_files()["nn/training.py"] == hashlib.sha256(training).hexdigest()


def test_files_of_editors_and_the_ends_of_lines_make_no_other_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nn").mkdir()
    (tmp_path / "nn/layers.py").write_bytes(b"x = 1\n")
    monkeypatch.setattr(source, "PACKAGE", tmp_path)
    before = source_files.__wrapped__()
    assert before == {"nn/layers.py": hashlib.sha256(b"x = 1\n").hexdigest()}
    (tmp_path / "nn/.#layers.py").symlink_to("ann@host.1234:1700000000")  # Emacs's lock
    (tmp_path / "nn/._layers.py").write_bytes(b"\0\5\x16\7")  # macOS on another file system
    (tmp_path / "nn/layers.py").write_bytes(b"x = 1\r\n")  # core.autocrlf
    assert source_files.__wrapped__() == before


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
