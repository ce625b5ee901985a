"""class_names(): the names of a classifier's classes, in the order of its logits, as the user gives them."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporter import config_faults
from exporter.errors import ModelError
from scorer.text import fold, listed, short

_FORMS = "a JSON list of names, a config.json with id2label, or a text file with one name a line"
_NUMBERED = re.compile(r"(\d+)[\s,;:=]+\S")


def class_names(given: Sequence[str] | str | Path) -> tuple[str, ...]:
    """Return class names [C]; a path is a file with a JSON list, a config.json, or with one name a line.

    A JSON object may also be ``id2label`` or ``label2id`` alone.

    Raises:
        ModelError: the file can't be read, or it is not certain which name is which class's.
        ModelError: a name is empty, two differ at most in case and blanks, or there are fewer than two.
    """
    names = _read(Path(given)) if isinstance(given, str | Path) else [str(name) for name in given]
    file = str(given) if isinstance(given, str | Path) else "the list"
    if any(not fold(name) for name in names):
        raise _error(file, f"has an empty name: {listed(names)}")
    folded = Counter(map(fold, names))
    if twice := [short(name) for name in names if folded[fold(name)] > 1]:
        raise _error(file, f"names different classes alike: {listed(twice)}")
    if len(names) < 2:
        raise _error(file, f"has {len(names)} names; a classifier has at least 2 classes")
    return tuple(names)


def _error(file: str, fault: str) -> ModelError:
    return ModelError(f"`labels`: {file} {fault}", quotes_data=True)


def _read(file: Path) -> list[str]:
    if file.is_dir():
        raise _error(str(file), f"is a folder; give {_FORMS}")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise _error(str(file), f"can't be read ({why}); give {_FORMS}") from error
    if file.suffix.lower() != ".json":
        return _lines(file, text)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _error(str(file), f"is not JSON ({error})") from error
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return found
    if isinstance(found, dict) and "id2label" in found:
        if faults := config_faults.about_labels(found):
            raise _error(str(file), f"can't be used: {'; '.join(faults)}")
        return list(config_faults.class_names(found))
    names = _of_object(found) if isinstance(found, dict) else None
    if names is None:
        raise _error(str(file), f"doesn't say which name is which class's; give {_FORMS}")
    return names


def _lines(file: Path, text: str) -> list[str]:
    lines = text.rstrip().splitlines()
    if text.lstrip()[:1] in ("[", "{"):
        raise _error(str(file), "looks like JSON; give it a name that ends in .json")
    numbers = [int(found[1]) for line in lines if (found := _NUMBERED.match(line))]
    if len(lines) > 1 and sorted(numbers) in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        raise _error(str(file), f"numbers its lines ({short(lines[0])!r}); give the names alone, in the logits' order")
    return [line.strip() for line in lines]


def _of_object(found: dict[str, Any]) -> list[str] | None:
    """Return the names of ``{"0": "World", ...}`` or ``{"World": 0, ...}``; None if the object is neither, or both."""
    indices = list(range(len(found)))
    by_key = {int(key): value for key, value in found.items() if key.isdecimal() and isinstance(value, str)}
    by_value = {value: key for key, value in found.items() if isinstance(value, int) and not isinstance(value, bool)}
    if sorted(by_key) == indices:
        return [by_key[i] for i in indices]
    if sorted(by_value) == indices and not all(key.isdecimal() for key in found):
        return [by_value[i] for i in indices]
    return None
