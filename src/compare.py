"""Show two recorded runs side by side: settings, first difference, symptoms, curves.

python src/compare.py RUN RUN
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("compare")
