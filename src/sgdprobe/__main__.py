"""`python -m sgdprobe COMMAND …` is `sgdprobe COMMAND …`."""

from sgdprobe.commands.main import script

if __name__ == "__main__":
    script()
