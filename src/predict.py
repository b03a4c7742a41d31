"""Classify pictures with the network of a recorded run.

python src/predict.py last digit.png
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("predict")
