"""The program as it was when a run was recorded, in a temporary folder."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sgdprobe.errors import UserError
from sgdprobe.paths import PROJECT_ROOT


def run_at(commit: str | None, diff: str, words: Sequence[str], **variables: str) -> int:
    """Run `rerun.py WORDS` of this commit with this diff; its exit code. Raises Refusal."""
    if commit is None:
        raise UserError("the run's commit was not recorded: there was no git repository")
    with _worktree(commit, diff) as project:
        door = project / "src" / "rerun.py"
        # In a session of its own: Ctrl-C reaches it once, by way of this process.
        with subprocess.Popen(  # noqa: S603
            [sys.executable, str(door), *words],
            env=os.environ | variables,
            start_new_session=True,
        ) as child:
            try:
                return child.wait()
            except BaseException:
                child.terminate()
                child.wait()
                raise


@contextmanager
def _worktree(commit: str, diff: str) -> Iterator[Path]:
    """The project's folder in a new git worktree, gone when the block ends, however it ends."""
    # A terminal that is closed is no reason to leave anything behind.
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    prefix = _git("rev-parse", "--show-prefix").strip()
    with tempfile.TemporaryDirectory(prefix="sgdprobe-") as folder:
        top = Path(folder) / "worktree"
        try:
            _git("worktree", "add", "--quiet", "--detach", str(top), commit)
            if diff:
                _git("apply", "--whitespace=nowarn", "-", at=top, text=diff)
            yield top / prefix
        finally:
            # Twice: one left half made is locked.
            _git("worktree", "remove", "--force", "--force", str(top), check=False)


def _git(*words: str, at: Path = PROJECT_ROOT, text: str = "", check: bool = True) -> str:
    """What git answers. Raises Refusal with its last line where it refuses."""
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(at), *words],  # noqa: S607
            input=text.encode(),
            capture_output=True,
            start_new_session=True,
        )
    except OSError as error:
        raise UserError(f"git can't be run: {error}") from error
    said = answer.stderr.decode(errors="replace").strip().splitlines()
    if check and answer.returncode:
        raise UserError(f"git {words[0]} refused: {said[-1] if said else answer.returncode}")
    return answer.stdout.decode(errors="replace")
