"""Explain an accuracy gap: which difference between two recipes causes which part of it.

python src/explain.py notes book --fix dtype=float32
"""

import sys

from sgdprobe.commands.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("explain", sys.argv[1:]))
