"""The consoles that commands print to: results go to stdout, everything else to stderr."""

import sys

from rich.console import Console
from rich.text import Text

from cli.text import one_line

_PLAIN_WIDTH = 120
_LONGEST_LINE = 4096  # characters; more than a terminal's width, because combining accents take no width


def stdout() -> Console:
    """Return the console for results; its width is fixed if stdout is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


def stderr() -> Console:
    """Return the console for progress and notes; lines are wrapped only on a terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def safe(text: str) -> Text:
    """Return an untrusted text as one printable line of rich text; markup in the text is shown instead of applied."""
    return Text(one_line(text))


def opening(text: str) -> Text:
    """Return the beginning of an untrusted text as ``safe`` returns it, long enough for a line of any terminal."""
    # If a text begins with many blanks, which collapse into one, its first 4,096 characters may not fill the line.
    read = _LONGEST_LINE
    while len(line := one_line(text[:read])) < _LONGEST_LINE and read < len(text):
        read *= 4
    return Text(line[:_LONGEST_LINE])
