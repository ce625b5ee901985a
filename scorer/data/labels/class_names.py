"""class_names_of(): the names of a model's classes as the user gives them, in a list or in a file."""

import json
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import SourceError
from scorer.text import listed, nearest, short


def class_names_of(given: Sequence[str] | str | Path) -> tuple[str, ...]:
    """Return class names [C]; a path is a file with a JSON list, or with one name a line.

    Raises:
        SourceError: the file can't be read, a name is empty, or two are the same.
    """
    return checked_names(_read_names(Path(given)) if isinstance(given, str | Path) else list(map(str, given)))


def _read_names(file: Path) -> list[str]:
    """Return the class names in a file: a JSON list, or one name a line."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        names = json.loads(text) if file.suffix.lower() == ".json" else text.rstrip().splitlines()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8, or no JSON"
        raise SourceError(
            f"`classes` {file} can't be read ({why}); give a JSON list, or one class name a line"
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SourceError(f"`classes` {file} is no list of names; give a JSON list of texts, or one class name a line")
    return names


def checked_names(names: list[str]) -> tuple[str, ...]:
    """Return class names as a tuple.

    Raises:
        SourceError: a name is empty, or two are the same.
    """
    if any(not name.strip() for name in names) or len(set(names)) < len(names):
        raise SourceError(f"`classes` is {listed(names)}; give each class a name of its own", quotes_data=True)
    return tuple(names)


def refuse_names(name: str, names: tuple[str, ...], columns: list[str]) -> None:
    """Raise SourceError unless ``names`` can only be names for the columns in their order."""
    if missing := [one for one in names if one not in columns]:
        if len(missing) == len(names) == len(columns):
            return
        raise SourceError(
            f"{name} has no column {short(missing[0])!r}{nearest(missing[0], columns)}; it has {len(columns)} columns: "
            f"{listed(columns)}; `classes` names {len(names)}: columns to read, or all columns, in order",
            quotes_data=True,
        )


def is_fraction(name: str) -> bool:
    """Return whether a column's name is a probability, so that the line is no header."""
    try:
        return not name.strip().isdigit() and 0 <= float(name) <= 1
    except ValueError:
        return False
