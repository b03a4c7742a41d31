"""Rerun a recorded run, or a sweep, and compare every number with the record.

python src/rerun.py RUN_ID
python src/rerun.py --sweep SWEEP --sample 5
"""

import sys

from sgdprobe.commands.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("rerun", sys.argv[1:]))
