"""Command line of every command: options, errors, signals, output, exit codes."""

import argparse
import io
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sgdprobe import __version__
from sgdprobe.config.formatting import fitted
from sgdprobe.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UserError, one_line
from sgdprobe.paths import CLONE
from sgdprobe.provenance.redact import redact

Main = Callable[[Sequence[str]], int | None]

STORE_HELP = "the MLflow store; default: the one that `train` uses"


class Parser(argparse.ArgumentParser):
    """Parser whose error is one line, like every other refusal."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError, which names the option."""
        raise UserError(f"{message}; --help lists the options")


def run_command(name: str, words: Sequence[str]) -> int:
    """Run sgdprobe.commands.NAME with these words of a command line; return its exit code.

    A line of a shell in SGDPROBE_COMPLETE is completed instead.
    """
    line = os.environ.get("SGDPROBE_COMPLETE")
    if line is not None:
        from sgdprobe.commands.completion import complete  # imports this module

        print(*complete(name, line))
        return 0
    return run_main(lambda: import_command(name).main, words)


def run_main(load: Callable[[], Main], words: Sequence[str]) -> int:
    """Load a main function and call it with the words; return the exit code."""
    streams = open_streams()
    code = _run(load, words)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    lost = next((stream.error for stream in streams if stream.error), None)
    if lost is None:
        return code
    sys.stderr.write(f"the output is incomplete: {lost.strerror}\n")
    return code or EXIT_FAILED


def _run(load: Callable[[], Main], words: Sequence[str]) -> int:
    try:
        if "--version" in words:
            print(f"sgdprobe {__version__}")
            return 0
        ignore_foreign_warnings()
        give_a_home()
        # Pictures are files, and the backend that the user's environment names may not exist here.
        os.environ["MPLBACKEND"] = "agg"
        main = load()
        with unwinding_signals():
            return main(words) or 0
    except UserError as error:
        sys.stderr.write(redact(f"{one_line(error)}\n"))
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the results recorded so far are kept\n")
        return EXIT_INTERRUPTED
    except SystemExit as end:  # of --help, of a sweep, after SIGTERM
        return int(end.code or 0)


def import_command(name: str) -> Any:
    """Return the command's module. Raises UserError where a library is not installed."""
    try:
        return import_module(f"sgdprobe.commands.{name}")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("sgdprobe"):
            raise
        cure = (
            "type `make sweep` first, which sets up .venv, or activate your environment: "
            ". .venv/bin/activate"
            if CLONE
            else f"type {sys.executable} -m pip install sgdprobe"
        )
        raise UserError(f"{error.name} is not installed for {sys.executable}: {cure}") from error


def ignore_foreign_warnings() -> None:
    """Let PYTHONWARNINGS=error end no command, here and in workers.

    Libraries warn of their own plans while they are imported; MLflow, under -OO, of docstrings.
    Warnings of numbers, such as an overflow, stay as they were asked for.
    """
    if not sys.warnoptions and sys.flags.optimize < 2:
        return
    sys.warnoptions[:] = [option for option in sys.warnoptions if "RuntimeWarning" in option]
    os.environ["PYTHONWARNINGS"] = ",".join(sys.warnoptions)
    for category in Warning.__subclasses__():
        if category is not RuntimeWarning:
            warnings.simplefilter("ignore", category)


def give_a_home() -> None:
    """Set HOME where there is none, as in a container with an unknown user: MLflow asks for it."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()


class TolerantFile(io.FileIO):
    """A standard stream that drops what cannot be written: the work goes on without a reader.

    error : why output was lost. A reader that has seen enough, such as `head`, is no error.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write bytes; after the first failure, to nowhere."""
        try:
            return super().write(data)
        except OSError as error:
            self.error = None if isinstance(error, BrokenPipeError) else error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


class Output(io.TextIOWrapper):
    """A text stream without the credentials of addresses; a terminal breaks no word of it."""

    def write(self, text: str) -> int:
        """Write the text; return its length."""
        shown = redact(text)
        if self.isatty():
            shown = fitted(shown, shutil.get_terminal_size().columns)
        super().write(shown)
        return len(text)


def open_streams() -> list[TolerantFile]:
    """Give this process standard streams that are open and cannot fail; return those made."""
    for number in range(3):  # a closed one would be the number of the next file that is opened
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    files = []
    for number, name in ((1, "stdout"), (2, "stderr")):
        given = getattr(sys, name)
        if given is getattr(sys, f"__{name}__"):  # else a test captures it
            file = TolerantFile(number, "w", closefd=False)
            files.append(file)
            lines = file.isatty() or number == 2
            encoding = given.encoding if given else "utf-8"
            stream = Output(
                io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=lines
            )
            setattr(sys, name, stream)
    return files


@contextmanager
def unwinding_signals() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a closed terminal, unwind the stack as Ctrl-C does.

    So a run marks itself KILLED on its way out. A signal that is ignored, as SIGHUP is under
    nohup, stays so.
    """

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: unwind}
    handlers[signal.SIGHUP] = unwind
    previous = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
