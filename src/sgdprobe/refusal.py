"""The one kind of error that is the request's fault and not the program's."""


class Refusal(Exception):  # noqa: N818 (what it is, in the project's own word)
    """A request that can't be honoured; the message is one line that says what is wrong."""
