"""Report: the pictures of a recorded run.

python src/report.py RUN_ID
"""

import argparse

from sgdprobe.commandline import interruptible, refusals

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="report.py", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "run", nargs="?", default="last", help="an id, its beginning, a name, or last (the default)"
    )
    parser.add_argument("--uri", help="the MLflow store; default: the one that train.py uses")
    arguments = parser.parse_args()
    with refusals(), interruptible():
        from sgdprobe.analysis.report import report_run

        raise SystemExit(report_run(arguments.run, arguments.uri))
