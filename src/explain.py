"""Explain an accuracy gap: which difference between two recipes causes which part of it.

python src/explain.py notes book --fix dtype=float32
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("explain")
