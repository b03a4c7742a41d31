"""What the doors have in common: words on the command line, refusals, and signals.

A bare word such as `notes` means `experiment=notes`; Hydra's own grammar refuses it, so it is
rewritten before Hydra sees it, in the arguments and in the line that a shell asks to complete.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sgdprobe.errors import UserError

EXIT_USAGE = 2  # exit code: the request was wrong, nothing was written


@contextmanager
def exit_on_user_error(*also: type[Exception]) -> Iterator[None]:
    """Turn a request that can't be honoured into one line on stderr and exit code 2."""
    refused: tuple[type[Exception], ...] = (UserError, *also)
    try:
        yield
    except refused as error:
        # Hydra's messages have several lines and end with its search path.
        text = str(error).partition("Config search path:")[0]
        sys.stderr.write(f"{' '.join(text.split())}\n")
        raise SystemExit(EXIT_USAGE) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a closed terminal, unwind like Ctrl-C.

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
        sys.stderr.write("interrupted; what was recorded stays\n")
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
