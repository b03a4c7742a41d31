"""The git command, run on the project."""

import os
import subprocess
from pathlib import Path

from sgdprobe.errors import UserError
from sgdprobe.paths import PROJECT_ROOT


class GitError(UserError):
    """No answer from git; the message says why: no git, no repository, out of time."""


def git(
    *words: str,
    at: Path = PROJECT_ROOT,
    text: str = "",
    index: str | None = None,
    timeout: float | None = None,
) -> str:
    """Return git's output. Raises GitError with the last line of its error.

    text : git's standard input. index : the index file to use instead of the repository's.

    The repository is the one that the directory is in: the GIT_* variables, which a hook sets or
    a person for another repository, are left out.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(at), *words],  # noqa: S607
            input=text.encode(),
            capture_output=True,
            timeout=timeout,
            env=environment | ({"GIT_INDEX_FILE": index} if index else {}),
            start_new_session=True,  # Ctrl-C reaches this process alone
        )
    except subprocess.TimeoutExpired:
        raise GitError(f"git {words[0]} did not answer within {timeout:.0f} s") from None
    except OSError as error:
        raise GitError(f"git cannot be run: {error}") from error
    if answer.returncode:
        errors = answer.stderr.decode(errors="replace").strip().splitlines()
        reason = errors[-1] if errors else f"exit code {answer.returncode}"
        raise GitError(f"git {words[0]} failed: {reason}")
    return answer.stdout.decode(errors="replace")
