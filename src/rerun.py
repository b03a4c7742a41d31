"""Rerun: repeat a recorded run, or a sweep, and say whether every number came out the same.

python src/rerun.py RUN_ID
python src/rerun.py --sweep SWEEP --sample 5
"""

import argparse

from sgdprobe.commands.cli import exit_on_user_error, interruptible

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="rerun.py",
        description=__doc__.partition("\n")[0],
        epilog="exit codes: 0 identical or close, 1 different, 2 the request was wrong",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("run", nargs="?", help="an id, its beginning, a name, or last")
    what.add_argument("--sweep", help="all runs of a sweep: an id, its beginning, or last")
    parser.add_argument("--sample", type=int, help="only so many runs of the sweep, by chance")
    parser.add_argument("--n-jobs", type=int, default=-1, help="processes; -1: one for each core")
    parser.add_argument("--uri", help="the MLflow store; default: the one that train.py uses")
    parser.add_argument("--data-root", help="the folder where the same data lies now")
    parser.add_argument(
        "--changed-data", action="store_true", help="repeat although the data is not the recorded"
    )
    parser.add_argument(
        "--at-recorded-commit", action="store_true", help="with the source as it was recorded"
    )
    arguments = parser.parse_args()
    with exit_on_user_error(), interruptible():
        from sgdprobe.commands.rerun import RerunOptions, rerun_run, rerun_sweep

        how = RerunOptions(
            arguments.uri,
            arguments.data_root,
            arguments.changed_data,
            arguments.at_recorded_commit,
        )
        raise SystemExit(
            rerun_run(arguments.run, how)
            if arguments.sweep is None
            else rerun_sweep(arguments.sweep, arguments.sample, arguments.n_jobs, how)
        )
