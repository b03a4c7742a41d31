"""The git command, run on the project."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sgdprobe.errors import UserError
from sgdprobe.paths import PROJECT_ROOT


def git(
    *words: str,
    at: Path = PROJECT_ROOT,
    text: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Return git's output. Raises UserError with the last line of its error.

    text : git's standard input. env : variables added to its environment.
    """
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(at), *words],  # noqa: S607
            input=text.encode(),
            capture_output=True,
            timeout=timeout,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # Ctrl-C reaches this process alone
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"git cannot be run: {error}") from error
    if answer.returncode:
        errors = answer.stderr.decode(errors="replace").strip().splitlines()
        reason = errors[-1] if errors else f"exit code {answer.returncode}"
        raise UserError(f"git {words[0]} failed: {reason}")
    return answer.stdout.decode(errors="replace")
