"""The one kind of error that is the request's fault and not the program's."""


class UserError(Exception):
    """A request that can't be honoured; the message is one line that says what is wrong."""


class SettingsError(UserError):
    """A setting that can't be honoured; the message names key, value and choices, on one line."""


class DataError(UserError):
    """A data file is missing or is not what it should be; the message names it, on one line."""


class StoreError(UserError):
    """The store can't be used; the message says which and why."""


class MissingStore(StoreError):  # noqa: N818 (what it is, and no fault)
    """There is no store yet: nothing was recorded, and nothing is wrong."""


class WorkersDidNotStart(UserError):  # noqa: N818 (an event, told as one)
    """Worker processes die before they begin a run, each time: more of them would, too."""
