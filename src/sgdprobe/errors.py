"""Errors that the user can correct, and the exit codes of every command."""

EXIT_FAILED = 1  # the work failed, or the answer is no
EXIT_USAGE = 2  # the request was wrong; nothing was written
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports Ctrl-C


class UserError(Exception):
    """A request that cannot be carried out; the message is one line and names the cause."""


def one_line(error: BaseException) -> str:
    """Return an error's text in one line; for other errors than ours, with their kind."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {text}"


class SettingsError(UserError):
    """A wrong setting; the message names key, value and choices."""


class OwnFileError(SettingsError):
    """A setting that names a file of the user's which is missing or of no use."""


class DataError(UserError):
    """A data file that is missing or damaged; the message names the file."""


class StoreError(UserError):
    """A store that cannot be used; the message names the store and the cause."""


class MissingStore(StoreError):  # noqa: N818 (an absence, not a fault)
    """No store yet: nothing has been recorded."""


class RunClaimed(UserError):  # noqa: N818 (an event)
    """Another process has made this run, or is making it; the message names that run.

    run_id : of the other one.
    """

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message, run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return str(self.args[0])


class WorkersDidNotStart(UserError):  # noqa: N818 (an event)
    """Worker processes keep dying before they start a run."""
