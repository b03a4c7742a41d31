"""Writes to a store that no signal interrupts, and that wait in vain only once."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sgdprobe.errors import StoreError
from sgdprobe.tracking.folders import artifact_root
from sgdprobe.tracking.store import Store, retry_when_locked, store_errors
from sgdprobe.tracking.timeouts import GIVE_UP_AFTER_S

__all__: list[str] = []

P = ParamSpec("P")


class Writer(Protocol):
    """Object that writes to a store. broken : the error of a write that timed out, or None."""

    store: Store
    broken: StoreError | None


W = TypeVar("W", bound=Writer)


@contextmanager
def _defer_signals() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until a write has ended.

    In the middle of one they would leave the store locked, by the very process that then wants to
    mark its run KILLED. Signals arrive in a process's first thread; Dask works in another one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, previous[number])
        for late in held[:1]:
            signal.raise_signal(late)


def store_write(
    write: Callable[Concatenate[W, P], None],
) -> Callable[Concatenate[W, P], None]:
    """Make a write that no signal interrupts, from the directory of relative artifact paths.

    After one timed-out write the store counts as broken, so that ending the run does not time out
    again. Raises StoreError.
    """

    @wraps(write)
    def complete(self: W, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.broken is not None:
            raise self.broken

        def once() -> None:
            with _defer_signals(), artifact_root(self.store.uri):
                write(self, *args, **kwargs)

        started = time.monotonic()
        try:
            with store_errors(self.store.uri):
                retry_when_locked(self.store.uri, once)
        except StoreError as error:
            if time.monotonic() - started > GIVE_UP_AFTER_S:
                self.broken = error
            raise

    return complete
