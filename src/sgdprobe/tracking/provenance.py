"""Where a run's numbers come from: the source, its commit, what is not committed, the command."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parents[1]

# The files whose change can change a run's numbers.
SOURCES = ("nn/*.py", "data/*.py", "assembly.py")

# What is recorded of uncommitted changes: the program. Notes and keys may lie beside it.
PROGRAM = ("src", "conf", "pyproject.toml", "requirements.txt")
LOCKS = ("requirements.txt", "requirements-test.txt")

USER = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
PASSWORD = re.compile(r"([?&]\w*(?:password|token|secret|key)=)[^&\s'\"]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text without the credentials of the addresses in it."""
    return PASSWORD.sub(r"\1***", USER.sub("***", text))


@cache
def source_files() -> dict[str, str]:
    """SHA-256 of each file that computes the numbers, by its name inside the package."""
    paths = sorted(path for pattern in SOURCES for path in PACKAGE.glob(pattern))
    return {
        path.relative_to(PACKAGE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


@cache
def source_hash() -> str:
    """SHA-256 of the source that computes the numbers, names included."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in source_files().items())
    return hashlib.sha256(lines.encode()).hexdigest()


@cache
def provenance_tags() -> dict[str, str]:
    """Commit, whether the tree was dirty, and the command line, as MLflow tags."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    tags = {
        "mlflow.source.name": without_secrets(shlex.join(["python", *sys.argv])),
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
        "diff": without_secrets(_uncommitted()) if dirty == "true" else "",
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
    paths = [name for name in PROGRAM if (ROOT / name).exists()]
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(index.strip(), folder)
        _git("add", "--intent-to-add", "--", *paths, index=copy)
        options = ("--binary", "--no-ext-diff", "--no-textconv", "--no-color")
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
        return _git("diff", *options, *prefixes, "HEAD", "--", *PROGRAM, index=copy) or ""


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
