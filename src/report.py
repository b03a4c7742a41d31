"""Write the page of a sweep, or draw the figures of a run.

python src/report.py
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("report")
