"""Diagnose one recipe: what is wrong, and which smallest change is proven to repair it.

python src/diagnose.py notes
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("diagnose")
