"""What every command prints with: results to stdout, everything else to stderr."""

import sys

from rich.console import Console
from rich.text import Text

_PLAIN_WIDTH = 120
_LONGEST_LINE = 4096  # characters; accents that take no room on the screen are among them


def stdout() -> Console:
    """Return the console for results; a fixed width where there is no terminal to fit."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


def stderr() -> Console:
    """Return the console for progress and notes; never wrapped where there is no terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def printable(text: str) -> str:
    """Return somebody else's text as one line in which no control code gets through to the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def safe(text: str) -> Text:
    """Return somebody else's text for a rich table or console: printable, and no markup is read."""
    return Text(_one_line(text))


def opening(text: str) -> Text:
    """Return the beginning of somebody else's text as ``safe`` does, more of it than any screen has on a line."""
    # Blanks collapse, so how much makes a line is only known once it is made: a text may begin with a page of them.
    read = _LONGEST_LINE
    while len(line := _one_line(text[:read])) < _LONGEST_LINE and read < len(text):
        read *= 4
    return Text(line[:_LONGEST_LINE])


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())
