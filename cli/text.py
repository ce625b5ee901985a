"""Make an untrusted text safe to print."""


def printable(text: str) -> str:
    """Return a text with every control code and line break replaced by a blank."""
    return "".join(character if character.isprintable() else " " for character in text)


def one_line(text: str) -> str:
    """Return a printable text on one line, with runs of blanks collapsed to one."""
    return " ".join(printable(text).split())
