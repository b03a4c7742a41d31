"""The program as it was when a run was recorded, in a temporary git worktree."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sgdprobe.provenance.git import GitError, git


def run_at(commit: str, diff: str, words: Sequence[str], **variables: str) -> int:
    """Run `rerun.py WORDS` of this commit with this diff; return its exit code.

    Raises GitError.
    """
    with (
        _worktree(commit, diff) as project,
        subprocess.Popen(  # noqa: S603
            [sys.executable, str(project / "src" / "rerun.py"), *words],
            env=os.environ | variables,
            start_new_session=True,  # Ctrl-C reaches it once, through this process
        ) as child,
    ):
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            child.wait()
            raise


@contextmanager
def _worktree(commit: str, diff: str) -> Iterator[Path]:
    """Give the project's folder in a new git worktree, which is removed in every case."""
    # A closed terminal must not leave the worktree behind.
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    prefix = git("rev-parse", "--show-prefix").strip()
    with tempfile.TemporaryDirectory(prefix="sgdprobe-") as folder:
        top = Path(folder) / "worktree"
        try:
            git("worktree", "add", "--quiet", "--detach", str(top), commit)
            if diff:
                git("apply", "--whitespace=nowarn", "-", at=top, text=diff)
            yield top / prefix
        finally:
            with suppress(GitError):
                # Forced twice: a worktree whose creation was interrupted is locked.
                git("worktree", "remove", "--force", "--force", str(top))
