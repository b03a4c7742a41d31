"""Removal of credentials from addresses in everything that is recorded or printed."""

import re

USER = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
PASSWORD = re.compile(r"([?&]\w*(?:password|token|secret|key)=)[^&\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text with *** for the credentials of the addresses in it."""
    return PASSWORD.sub(r"\1***", USER.sub("***", text))
