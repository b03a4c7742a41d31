"""The commands: each prints for a person and returns an exit code."""

import signal
import sys


def start(name: str) -> None:
    """Run the command that was typed, and exit with its code.

    Until it works, Ctrl-C ends it silently; also after its work.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sgdprobe.commands.cli import run_command

    sys.exit(run_command(name, sys.argv[1:]))
