"""Removal of credentials from addresses in everything that is recorded, written or printed.

Recorder, pages and standard streams pass all their text through `redact`.
"""

import re

# Up to the last @; a password that has spaces, up to the first.
ADDRESS = re.compile(r"([a-z][\w+.-]*)://(\S*|[^\s:/@]+:[^@\n'\"]*)@", re.IGNORECASE)
# An address without a user: an @ in its path is no credential. Only a server has a port alone.
NO_USER = re.compile(r"[^/:@]*/")
NO_USER_AT_SERVER = re.compile(r"[^/:@]*(:\d+)?/")
IN_QUERY = re.compile(
    r"([?&;](?:key|sig|\w*(?:pass|pwd|token|secret|_key|apikey|auth|odbc_connect)\w*)=)[^&;\s'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Return the text with *** for the credentials of the addresses in it.

    A password that is not encoded may contain /, @ and spaces: all up to an @ is taken for it.
    """
    if "://" not in text:
        return text
    return IN_QUERY.sub(r"\1***", ADDRESS.sub(_without_user, text))


def _without_user(match: re.Match[str]) -> str:
    scheme, before = match.groups()
    no_user = NO_USER_AT_SERVER if scheme.lower().startswith("http") else NO_USER
    return match[0] if no_user.match(before) else f"{scheme}://***@"
