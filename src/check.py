"""Check a network class of your own: its gradient, its softmax, its loss, what it can learn.

python src/check.py mynet.py:TwoLayerNet
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("check")
