"""Write the page of a sweep, or draw the figures of a run.

python src/report.py
"""

import sys

from sgdprobe.commands.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("report", sys.argv[1:]))
