"""Provenance of a command: its words, the commit, uncommitted changes, installed packages."""

import hashlib
import shlex
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sgdprobe.errors import UserError
from sgdprobe.paths import PROJECT_ROOT
from sgdprobe.provenance.git import git

# Uncommitted changes are recorded of the program only: notes and keys may lie beside it.
TRACKED_PATHS = ("src", "conf", "pyproject.toml", "requirements.txt")
LOCKS = ("requirements.txt", "requirements-test.txt")


@cache
def provenance_tags() -> dict[str, str]:
    """Return MLflow tags: the commit, whether the tree was dirty, the command line."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    tags = {
        "mlflow.source.name": shlex.join(["python", *sys.argv]),
        "mlflow.source.type": "LOCAL",
        "git_dirty": "unknown" if changes is None else str(bool(changes)).lower(),
    }
    return tags | ({"mlflow.source.git.commit": commit.strip()} if commit else {})


@cache
def command_provenance() -> dict[str, Any]:
    """Return what all runs of a command share; call it in the process that was typed.

    `diff` turns the commit into the program by `git apply`; new files are in it.
    """
    tags = provenance_tags()
    dirty = tags["git_dirty"]
    return {
        "command": tags["mlflow.source.name"],
        "git": {"commit": tags.get("mlflow.source.git.commit"), "dirty": dirty},
        "diff": _uncommitted() if dirty == "true" else "",
        "lock": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in map(PROJECT_ROOT.joinpath, LOCKS)
            if path.exists()
        },
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    """Return the version of each installed package, read from names of folders.

    importlib.metadata parses a file for each, which takes a quarter of a second.
    """
    folders = [found for entry in sys.path for found in Path(entry).glob("*.dist-info")]
    pairs = (folder.stem.rpartition("-") for folder in folders)
    return dict(sorted((name, version) for name, _, version in pairs))


def _uncommitted() -> str:
    """Return the diff of the program against its commit, with new files.

    New files are added to a copy of git's index, not to the index.
    """
    index = _git("rev-parse", "--path-format=absolute", "--git-path", "index")
    if index is None:
        return ""
    paths = [name for name in TRACKED_PATHS if (PROJECT_ROOT / name).exists()]
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(index.strip(), folder)
        _git("add", "--intent-to-add", "--", *paths, index=copy)
        options = ("--binary", "--no-ext-diff", "--no-textconv", "--no-color")
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
        words = ("diff", *options, *prefixes, "HEAD", "--", *TRACKED_PATHS)
        return _git(*words, index=copy) or ""


def _git(*words: str, index: str | None = None) -> str | None:
    """Return git's output; None without git, without a repository or after 10 s."""
    try:
        return git(*words, env={"GIT_INDEX_FILE": index} if index else None, timeout=10)
    except UserError:
        return None
