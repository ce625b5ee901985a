"""What every command prints with: results to stdout, everything else to stderr."""

import sys

from rich.console import Console
from rich.control import strip_control_codes
from rich.text import Text

_PLAIN_WIDTH = 120


def stdout() -> Console:
    """Return the console for results; a fixed width where there is no terminal to fit."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


def stderr() -> Console:
    """Return the console for progress and notes; never wrapped where there is no terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def safe(text: str) -> Text:
    """Return somebody else's text for a terminal: no markup is read, no control code gets through, one line."""
    printable = "".join(c if c.isprintable() else " " for c in strip_control_codes(text))
    return Text(" ".join(printable.split()))
