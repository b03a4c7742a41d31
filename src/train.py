"""Train a network: one run, or with -m a sweep.

python src/train.py notes
python src/train.py -m sweep
"""

import sys

from sgdprobe.commands.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", sys.argv[1:]))
