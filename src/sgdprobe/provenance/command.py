"""Provenance of a command: its words, the commit, uncommitted changes, installed packages."""

import hashlib
import math
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from sgdprobe import __version__
from sgdprobe.paths import CLONE, PROJECT_ROOT
from sgdprobe.provenance.git import GitError, git
from sgdprobe.provenance.source import file_hash

# The program. Changes elsewhere, such as a study in experiments/ or notes and keys that lie
# beside it, make no other numbers and are not recorded.
LOCKS = ("requirements.txt", "requirements-test.txt")
PROGRAM = ("src", "conf", "pyproject.toml", *LOCKS)
ENTRY_POINT = "src/train.py"

GIT_TIMEOUT_S = 10
MAX_DIFF = 2**20  # bytes of the changed files in a diff
EACH_FILE = 2**10  # added for each of them
MAX_NAMED = 5


@dataclass(frozen=True)
class Checkout:
    """The program as git knows it.

    dirty : "true" if the program is not as in the commit, or "unknown". diff : turns the commit
    into the program by `git apply`; new files are in it. note : the reason for all that is missing.
    """

    commit: str | None = None
    dirty: str = "unknown"
    diff: str = ""
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """Return what provenance.json says of it."""
        digest = hashlib.sha256(self.diff.encode()).hexdigest() if self.diff else ""
        more = {"diff": digest, "note": self.note}
        return {"commit": self.commit, "dirty": self.dirty} | {k: v for k, v in more.items() if v}


def command_line(name: str, *words: str) -> str:
    """Return a command as it is typed here: `sgdprobe NAME …` or `python src/NAME.py …`."""
    installed = CLONE is None or _console_script()
    form = ["sgdprobe", name] if installed else ["python", f"src/{name}.py"]
    return shlex.join([*form, *words])


def _console_script() -> list[str]:
    """Return the words `sgdprobe COMMAND` of this process; none if it is a script of src/."""
    words = Path(sys.argv[0]).name.split(" ")
    return words if words[0] == "sgdprobe" else []


def provenance_tags() -> dict[str, str]:
    """Return MLflow tags: the commit, whether the program was changed, the command line."""
    found = checkout()
    tags = {
        "mlflow.source.name": shlex.join(
            [*(_console_script() or ["python", sys.argv[0]]), *sys.argv[1:]]
        ),
        "mlflow.source.type": "LOCAL",
        "git_dirty": found.dirty,
    }
    return tags | ({"mlflow.source.git.commit": found.commit} if found.commit else {})


@cache
def command_provenance() -> Mapping[str, Any]:
    """Return what all runs of a command share; call it in the process that was typed."""
    return {
        "command": provenance_tags()["mlflow.source.name"],
        "git": checkout().facts(),
        "diff": checkout().diff,
        "lock": {
            path.name: file_hash(path)
            for path in map(PROJECT_ROOT.joinpath, LOCKS)
            if CLONE and path.exists()
        },
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    """Return the version of each installed package, read from names of folders.

    importlib.metadata parses a file for each, which takes a quarter of a second.
    """
    folders = [found for entry in sys.path for found in Path(entry).glob("[!.]*.dist-info")]
    pairs = (folder.stem.rpartition("-") for folder in folders)
    return dict(sorted((name, version) for name, _, version in pairs))


@cache
def checkout() -> Checkout:
    """Return the commit and the uncommitted changes; print a line if these are not complete."""
    commit, dirty, diff, note = None, "unknown", "", ""
    if CLONE is None:  # a repository around the working directory is another program's
        return Checkout(note=f"sgdprobe {__version__} was installed without its repository")
    try:
        if not _git("ls-files", "--", ENTRY_POINT):
            raise GitError(f"the git repository around it does not have {ENTRY_POINT}")
        top, commit = _git("rev-parse", "--show-toplevel", "HEAD").splitlines()
        changed = _changed_files()
        dirty = str(bool(changed)).lower()
        diff, left_out = _diff(Path(top), changed) if changed else ("", [])
        if left_out:
            more = f" and {len(left_out) - MAX_NAMED} more" * (len(left_out) > MAX_NAMED)
            note = f"no text, or too large: {', '.join(left_out[:MAX_NAMED])}{more}"
    except (GitError, OSError) as error:
        note = str(error)
    if commit and note:
        sys.stderr.write(f"not all uncommitted changes are recorded: {note}\n")
    return Checkout(commit, dirty, diff, note)


def _changed_files() -> dict[str, bool]:
    """Return the files that are not as in the commit, by path in the repository.

    The value is True for a new file.
    """
    paths = [name for name in PROGRAM if (PROJECT_ROOT / name).exists()]
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
    entries = _git("status", *options, "--", *paths).split("\0")[:-1]
    return {entry[3:]: entry.startswith("??") for entry in entries}


def _diff(root: Path, changed: Mapping[str, bool]) -> tuple[str, list[str]]:
    """Return the diff against the commit, and the files that it leaves out, the largest ones.

    New files are added to a copy of git's index, not to the index.
    """
    sizes = {name: _text_size(root / name) for name in changed}
    names = sorted(changed, key=lambda name: (sizes[name], name))
    totals = accumulate(sizes[name] + EACH_FILE for name in names)
    kept = [name for name, total in zip(names, totals, strict=True) if total <= MAX_DIFF]
    index = _git("rev-parse", "--path-format=absolute", "--git-path", "index").rstrip("\n")
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(index, folder)
        ask = partial(git, "--literal-pathspecs", at=root, index=copy, timeout=GIT_TIMEOUT_S)
        new = [name for name in kept if changed[name]]
        if new:
            ask("add", "--intent-to-add", "--", *new)
        options = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
        words = ("diff", *options, *prefixes, "HEAD", "--", *kept)
        parts = re.split(r"(?m)^(?=diff --git )", ask(*words)) if kept else []
    binary = [part for part in parts if "\nBinary files " in part]
    left_out = [part.partition("\n")[0].rpartition(" b/")[2] for part in binary]
    return "".join(p for p in parts if p not in binary), left_out + names[len(kept) :]


def _text_size(path: Path) -> float:
    """Return the size of a text file, 0 if it is deleted or a link; infinite if it is no text."""
    if path.is_symlink() or not path.exists():
        return 0
    size = path.stat().st_size if path.is_file() else math.inf
    try:
        return size if size >= MAX_DIFF else len(path.read_text(encoding="utf-8").encode())
    except (OSError, UnicodeDecodeError):
        return math.inf


def _git(*words: str) -> str:
    return git(*words, timeout=GIT_TIMEOUT_S)
