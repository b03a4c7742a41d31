"""Make the store that `sgdprobe demo` unpacks, by a real run of the recipe `sweep`.

python docs/demo.py    src/sgdprobe/data/demo.zip; two minutes on two cores

All settings are the recipe's own. To keep the wheel small, only the best, the worst and the
recipes' runs keep all their artifacts; the others keep their settings, provenance and numbers.
"""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = ROOT / "src/sgdprobe/data/demo.zip"
LIGHT = ("settings.yaml", "provenance.json", "numbers.json", "diagnostics.json")
USER = "demo"


def main() -> int:
    """Run the sweep as an installed sgdprobe does, in a directory of its own, and pack it."""
    with tempfile.TemporaryDirectory() as name:
        site, folder = Path(name) / "site", Path(name) / "sgdprobe-demo"
        folder.mkdir()
        for package in ("sgdprobe", "hydra_plugins"):
            shutil.copytree(ROOT / "src" / package, site / package)
        sweep = [sys.executable, "-m", "sgdprobe", "sweep", "--json", *sys.argv[1:]]
        environment = os.environ | {"PYTHONPATH": str(site), "LOGNAME": USER, "USER": USER}
        environment.pop("MLFLOW_TRACKING_URI", None)
        done = subprocess.run(  # noqa: S603
            sweep, cwd=folder, env=environment, stdout=subprocess.PIPE
        )
        if done.returncode:
            return done.returncode
        answer = json.loads(done.stdout)
        lighten(folder, kept_runs(folder, answer))
        anonymize(folder)
        pack(folder, ARCHIVE)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size / 1e6:.2f} MB, {answer['done']} runs")
    return 0


def kept_runs(folder: Path, answer: dict[str, object]) -> set[str]:
    """Return the ids of the best run, the worst, and those that are recipes."""
    report = Path(str(answer["report"])).parent
    with (report / "cells.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["test_accuracy"] or 0))
    recipes = [row for row in rows if row.get("recipe")]
    shutil.rmtree(folder / "mlruns" / "reports")  # the demo writes its page when it is unpacked
    return {row["run_id"] for row in (rows[0], rows[-1], *recipes)}


def lighten(folder: Path, kept: set[str]) -> None:
    """Remove large artifacts of all runs but those that are kept."""
    for artifacts in (folder / "mlruns").glob("*/*/artifacts"):
        for path in [] if artifacts.parent.name in kept else artifacts.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in LIGHT:
                path.unlink()


def anonymize(folder: Path) -> None:
    """Remove the names of the machine and of its directories from the store."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        store.execute(
            "UPDATE tags SET value = ? WHERE key IN ('host', 'mlflow.user', 'boot_id')", (USER,)
        )
        store.execute("UPDATE experiments SET artifact_location = 'mlruns' WHERE name = 'Default'")
        store.commit()
        store.execute("VACUUM")
        text = "\n".join(store.iterdump())
    found = [name for name in (str(folder.parent), os.uname().nodename) if name in text]
    assert not found, f"the store names {found}"


def pack(folder: Path, archive: Path) -> None:
    """Write all files, in order and with one date, so that only their content counts."""
    with ZipFile(archive, "w", ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = ZipInfo(path.relative_to(folder).as_posix())
            name.compress_type = ZIP_DEFLATED
            name.external_attr = 0o644 << 16
            packed.writestr(name, path.read_bytes())


if __name__ == "__main__":
    raise SystemExit(main())
