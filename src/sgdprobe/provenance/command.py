"""Where a run comes from: its command line, its commit, what is not committed, the packages."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sgdprobe.paths import PROJECT_ROOT as ROOT
from sgdprobe.provenance.redact import redact

# What is recorded of uncommitted changes: the program. Notes and keys may lie beside it.
TRACKED_PATHS = ("src", "conf", "pyproject.toml", "requirements.txt")


LOCKS = ("requirements.txt", "requirements-test.txt")


@cache
def provenance_tags() -> dict[str, str]:
    """Commit, whether the tree was dirty, and the command line, as MLflow tags."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    tags = {
        "mlflow.source.name": redact(shlex.join(["python", *sys.argv])),
        "mlflow.source.type": "LOCAL",
        "git_dirty": "unknown" if changes is None else str(bool(changes)).lower(),
    }
    return tags | ({"mlflow.source.git.commit": commit.strip()} if commit else {})


@cache
def origin() -> dict[str, Any]:
    """What a command's runs have in common: asked once, by the process that was typed.

    `diff` is what `git apply` turns the commit into the program with; new files are in it.
    """
    tags = provenance_tags()
    dirty = tags["git_dirty"]
    return {
        "command": tags["mlflow.source.name"],
        "git": {"commit": tags.get("mlflow.source.git.commit"), "dirty": dirty},
        "diff": redact(_uncommitted()) if dirty == "true" else "",
        "lock": {name: _sha256(ROOT / name) for name in LOCKS if (ROOT / name).exists()},
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    """Name and version of what is installed, from the names of folders.

    importlib.metadata reads and parses a file for each, which takes a quarter of a second.
    """
    folders = [found for entry in sys.path for found in Path(entry).glob("*.dist-info")]
    pairs = (folder.stem.rpartition("-") for folder in folders)
    return dict(sorted((name, version) for name, _, version in pairs))


def _uncommitted() -> str:
    """The program's difference from its commit, files that git does not know yet included.

    Such files are added to a copy of git's index, not to the index.
    """
    index = _git("rev-parse", "--path-format=absolute", "--git-path", "index")
    if index is None:
        return ""
    paths = [name for name in TRACKED_PATHS if (ROOT / name).exists()]
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(index.strip(), folder)
        _git("add", "--intent-to-add", "--", *paths, index=copy)
        options = ("--binary", "--no-ext-diff", "--no-textconv", "--no-color")
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
        return _git("diff", *options, *prefixes, "HEAD", "--", *TRACKED_PATHS, index=copy) or ""


def _git(*arguments: str, index: str | None = None) -> str | None:
    """What git says about the project, or None where there is no git or no repository."""
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(ROOT), *arguments],  # noqa: S607
            capture_output=True,
            check=True,
            timeout=10,
            env=os.environ | ({"GIT_INDEX_FILE": index} if index else {}),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.decode(errors="replace")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
