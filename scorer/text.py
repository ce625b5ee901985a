"""Small functions on text: show names, labels and messages as one readable line, and compare names."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import accumulate

_SPECIAL = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ADDRESS = re.compile(r"(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
MISSING = frozenset({"NaN", "nan", "None", "<NA>", "\\N"})  # as numpy, Python, pandas and MySQL write it
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def duration(seconds: float) -> str:
    """Return a duration in seconds as a short text: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def printable(text: str, instead: str = " ") -> str:
    """Return a text with ``instead`` for every control code, line break and other character that can't be printed."""
    return "".join(character if character.isprintable() else instead for character in text)


def escape(value: str) -> str:
    """Return a text of unknown origin as one line of Markdown that shows the text literally."""
    line = _SPECIAL.sub(r"\\\g<0>", " ".join(printable(value).split()))
    line = "".join(_ENTITIES.get(character, character) for character in line)
    return _ADDRESS.sub(lambda found: f"&#{ord(found[0])};", line)  # a bare address would become a link


def one_line(error: BaseException, most: int = 300) -> str:
    """Return an exception's type and message as one line, with the message cut to ``most`` characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:most]}{'...' if len(text) > most else ''}" if text else type(error).__name__


def nearest(name: str, allowed: list[str]) -> str:
    """Return a clause for an error message that suggests the allowed name closest to ``name``, or an empty text."""
    import difflib

    folded = {candidate.casefold(): candidate for candidate in allowed}
    match = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    return f" (did you mean {folded[match[0]]!r}?)" if match and len(match[0]) <= 120 else ""


def fold(name: str) -> str:
    """Return a name in the form in which names are compared: case-folded, with single blanks, composed (NFC)."""
    if name.isascii():
        return " ".join(name.split()).casefold()
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()).split())


def is_missing(text: str) -> bool:
    """Return whether a text is blank, or a written form of no value: NaN, nan, None, <NA> or \\N."""
    return not text or text.isspace() or (len(text) <= 4 and text in MISSING)


def short(name: str) -> str:
    """Return a label cut to 60 characters for use in a message, because a label may be a whole text."""
    return name if len(name) <= 60 else name[:57] + "..."


def shortened(message: str, most: int = 400) -> str:
    """Return a message cut to ``most`` characters, with its beginning (what is wrong) and its end (what to do).

    Words of more than 60 characters, such as paths, are cut in the middle first.
    """
    if len(message) <= most:
        return message
    message = re.sub(r"\S{61,}", lambda word: f"{word[0][:18]}...{word[0][-39:]}", message)
    if len(message) <= most:
        return message
    end = most * 2 // 5
    return f"{message[: most - end - 5]} ... {message[-end:]}"


def listed(names: Iterable[object], room: int = 80, most: int = 20) -> str:
    """Return names in quotes for a message, at most ``most`` of them and about ``room`` characters; always the first.

    A name longer than ``room`` is cut; names without room are counted: ``'a', 'b' and 3 more``.
    """
    shown: list[str] = []
    left = room
    names = list(names)
    for name in names[:most]:
        quoted = repr(short(str(name)))
        if len(quoted) > left and shown:
            break
        if len(quoted) > room:
            quoted = f"{quoted[: room - 4]}...{quoted[-1]}"
        shown.append(quoted)
        left -= len(quoted) + 2
    more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more


def some(names: Sequence[str], room: int = 120) -> str:
    """Return names separated by commas, as many as fit in ``room`` characters; the others are counted.

    The first name is always shown, cut to 60 characters as every other.
    """
    shown = [short(name) for name in names[:room]]
    ends = accumulate(len(name) + 2 for name in shown)
    shown = shown[: max(1, sum(end <= room + 2 for end in ends))]
    more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more


def is_utf8(text: str) -> bool:
    """Return whether a text can be encoded as UTF-8; it can't if it was read from bytes that aren't valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
