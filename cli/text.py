"""Make an untrusted text safe to print."""

from scorer.text import printable


def one_line(text: str) -> str:
    """Return a printable text on one line, with runs of blanks collapsed to one."""
    return " ".join(printable(text).split())
