"""Command line of every command: options, errors, signals, exit codes."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import NoReturn

from sgdprobe.errors import EXIT_INTERRUPTED, EXIT_USAGE, UserError

STORE_HELP = "the MLflow store; default: the one that train.py uses"


class Parser(argparse.ArgumentParser):
    """Parser whose error is one line, like every other refusal."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError, which names the option."""
        raise UserError(f"{message}; --help lists the options")


def run_command(name: str, words: Sequence[str]) -> int:
    """Run sgdprobe.commands.NAME with these words of a command line; return its exit code."""
    with exit_on_user_error(), interruptible():
        code: int = import_module(f"sgdprobe.commands.{name}").main(words)
    return code


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Print a UserError as one line on stderr and exit with EXIT_USAGE."""
    try:
        yield
    except UserError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        raise SystemExit(EXIT_USAGE) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a closed terminal, unwind the stack as Ctrl-C does.

    So a run marks itself KILLED on its way out. Under nohup, SIGHUP stays ignored.
    """

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, unwind) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the results recorded so far are kept\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
