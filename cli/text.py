"""Make somebody else's text safe to print."""


def printable(text: str) -> str:
    """Return a text as one line in which no control code gets through to the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def one_line(text: str) -> str:
    """Return a printable text with single blanks."""
    return " ".join(printable(text).split())
