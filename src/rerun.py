"""Rerun a recorded run, or a sweep, and compare every number with the record.

python src/rerun.py RUN_ID
python src/rerun.py --sweep SWEEP --sample 5
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("rerun")
