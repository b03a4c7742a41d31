"""The commands: each prints for a person and returns an exit code."""

import signal
import sys
from importlib.util import find_spec

# What `sgdprobe COMMAND …` takes, each a module of this package with main(words).
COMMANDS = {
    "demo": "look at a finished sweep: its page, and MLflow; nothing is trained",
    "train": "train one network, or with -m a sweep",
    "sweep": "train every combination of a recipe's axes: train -m",
    "report": "write the page of a sweep, or draw a run",
    "ui": "compare runs in MLflow",
    "explain": "say which difference of two recipes causes which part of a gap",
    "diagnose": "say what is wrong with a recipe, and the smallest repair",
    "compare": "show two runs side by side",
    "check": "check a network class of your own",
    "predict": "classify pictures with a recorded network",
    "rerun": "train a recorded run again, and compare every number",
    "completion": "print the line that sets up tab completion in bash",
}


def known_commands() -> list[str]:
    """Return the names of the commands that are there."""
    return [name for name in COMMANDS if find_spec(f"{__name__}.{name}")]


def start(name: str) -> None:
    """Run the command that was typed, and exit with its code.

    Until it works, Ctrl-C ends it silently; also after its work.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sgdprobe.commands.cli import run_command

    sys.exit(run_command(name, sys.argv[1:]))
