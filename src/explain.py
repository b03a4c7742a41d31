"""Explain a gap: which difference between two recipes makes which part of it.

python src/explain.py notes book --fix dtype=float32
"""

import sys

from sgdprobe.commands.cli import exit_on_user_error, interruptible
from sgdprobe.config.compose import COMPOSE_ERRORS
from sgdprobe.config.recipe_pair import compose_pairs
from sgdprobe.study.spec import read

if __name__ == "__main__":
    with exit_on_user_error(*COMPOSE_ERRORS), interruptible():
        request = read(sys.argv[1:])
        specs = [request, *request.per_tuned_value()]
        (first, second), *tried = compose_pairs([spec.pair for spec in specs])
        from sgdprobe.commands.explain import explain

        raise SystemExit(explain(request, first, second, tried))
