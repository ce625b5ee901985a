"""What commands print tables and progress with: results go to stdout, everything else to stderr."""

import sys

from rich.console import Console
from rich.text import Text

from cli.text import one_line

_PLAIN_WIDTH = 120
_LONGEST_LINE = 4096  # characters; more than a terminal shows, as accents take no room of their own


def stdout() -> Console:
    """Return the console for results; its width is fixed where stdout is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


def stderr() -> Console:
    """Return the console for progress and notes; lines are wrapped on a terminal only."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def safe(text: str) -> Text:
    """Return somebody else's text for a rich table or console: printable, with its markup shown and not applied."""
    return Text(one_line(text))


def opening(text: str) -> Text:
    """Return the beginning of somebody else's text as ``safe`` does, long enough to fill a line of any terminal."""
    # Blanks collapse, so the length of a line is known only once it is made: a text may begin with a page of blanks.
    read = _LONGEST_LINE
    while len(line := one_line(text[:read])) < _LONGEST_LINE and read < len(text):
        read *= 4
    return Text(line[:_LONGEST_LINE])
