"""Report: the page of a sweep, or the pictures of a run.

python src/report.py
"""

import argparse

from sgdprobe.commands.cli import exit_on_user_error, interruptible
from sgdprobe.config.compose import known_recipes

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="report.py", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "what",
        nargs="?",
        default="last-sweep",
        help="a sweep, an experiment's name, or last-sweep (the default); "
        "or a run: an id, its beginning, a name, or last",
    )
    parser.add_argument("--study", help="write a sweep's report to this folder in experiments/")
    parser.add_argument("--uri", help="the MLflow store; default: the one that train.py uses")
    arguments = parser.parse_args()
    with exit_on_user_error(), interruptible():
        from sgdprobe.commands.report import report

        raise SystemExit(report(arguments.what, arguments.study, arguments.uri, known_recipes))
