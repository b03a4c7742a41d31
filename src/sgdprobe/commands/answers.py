"""The answer of a command as JSON, for programs: --json."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from sgdprobe.run.job import Outcome

JSON_HELP = "print the answer as JSON; all else goes to stderr"

_out: TextIO | None = None  # standard output, where the answer is to be JSON


@contextmanager
def answering(as_json: bool) -> Iterator[None]:
    """Keep standard output for the answer if it is to be JSON: all else goes to stderr."""
    global _out
    if not as_json:
        yield
        return
    _out, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, _out = _out, None


def answer(facts: Mapping[str, Any]) -> None:
    """Print the answer if it is to be JSON."""
    if _out is not None:
        _out.write(json.dumps(_finite(facts), indent=2, default=str) + "\n")
        _out.flush()  # also of a command that goes on


def _finite(value: Any) -> Any:
    """Return a value without NaN and infinity, which JSON does not have: they are null."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def outcome_facts(outcome: Outcome) -> dict[str, Any]:
    """Return what a program asks of one run."""
    return {
        "run_id": outcome.run_id,
        "name": outcome.job.name,
        "recipe": outcome.job.recipe,
        "status": outcome.status,
        "failure": outcome.failure.message if outcome.failure else None,
        "reused": outcome.reused,
        "ending": outcome.ending or None,
        "warnings": {warning.name: warning.text for warning in outcome.warnings},
        "seconds": outcome.seconds,
        "metrics": dict(outcome.metrics),
    }
