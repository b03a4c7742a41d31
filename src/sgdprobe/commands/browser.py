"""Opening a page for a person who sits in front of a screen."""

import os
import sys
import webbrowser


def open_in_browser(address: str) -> None:
    """Open an address in the browser, if there is a screen and somebody reads the output."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY")
    if screen and sys.stdout.isatty():
        webbrowser.open(address)
