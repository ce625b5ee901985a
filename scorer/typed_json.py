"""Read JSON files into frozen structures: the base class, the types of numbers, and the first fault of a file.

Decoding checks types and ranges and ignores unknown keys. msgspec's message names the path of the first fault;
``fault_of`` and ``fault_in`` turn that message into a clause for an error message.
"""

import json
import re
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from scorer.text import short

_LARGEST = 2**53  # every JSON reader reads whole numbers up to this one exactly
Count = Annotated[int, Meta(ge=0, le=_LARGEST)]
Positive = Annotated[int, Meta(ge=1, le=_LARGEST)]
Index = Annotated[int, Meta(ge=-_LARGEST, le=_LARGEST)]
Number = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
Amount = Annotated[float, Meta(ge=0, le=_LARGEST)]

_PATH = re.compile(r" - at `\$\.?(?P<path>.*)`\Z", re.DOTALL)
_STEP = re.compile(r"(?P<field>\w+)|\[(?P<index>\d+)\]|\[\.\.\.\]")
_MISSING = re.compile(r"missing required field `(?P<name>\w+)`")


class Section(Struct, frozen=True, kw_only=True):
    """A part of a JSON file; its fields are written in the order in which they are declared."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, as they are written to a file or as a command's JSON output."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values


class Fault(NamedTuple):
    """The first wrong value of a JSON file: its path (empty for the whole file), and a clause that describes it."""

    path: str
    clause: str


def as_text(values: dict[str, Any]) -> str:
    """Return the text of a JSON file with these values."""
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def fault_of(error: Exception, whole: str) -> Fault:
    """Return the fault that a decoding error reports; ``whole`` names the file's content, for a fault without a path.

    The clause does not quote the wrong value, which may be data. The path shows a dictionary's key as ``[...]``.
    """
    path, expected = _parts(error)
    return _missing(path, expected) or Fault(path, f"{path or whole}: {expected}")


def fault_in(document: object, kind: type, error: msgspec.ValidationError) -> Fault:
    """Return the fault with dictionary keys and the wrong value, both of which ``fault_of`` leaves out.

    ``error`` was raised by converting ``document`` to ``kind``. The search for a key removes entries of ``document``.
    """
    found, expected = _parts(error)
    path, value = "", document
    for step in _STEP.finditer(found):
        key: Any = step["field"] or (int(step["index"]) if step["index"] else _faulty_key(document, value, kind, error))
        if key is None:  # msgspec told another fault of each entry alone
            return fault_of(error, "the file")
        path += f".{key}" if step["field"] else f"[{key!r}]"
        value = value[key]  # type: ignore[index]
    path = path.lstrip(".")
    shown = short(json.dumps(value, ensure_ascii=False))
    return _missing(path, expected) or Fault(path, f"{path} is {shown}: {expected}")


def _missing(path: str, expected: str) -> Fault | None:
    if not (missing := _MISSING.search(expected)):
        return None
    path = f"{path}.{missing['name']}".lstrip(".")
    return Fault(path, f"{path} is missing")


def _parts(error: Exception) -> tuple[str, str]:
    """Return the path that an error's message names, empty if it names none, and the rest of the message."""
    message = str(error)
    found = _PATH.search(message)
    rest = _PATH.sub("", message)
    return found["path"] if found else "", f"{rest[:1].lower()}{rest[1:]}"


def _faulty_key(document: object, entries: Any, kind: type, error: Exception) -> str | None:
    """Return the key of the entry that causes ``error``, found by converting the document with one entry at a time."""
    for key, entry in dict(entries).items():
        entries.clear()
        entries[key] = entry
        try:
            msgspec.convert(document, kind)
        except msgspec.ValidationError as again:
            if str(again) == str(error):
                return str(key)
    return None
