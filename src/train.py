"""Train a network: one run, or with -m a sweep.

python src/train.py notes
python src/train.py -m sweep
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("train")
